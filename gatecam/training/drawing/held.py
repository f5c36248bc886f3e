"""Draw things that are held at the mouth or ear: cup, bottle, telephone."""

from __future__ import annotations

import numpy as np

from gatecam.training.drawing.cloth import pick_color
from gatecam.training.drawing.hands import draw_grip
from gatecam.training.drawing.head import floats
from gatecam.training.drawing.mesh import Layer
from gatecam.training.drawing.scene import Scene
from gatecam.training.drawing.solids import Slab, Turned, draw_slab, draw_turned
from gatecam.types import Floats

_PAPER = (238, 236, 230)
_GLASS = ((190, 215, 225), (60, 110, 70), (120, 70, 40), (220, 220, 225), (40, 90, 160))
_CASES = ((22, 22, 25), (200, 202, 205), (60, 70, 95), (40, 40, 44))
_RINGS = 24  # number of colours along a turned body


def draw_cup(scene: Scene, rng: np.random.Generator) -> list[Layer | None]:
    """Draw a cup at the lips, and the hand that holds it."""
    color = floats(_PAPER) if rng.random() < 0.5 else pick_color(rng)
    colors = np.repeat(color[None], _RINGS, 0)
    colors[0] = np.minimum(color + 30, 255)
    if rng.random() < 0.6:
        colors[int(rng.integers(5, 9)) : int(rng.integers(13, 20))] = pick_color(rng)
    start = floats([rng.uniform(-0.15, 0.15), rng.uniform(0.92, 1.15)])
    top = rng.uniform(0.48, 0.68)
    profile = floats([top * 1.04, *np.linspace(top, top * rng.uniform(0.7, 0.95), 12)])
    end = _beyond(start, rng.normal(0, 0.15), rng.uniform(1.3, 1.8))
    cup = draw_turned(Turned(start, end, profile, colors, rng.uniform(0, 0.25)), scene)
    side = float(rng.choice([-1.0, 1.0]))
    x, y = start.tolist()
    return [cup, draw_grip(x + side * 0.35, y + rng.uniform(0.3, 0.6), side, scene, rng)]


def draw_bottle(scene: Scene, rng: np.random.Generator) -> list[Layer | None]:
    """Draw a bottle at the lips, held downwards or to one side."""
    start = floats([rng.uniform(-0.1, 0.1), rng.uniform(1.0, 1.15)])
    lean, body = rng.uniform(-1.7, 1.7), rng.uniform(0.42, 0.58)
    end = _beyond(start, lean, rng.uniform(2.2, 3.0))
    profile = floats([0.2, 0.2, 0.2, 0.24, 0.36, body * 0.95, *[body] * 8])
    colors = np.repeat(floats(_GLASS[rng.integers(len(_GLASS))])[None], _RINGS, 0)
    colors[:2], colors[13:20] = pick_color(rng), pick_color(rng)  # cap and label
    bottle = draw_turned(Turned(start, end, profile, colors, rng.uniform(0.2, 0.6)), scene)
    x, y = ((start + end) / 2).tolist()
    side = 1.0 if lean > 0 else -1.0
    return [bottle, draw_grip(x + side * 0.3, y - 0.3, side, scene, rng)]


def _beyond(start: Floats, lean: float, length: float) -> Floats:
    """Return the place `length` away from `start`. A `lean` of 0 is straight down."""
    return floats(start + length * floats([np.sin(lean), np.cos(lean)]))


def draw_phone(scene: Scene, rng: np.random.Generator) -> list[Layer | None]:
    """Draw a telephone at an ear or in front of the mouth."""
    side = float(rng.choice([-1.0, 1.0]))
    if rng.random() < 0.6:
        x, y, turn = side * rng.uniform(0.95, 1.15), rng.uniform(0.5, 0.9), -side * rng.uniform(0, 0.4)
        size = rng.uniform(0.45, 0.8), 2.3
    else:
        x, y, turn = rng.uniform(-0.3, 0.3), rng.uniform(1.3, 1.8), rng.normal(0, 0.35)
        size = 1.15, rng.uniform(1.2, 2.3)
    color = floats(_CASES[rng.integers(len(_CASES))])
    phone = draw_slab(Slab(floats([x, y]), size, turn, color, int(rng.integers(1, 4))), scene, rng)
    return [phone, draw_grip(x + side * 0.25, y + rng.uniform(-0.1, 0.3), side, scene, rng)]
