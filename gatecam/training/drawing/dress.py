"""A bare face in any mask state: what no photograph collection labels with age and gender."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatecam.training.drawing.finish import lay_over
from gatecam.training.drawing.masks import Make, draw_worn, pick_makes
from gatecam.training.drawing.occluders import draw_occluder, pick_occluder
from gatecam.training.drawing.scene import Scene
from gatecam.training.drawing.wear import Wear, pick_wrong
from gatecam.types import Floats, Image

OCCLUDED = 0.3  # of the faces without a mask
CHANGED = 12  # of 255
SHOWING = 0.3  # square units: a strip of a mask under the chin


@dataclass(frozen=True, slots=True, eq=False)
class Dressed:
    """A face with something drawn on it, or bare."""

    image: Image  # (H, W, 3) RGB
    state: int  # 0 worn right, 1 worn wrong, 2 no mask
    kind: str  # such as "surgical, under_nose" or "hand"; "" for a bare face


def dress(
    image: Image, landmarks: Floats, state: int, rng: np.random.Generator, beard: bool = False
) -> Dressed:
    """A bare face in a mask state.

    Args:
        image: (H, W, 3) RGB with the face; any size.
        landmarks: (5, 2) px: eyes, nose, mouth corners.
        state: 0 mask worn right, 1 worn wrong, 2 none: bare, or behind a thing that is no mask.
        rng: decides all that is left open; the same one gives the same picture.
        beard: whether the face may be given a beard: a grown man's.

    Raises:
        ValueError: a landmark was not found.
    """
    scene = Scene.of(image, landmarks)
    if state == 2:
        drawn = rng.random() < OCCLUDED
        return _behind(scene, pick_occluder(rng, beard), rng) if drawn else Dressed(image, 2, "")
    (make,) = pick_makes(1, rng)
    if state == 0:
        return _masked(scene, make, Wear.RIGHT, rng)
    dressed = _masked(scene, make, pick_wrong(rng), rng)
    return dressed if _shows(dressed, scene) else _masked(scene, make, Wear.UNDER_NOSE, rng)


def draw_mask(image: Image, landmarks: Floats, make: Make, wear: Wear, rng: np.random.Generator) -> Dressed:
    """The face in a mask of a make, worn in a way."""
    return _masked(Scene.of(image, landmarks), make, wear, rng)


def draw_thing(image: Image, landmarks: Floats, name: str, rng: np.random.Generator) -> Dressed:
    """The face behind a thing that is no mask, one of `OCCLUDERS`."""
    return _behind(Scene.of(image, landmarks), name, rng)


def _masked(scene: Scene, make: Make, wear: Wear, rng: np.random.Generator) -> Dressed:
    drawn = lay_over(scene, draw_worn(make, wear, scene, rng), rng)
    return Dressed(drawn, 0 if wear is Wear.RIGHT else 1, f"{make.name}, {wear}")


def _behind(scene: Scene, name: str, rng: np.random.Generator) -> Dressed:
    return Dressed(lay_over(scene, draw_occluder(name, scene, rng), rng), 2, name)


def _shows(dressed: Dressed, scene: Scene) -> bool:
    """Whether a mask is to be seen at all, where the picture ends at chin and ears."""
    changed = np.abs(dressed.image.astype(np.int16) - scene.image).max(2) > CHANGED
    return int(changed.sum()) > SHOWING * scene.pose.unit_px**2
