"""Draw what grows or is worn around mouth and neck and is no mask: scarf, collar, beard."""

from __future__ import annotations

import cv2
import numpy as np

from gatecam.training.drawing.cloth import Cloth, noise, pick_color, shade, waves
from gatecam.training.drawing.head import around, floats
from gatecam.training.drawing.mesh import Layer, draw_sheet
from gatecam.training.drawing.scene import Scene
from gatecam.types import Floats

ROWS, COLUMNS = 11, 15  # of a net of points
HEIGHT, WIDTH = 150, 200  # of a texture
HIGHEST = 1.32  # below the lower lip, because a scarf over the mouth might pass for a mask
_LOW = 2.9  # where the picture of the neck may end
_HAIR = ((30, 24, 20), (58, 40, 28), (96, 66, 42), (120, 116, 112), (190, 188, 184))


def _u() -> Floats:
    return np.linspace(-1, 1, COLUMNS, dtype=np.float32)


def _v() -> Floats:
    return np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]


def _texels() -> tuple[Floats, Floats]:
    """Return the coordinates across and down (HEIGHT, WIDTH) of a texture, in parts of its width."""
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) / np.float32(WIDTH)
    return across, down


def _wrapped(top: Floats, off: Floats, cloth: Cloth, scene: Scene) -> list[Layer | None]:
    """Draw cloth around the neck from heights `top` (COLUMNS,), `off` (ROWS, COLUMNS) units from the skin."""
    y = top + (_LOW - top) * _v()
    points = around(np.broadcast_to(1.5 * _u(), y.shape), floats(y), off, 1 + 0.5 * _v())
    return [draw_sheet(points, shade(cloth, points, scene.pose, scene.light), scene.pose, scene.shape)]


def draw_scarf(scene: Scene, rng: np.random.Generator) -> list[Layer | None]:
    """Draw a scarf in folds around the neck, up to the chin at most."""
    u, v = _u(), _v()
    sway = 0.05 * np.cumsum(rng.normal(0, 0.3, COLUMNS))
    top = rng.uniform(1.45, 1.75) - rng.uniform(0.1, 0.4) * np.abs(u) ** 1.5 + sway
    off = np.broadcast_to(0.12 + 0.45 * np.clip(v * 5, 0, 1) ** 0.5, (ROWS, COLUMNS))
    across, down = _texels()
    shape = (HEIGHT, WIDTH)
    turns = down * rng.uniform(3, 6) + across * rng.uniform(-1.5, 1.5)
    folds = np.sin(2 * np.pi * turns + 1.2 * waves(shape, 4, rng))
    knit = rng.uniform(0, 0.12) * np.sin(across * WIDTH * 0.9) * np.sin(down * WIDTH * 0.9)
    dimming = (0.85 + 0.15 * folds + knit) * np.clip(0.6 + down * 10, 0, 1)
    colors = np.broadcast_to(pick_color(rng), (*shape, 3))
    if rng.random() < 0.4:
        stripe = (np.sin(2 * np.pi * across * rng.uniform(2, 8)) > 0.3)[..., None]
        colors = np.where(stripe, pick_color(rng), colors)
    cloth = Cloth(floats(colors), floats(0.02 * folds), floats(dimming))
    return _wrapped(floats(np.maximum(top, HIGHEST)), floats(off), cloth, scene)


def draw_collar(scene: Scene, rng: np.random.Generator) -> list[Layer | None]:
    """Draw a turtleneck, or the collar of a jacket closed up to the chin."""
    jacket = rng.random() < 0.5
    highest, stands = (1.42, rng.uniform(0.2, 0.4)) if jacket else (1.57, 0.06)
    top = highest + rng.uniform(0, 0.28) - rng.uniform(0.0, 0.25) * _u() ** 2
    off = np.broadcast_to(stands + 0.1 * _v(), (ROWS, COLUMNS))
    across, down = _texels()
    if jacket:
        made = 1 - 0.4 * np.exp(-(((across - 0.5) / 0.012) ** 2))  # the zip
        if rng.random() < 0.5:  # quilted
            made = made * (0.75 + 0.25 * np.abs(np.sin(2 * np.pi * down * 2.2)) ** 0.4)
    else:
        made = 1 + rng.uniform(0.02, 0.12) * np.sin(2 * np.pi * across * 60)
    shape = (HEIGHT, WIDTH)
    dimming = made * np.clip(0.7 + down * 9, 0, 1) * (1 + 0.06 * waves(shape, 5, rng))
    colors = floats(np.broadcast_to(pick_color(rng), (*shape, 3)))
    cloth = Cloth(colors, floats(0.02 * waves(shape, 6, rng)), floats(dimming))
    return _wrapped(floats(np.maximum(top, HIGHEST)), floats(off), cloth, scene)


def draw_beard(scene: Scene, rng: np.random.Generator) -> list[Layer | None]:
    """Draw a beard around lips and nose, as strands in one of the colours of hair."""
    u, v = _u(), _v()
    theta = np.broadcast_to(1.15 * u, (ROWS, COLUMNS))
    y = floats(0.6 + (rng.uniform(1.85, 2.25) - 0.5 * u**2 - 0.6) * v)
    points = around(theta, y, 0.05 + rng.uniform(0.02, 0.2) * v**2)
    strands = 4 * floats(cv2.GaussianBlur(noise((HEIGHT, WIDTH), rng), (0, 0), sigmaX=0.8, sigmaY=4.0))
    hair = floats(_HAIR[rng.integers(len(_HAIR))])
    colors = np.clip(hair * (1 + 0.3 * strands[..., None]), 0, 255)
    cloth = Cloth(floats(colors), floats(0.01 * strands), np.ones((HEIGHT, WIDTH), np.float32))
    opacity = _beard_cover(y, strands, rng)
    lit = shade(cloth, points, scene.pose, scene.light)
    return [draw_sheet(points, lit, scene.pose, scene.shape, opacity)]


def _beard_cover(y: Floats, strands: Floats, rng: np.random.Generator) -> Floats:
    """Return where hair grows, (HEIGHT, WIDTH), 0 to 1.

    It grows below cheek and nose and around the lips, and is thin at its edges.
    """
    across = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None]
    height = floats(cv2.resize(y, (WIDTH, HEIGHT)))
    x = np.sin(1.15 * across)
    cheek = rng.uniform(0.85, 1.05) - 0.75 * np.clip(np.abs(x) - 0.55, 0, 1)
    lips = np.hypot(x / 0.4, (height - 1.12) / 0.13)
    grown = np.clip((height - cheek) / 0.18, 0, 1) * np.clip((height - 0.84) * 12, 0, 1)
    grown = grown * np.clip((lips - 0.9) * 3, 0, 1) * np.clip((1 - np.abs(across)) * 8, 0, 1)
    grown = grown * np.clip(np.linspace(8, 0, HEIGHT)[:, None], 0, 1)
    return floats(np.clip(grown * rng.uniform(0.75, 1.1) + 0.25 * strands * (grown > 0.05), 0, 1))
