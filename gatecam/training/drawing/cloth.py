"""Paint the textures of masks: colours, relief and shading."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from gatecam.training.drawing.head import Pose, floats
from gatecam.training.drawing.light import Light
from gatecam.types import Floats


class Relief(StrEnum):
    """Names the features on a mask's surface."""

    PLEATS = "pleats"
    PANELS = "panels"
    FOLD = "fold"
    SEAM = "seam"


@dataclass(frozen=True, slots=True, eq=False)
class Cloth:
    """Holds a texture (h, w).

    Attributes:
        colors: (h, w, 3) in white light.
        height: relief in parts of the texture's width.
        dimming: factor for the brightness.
    """

    colors: Floats
    height: Floats
    dimming: Floats


_BLUES = ((150, 203, 232), (168, 212, 236), (120, 188, 226), (186, 222, 240), (140, 205, 205))
_SURGICAL = (*_BLUES, *_BLUES, (150, 212, 190), (240, 196, 210), (205, 196, 226), *((246, 248, 250),) * 3)
_PAPER = ((246, 246, 246), (238, 238, 236), (250, 250, 250), (243, 241, 236))
_DARK = ((34, 34, 37), (24, 24, 26), (46, 46, 50), (28, 30, 40))
CLOTH_COLORS = (
    (60, 66, 80),
    (40, 52, 92),
    (120, 124, 130),
    (168, 170, 172),
    (196, 178, 150),
    (110, 40, 46),
    (58, 88, 66),
    (212, 160, 170),
    (90, 120, 160),
    (150, 90, 70),
    (228, 222, 206),
    (90, 70, 110),
)


def paint(
    make: str, relief: Relief, worn_wrong: bool, width_px: int, rng: np.random.Generator
) -> tuple[Cloth, Floats]:
    """Paint a flat mask, `width_px` wide and three quarters of it high. Return it and its loops' colour."""
    h, w = int(width_px * 0.75), width_px
    u: Floats = np.linspace(-1, 1, w, dtype=np.float32)[None]
    v = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    color, loop = _dye(make, rng)
    colors = np.broadcast_to(color, (h, w, 3)).copy()
    if make == "patterned":
        colors = _printed(colors, rng)
    height, dimming = _relief(relief, u, v, rng)
    crumple = rng.uniform(0.006, 0.022) * (1.6 if worn_wrong else 1.0)
    creases = 1 - np.abs(waves((h, w), 7, rng))
    crumpled = waves((h, w), 4, rng) + 0.35 * waves((h, w), 12, rng) + 0.6 * creases
    height = floats(height + crumple * crumpled)
    dimming = np.asarray(dimming * (1 + rng.uniform(0.004, 0.02) * noise((h, w), rng)), np.float32)
    _bind(colors, dimming, make, u, v, rng)
    return Cloth(colors, height, dimming), loop


