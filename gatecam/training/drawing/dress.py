"""Draw any mask state on a bare face, because no photo collection labels masks, age and gender together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatecam.training.drawing.finish import lay_over
from gatecam.training.drawing.masks import Make, draw_worn, pick_makes
from gatecam.training.drawing.occluders import draw_occluder, pick_occluder
from gatecam.training.drawing.scene import Scene
from gatecam.training.drawing.wear import Wear, pick_wrong
from gatecam.types import Floats, Image

OCCLUDED = 0.3  # share of the faces without a mask that get another thing
CHANGED = 12  # of 255; a pixel that differs by more counts as changed
SHOWING = 0.3  # in squared units; the least changed area, so that a strip of a mask under the chin shows


@dataclass(frozen=True, slots=True, eq=False)
class Dressed:
    """Holds a face with something drawn on it, or a bare face."""

    image: Image  # (H, W, 3) RGB
    state: int  # 0 mask worn right, 1 worn wrong, 2 no mask
    kind: str  # such as "surgical, under_nose" or "hand"; "" for a bare face


def dress(
    image: Image, landmarks: Floats, state: int, rng: np.random.Generator, beard: bool = False
) -> Dressed:
    """Draw a random mask or thing on a bare face, so that it shows a mask state.

    Args:
        image: (H, W, 3) RGB with the face, of any size.
        landmarks: (5, 2) px: eyes, nose, mouth corners.
        state: 0 mask worn right, 1 worn wrong, 2 no mask (bare, or behind another thing).
        rng: makes all random choices. The same state of it gives the same picture.
        beard: whether a beard may be drawn, which only suits grown men.

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
    """Draw a mask of a given make on the face, worn in a given way."""
    return _masked(Scene.of(image, landmarks), make, wear, rng)


def draw_thing(image: Image, landmarks: Floats, name: str, rng: np.random.Generator) -> Dressed:
    """Draw a thing that is no mask, one of `OCCLUDERS`, over the face."""
    return _behind(Scene.of(image, landmarks), name, rng)


def _masked(scene: Scene, make: Make, wear: Wear, rng: np.random.Generator) -> Dressed:
    drawn = lay_over(scene, draw_worn(make, wear, scene, rng), rng)
    return Dressed(drawn, 0 if wear is Wear.RIGHT else 1, f"{make.name}, {wear}")


def _behind(scene: Scene, name: str, rng: np.random.Generator) -> Dressed:
    return Dressed(lay_over(scene, draw_occluder(name, scene, rng), rng), 2, name)


def _shows(dressed: Dressed, scene: Scene) -> bool:
    """Return whether the mask changed enough pixels, because the picture may end at chin and ears."""
    changed = np.abs(dressed.image.astype(np.int16) - scene.image).max(2) > CHANGED
    return int(changed.sum()) > SHOWING * scene.pose.unit_px**2
