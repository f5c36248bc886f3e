"""What may cover a mouth or chin and is no mask."""

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
    """How often a thing is drawn, and its layers, farthest first, None where the picture shows none of it."""

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
    """One of the things, hands most often; a beard only where it may grow."""
    names = [name for name in OCCLUDERS if beard or name != "beard"]
    shares = np.array([OCCLUDERS[name].share for name in names])
    return names[rng.choice(len(names), p=shares / shares.sum())]


def draw_occluder(name: str, scene: Scene, rng: np.random.Generator) -> list[Layer]:
    """The layers of one of `OCCLUDERS`."""
    return [layer for layer in OCCLUDERS[name].draw(scene, rng) if layer is not None]