def _dye(make: str, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Choose the colours of the cloth and of its loops."""
    choices = {
        "surgical": _SURGICAL,
        "white": _PAPER,
        "black": _DARK,
        "cloth": CLOTH_COLORS,
        "patterned": CLOTH_COLORS,
    }
    palette = choices.get(make) or (
        _PAPER if rng.random() < 0.75 else (*_DARK, (176, 178, 182), (224, 208, 186))
    )
    color = np.array(palette[rng.integers(len(palette))], np.float32)
    color = np.clip(color * rng.uniform(0.94, 1.03) + rng.normal(0, 5, 3), 14, 252).astype(np.float32)
    white = np.array([240, 240, 240], np.float32)
    own = make in ("black", "cloth", "patterned") or float(color.mean()) < 90
    return color, color * np.float32(0.95) if own and rng.random() < 0.8 else white


def pick_color(rng: np.random.Generator) -> Floats:
    """Choose a random colour (3,) of cloth or paint."""
    color = floats(CLOTH_COLORS[rng.integers(len(CLOTH_COLORS))])
    return floats(np.clip(color * rng.uniform(0.8, 1.15) + rng.normal(0, 8, 3), 12, 250))


def _relief(relief: Relief, u: Floats, v: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the height and dimming of a mask's folds, welds or seams."""
    if relief is Relief.PLEATS:
        return _pleats(u, v, rng)
    if relief is Relief.PANELS:
        bow = floats((1 - np.abs(u)) ** rng.uniform(0.6, 1.0))
        upper, lower = 0.46 - rng.uniform(0.14, 0.26) * bow, 0.54 + rng.uniform(0.14, 0.24) * bow
        lines = floats(_line(v - upper, 0.012) + _line(v - lower, 0.012))
        under = (v > lower).astype(np.float32)
        return -0.01 * lines, 1 - rng.uniform(0.12, 0.3) * lines - 0.07 * under
    middle = _line(u, rng.uniform(0.008, 0.02)) * np.ones_like(v)
    if relief is Relief.FOLD:
        weld = _line(np.abs(u) - (0.88 - 0.1 * np.abs(v - 0.5)), 0.012)
        return 0.004 * middle - 0.006 * weld, 1 - 0.1 * middle - rng.uniform(0.05, 0.15) * weld
    return -0.008 * middle, 1 - rng.uniform(0.0, 0.25) * middle


def _pleats(u: Floats, v: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the height and dimming of pleats: folds across the mask that open in the middle.

    Each is a step with a dark line under it.
    """
    count = int(rng.integers(3, 5))
    first, last = rng.uniform(0.2, 0.32), rng.uniform(0.66, 0.8)
    spread, depth = rng.uniform(0.04, 0.18), rng.uniform(0.012, 0.03)
    bow, side = 1 - u * u, 0.6 + 0.4 * np.abs(u)
    height = np.zeros((v.shape[0], u.shape[1]), np.float32)
    dimming = np.ones_like(height)
    for at in np.linspace(first, last, count).tolist():
        below = v - (at + (at - 0.5) * spread * bow + rng.normal(0, 0.008) * u)
        strength = rng.uniform(0.5, 1.0) * side
        height += depth * strength * np.exp(np.minimum(60 * below, -11 * below))
        dimming -= rng.uniform(0.25, 0.55) * strength * _line(below + 0.014, 0.014)
        dimming += 0.08 * strength * _line(below - 0.02, 0.02)
    return height, dimming


def _line(distance: Floats, thickness: float) -> Floats:
    """Return 1 on a line, falling to 0 beside it."""
    scaled = distance * np.float32(1 / thickness)
    return np.asarray(np.exp(-scaled * scaled), np.float32)


_NOISE = np.random.default_rng(0).standard_normal((512, 512), np.float32)


def noise(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return white noise (h, w) of standard deviation 1.

    It is a random window of one fixed sheet, which repeats at its end.
    """
    top, left = (int(n) for n in rng.integers(0, 512, 2))
    rows, columns = (np.arange(top, top + shape[0]) % 512, np.arange(left, left + shape[1]) % 512)
    return _NOISE[rows[:, None], columns]


def waves(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> Floats:
    """Return smooth noise about zero, of standard deviation about 1."""
    coarse = rng.standard_normal((cells, cells + cells // 2), np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _bind(colors: Floats, dimming: Floats, make: str, u: Floats, v: Floats, rng: np.random.Generator) -> None:
    """Draw bound edges, and the nose wire under the upper one, in place."""
    wide = rng.uniform(0.025, 0.05)
    if make == "surgical" and rng.random() < 0.6:
        edge = ((v < wide) | (v > 1 - wide) | (np.abs(u) > 1 - wide)).astype(np.float32)
        colors += (np.float32(245) - colors) * (0.6 * edge)[..., None]
    stitch = _line(v - wide, 0.008) + _line(v - 1 + wide, 0.008) + _line(floats(np.abs(u)) - 1 + wide, 0.01)
    dimming -= rng.uniform(0.04, 0.16) * np.clip(stitch, 0, 1)
    if make in ("surgical", "kf94", "kn95"):
        wire = _line(v - 0.055, 0.014) * (np.abs(u) < 0.34)
        dimming += rng.uniform(-0.08, 0.06) * wire - 0.1 * _line(v - 0.085, 0.01) * (np.abs(u) < 0.34)


def _printed(colors: Floats, rng: np.random.Generator) -> Floats:
    """Print stripes, checks, dots or blots on the cloth."""
    h, w = colors.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32) / np.float32(w)
    turn, period = rng.uniform(0, np.pi), rng.uniform(0.05, 0.16)
    a = np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period)
    b = np.sin(2 * np.pi * (y * np.cos(turn) - x * np.sin(turn)) / period)
    kind = rng.integers(4)
    shape = (a, np.maximum(a, b), a * b - 0.25, waves((h, w), int(rng.integers(8, 18)), rng))[kind]
    ink = np.clip(0.5 + 3 * shape, 0, 1)[..., None]
    other = (
        np.array(CLOTH_COLORS[rng.integers(len(CLOTH_COLORS))], np.float32)
        if rng.random() < 0.6
        else rng.uniform(20, 245, 3)
    )
    return np.asarray(colors * (1 - ink) + other * ink, np.float32)


def shade(cloth: Cloth, points: Floats, pose: Pose, light: Light) -> Floats:
    """Return the texture (h, w, 3) lit by `light`, when it is bent along `points` (rows, columns, 3)."""
    h, w = cloth.height.shape
    normals = cv2.resize(normals_of(points) @ pose.rotation.T, (w, h), interpolation=cv2.INTER_LINEAR)
    rise_x, rise_y = _slope_of(cloth.height, 1) * (w / 2.4), _slope_of(cloth.height, 0) * (w / 2.4)
    nx, ny = normals[..., 0] - rise_x, normals[..., 1] - rise_y
    slope_x, slope_y = light.slope
    facing = 0.72 + 0.28 * np.clip(normals[..., 2], 0, 1)
    lit = np.exp(np.clip(slope_x * nx + (min(slope_y, 0) - 0.2) * ny, -1.2, 0.7)) * facing * cloth.dimming
    return light.on(cloth.colors * lit[..., None])


def normals_of(points: Floats) -> Floats:
    """Return the normals (rows, columns, 3) of a net, smoothed so that its facets do not show."""
    finer = cv2.resize(points, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    fine = np.asarray(cv2.GaussianBlur(finer, (0, 0), 1.0), np.float32)
    (ax, ay, az), (dx, dy, dz) = (np.moveaxis(_slope_of(fine, axis), 2, 0) for axis in (1, 0))
    normals = np.stack([ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx], -1)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9), np.float32)


def _slope_of(values: Floats, axis: int) -> Floats:
    kernel = np.array([[-0.5, 0, 0.5]], np.float32)
    return np.asarray(cv2.filter2D(values, cv2.CV_32F, kernel if axis == 1 else kernel.T), np.float32)
