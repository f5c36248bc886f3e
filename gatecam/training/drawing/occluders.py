"""Draw things that may cover a mouth or chin and are no mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gatecam.training.drawing.hands import draw_hand
from gatecam.training.drawing.held import draw_bottle, draw_cup, draw_phone
from gatecam.training.drawing.mesh import Layer
from gatecam.training.drawing.neckwear import draw_beard, draw_collar, draw_scarf
from gatecam.training.drawing.scene import Scene


@dataclass(frozen=True, slots=True)
class Occluder:
    """Says how often a thing is drawn, and draws it.

    Its layers come farthest first. A layer that the picture does not show is None.
    """

    share: float
    draw: Callable[[Scene, np.random.Generator], list[Layer | None]]


OCCLUDERS = {
    "hand": Occluder(0.4, draw_hand),
    "scarf": Occluder(0.12, draw_scarf),
    "cup": Occluder(0.1, draw_cup),
    "bottle": Occluder(0.05, draw_bottle),
    "phone": Occluder(0.1, draw_phone),
    "beard": Occluder(0.11, draw_beard),
    "collar": Occluder(0.12, draw_collar),
}


def pick_occluder(rng: np.random.Generator, beard: bool) -> str:
    """Choose one of the things at random, most often a hand, and a beard only if `beard` is true."""
    names = [name for name in OCCLUDERS if beard or name != "beard"]
    shares = np.array([OCCLUDERS[name].share for name in names])
    return names[rng.choice(len(names), p=shares / shares.sum())]


def draw_occluder(name: str, scene: Scene, rng: np.random.Generator) -> list[Layer]:
    """Return the layers of one of `OCCLUDERS`."""
    return [layer for layer in OCCLUDERS[name].draw(scene, rng) if layer is not None]
