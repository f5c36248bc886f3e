"""Draw solid things in front of a face from their height over the picture: rods, turned bodies, slabs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gatecam.training.drawing.cloth import noise, waves
from gatecam.training.drawing.head import floats
from gatecam.training.drawing.mesh import Layer, box_in
from gatecam.training.drawing.scene import Scene
from gatecam.types import Floats

COARSE_PX = 32  # pixels per unit at which heights are computed
BEFORE_FACE = 0.4  # how far these things are in front of the eyes, in units
SKIN_SHADE = 0.5  # how much darker the rim of a finger is than its middle
NAIL = floats([1.22, 1.18, 1.2])  # a nail's colour relative to the skin's
NAIL_SIZE = (0.115, 0.085)


@dataclass(frozen=True, slots=True)
class Rod:
    """Describes a rod with round ends between two places (2,) in the face's plane, in units."""

    start: Floats
    end: Floats
    radius: tuple[float, float]  # at both ends
    lift: tuple[float, float]  # height over the plane, at both ends


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """Maps a window of the picture to the face's own coordinates."""

    x: int
    y: int
    places: Floats  # (h, w, 2) in units
    px: float  # pixels per unit

    @classmethod
    def around(cls, places: Floats, scene: Scene, border: float) -> _Plane | None:
        """Return the window around places (n, 2) with a border in units, or None if it is out of view."""
        pose = scene.pose
        before = np.full((len(places), 1), BEFORE_FACE, np.float32)
        box = box_in(pose.px(np.hstack([places, before])), scene.shape, border * pose.unit_px)
        if box is None:
            return None
        x1, y1, x2, y2 = box
        (a, b), (c, d) = pose.rotation[:2, :2].tolist()
        roll = np.arctan2(c - b, a + d)
        turn = floats([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]) / pose.unit_px
        y, x = np.mgrid[y1:y2, x1:x2].astype(np.float32) + np.float32(0.5)
        middle = pose.px(floats([0, 0, BEFORE_FACE]))
        return cls(x1, y1, (np.stack([x, y], -1) - middle) @ turn, pose.unit_px)

    def layer(self, colors: Floats, inside: Floats) -> Layer:
        """Make a layer from colours (h, w, 3) and the depth (h, w) inside its edge in units."""
        return Layer(floats(colors), floats(np.clip(inside * self.px + 0.5, 0, 1)), self.x, self.y)


def draw_rods(
    rods: list[Rod], nails: Floats, color: Floats, scene: Scene, rng: np.random.Generator
) -> Layer | None:
    """Draw rods in the colour of skin. Fingers and palms consist of them.

    Args:
        nails: (m, 4), the middle of each nail and the direction of its finger.
        color: (3,) RGB of the skin in the picture's light.
    """
    ends = np.stack([place for rod in rods for place in (rod.start, rod.end)])
    plane = _Plane.around(ends, scene, max(max(rod.radius) for rod in rods))
    if plane is None:
        return None
    height, inside = _heights(rods, plane)
    nx, ny = (-cv2.Sobel(height, cv2.CV_32F, dx, dy, scale=plane.px / 8) for dx, dy in ((1, 0), (0, 1)))
    steep = 1 / np.sqrt(1 + nx * nx + ny * ny)
    hollow = np.clip(cv2.GaussianBlur(height, (0, 0), max(0.5, 0.09 * plane.px)) - height, 0, 0.2)
    slope_x, slope_y = scene.light.slope.tolist()
    lit = np.exp(np.clip((slope_x * nx + (slope_y - 0.15) * ny) * steep, -0.8, 0.4))
    lit = np.maximum(lit * (1 - SKIN_SHADE * (1 - steep) ** 1.5) * (1 - 1.6 * hollow), 0.15)
    blotch = 1 + 0.035 * waves(height.shape, 6, rng) + 0.012 * noise(height.shape, rng)
    colors = color * (lit * blotch)[..., None] ** floats([0.9, 1.1, 1.15])  # skin in shadow is redder
    flush = np.clip(0.5 + 0.5 * waves(height.shape, 5, rng), 0, 1)[..., None]
    colors = colors * (1 - flush * floats([0.0, 0.05, 0.06]))
    for nail in nails:
        share = _nail_cover(plane.places, nail)[..., None]
        colors = colors * (1 - share) + NAIL * color * share
    return plane.layer(np.clip(colors, 0, 255), inside)


def _heights(rods: list[Rod], plane: _Plane) -> tuple[Floats, Floats]:
    """Return the height (h, w) of the rods over the plane, and each pixel's depth inside them, in units."""
    h, w = plane.places.shape[:2]
    scale = min(1.0, COARSE_PX / plane.px)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    places = cv2.resize(plane.places, size, interpolation=cv2.INTER_LINEAR).reshape(-1, 2)
    best, inside = np.full(len(places), -1, np.float32), np.full(len(places), -1, np.float32)
    for rod in rods:
        (r1, r2), (low, high) = rod.radius, rod.lift
        whole = rod.end - rod.start
        t = np.clip((places - rod.start) @ whole / max(float(whole @ whole), 1e-6), 0, 1)
        off = places - rod.start - t[:, None] * whole
        square, radius = (off * off).sum(1), r1 + (r2 - r1) * t
        depth = radius - np.sqrt(square)
        top = low + (high - low) * t + np.sqrt(np.maximum(radius * radius - square, 0))
        best = np.where((depth > 0) & (top > best), top, best)
        inside = np.maximum(inside, depth)
    maps = floats(np.stack([np.maximum(best, 0), inside], 1).reshape(size[1], size[0], 2))
    full = floats(cv2.resize(maps, (w, h), interpolation=cv2.INTER_CUBIC) if scale < 1 else maps)
    return full[..., 0], full[..., 1]


def _nail_cover(places: Floats, nail: Floats) -> Floats:
    x, y, ahead_x, ahead_y = nail.tolist()
    off_x, off_y = places[..., 0] - x, places[..., 1] - y
    along, across = off_x * ahead_x + off_y * ahead_y, off_x * ahead_y - off_y * ahead_x
    ring = (along / NAIL_SIZE[0]) ** 2 + (across / NAIL_SIZE[1]) ** 2
    return floats(0.55 * (ring < 1) * np.clip(1.6 - ring, 0, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """Describes a body made on a lathe, such as a cup. Its axis goes from `start` to `end`, (2,) in units."""

    start: Floats
    end: Floats
    profile: Floats  # (n,) half widths at equal steps along the axis
    colors: Floats  # (m, 3) in white light, at equal steps along the axis
    gloss: float  # brightness of the streaks of light on it, 0 to 1


def draw_turned(body: Turned, scene: Scene) -> Layer | None:
    """Draw a turned body in front of the face."""
    widest = float(body.profile.max())
    plane = _Plane.around(np.stack([body.start, body.end]), scene, widest + 0.05)
    if plane is None:
        return None
    length = float(np.linalg.norm(body.end - body.start))
    ahead_x, ahead_y = ((body.end - body.start) / length).tolist()
    at = plane.places - body.start
    across, along = at @ floats([-ahead_y, ahead_x]), at @ floats([ahead_x, ahead_y])
    bulge = 0.2 * widest * np.sqrt(np.clip(1 - (across / widest) ** 2, 0, 1))  # seen a little from above
    t = np.clip((along - bulge) / length, -0.5, 1.5)
    half = np.interp(t, np.linspace(0, 1, len(body.profile)), body.profile)
    side = np.clip(across / np.maximum(half, 1e-3), -1, 1)
    steps = np.linspace(0, 1, len(body.colors))
    colors = np.stack([np.interp(t, steps, body.colors[:, i]) for i in range(3)], -1)
    slope_x, slope_y = scene.light.slope.tolist()
    lit = np.exp(np.clip(side * (slope_y * ahead_x - slope_x * ahead_y), -0.8, 0.5))
    lit = lit * (0.6 + 0.4 * np.sqrt(1 - 0.96 * side**2))
    streaks = np.exp(-(((side - 0.45) / 0.12) ** 2)) + 0.6 * np.exp(-(((side + 0.6) / 0.08) ** 2))
    colors = colors * lit[..., None] + 200 * body.gloss * streaks[..., None]
    inside = np.minimum(half - np.abs(across), np.minimum(t, 1 - t) * length)
    return plane.layer(scene.light.on(floats(colors)), floats(inside))


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """Describes a flat thing such as a telephone, seen from its back.

    Attributes:
        middle: (2,) in units.
        size: width and height in units.
        turn: rotation in radians.
        color: (3,) RGB in white light.
        lenses: number of camera lenses.
    """

    middle: Floats
    size: tuple[float, float]
    turn: float
    color: Floats
    lenses: int


def draw_slab(slab: Slab, scene: Scene, rng: np.random.Generator) -> Layer | None:
    """Draw a slab with round corners, a shiny rim and some lenses."""
    width, height = slab.size
    plane = _Plane.around(slab.middle[None], scene, float(np.hypot(width, height)) / 2 + 0.1)
    if plane is None:
        return None
    c, s = np.cos(slab.turn), np.sin(slab.turn)
    at = (plane.places - slab.middle) @ floats([[c, -s], [s, c]])
    corner = 0.13
    over = np.abs(at) - floats([width / 2 - corner, height / 2 - corner])
    beyond = np.maximum(over, 0)
    inside = corner - np.hypot(beyond[..., 0], beyond[..., 1]) - np.minimum(over.max(-1), 0)
    sheen = 1 + 0.25 * (at @ floats(rng.uniform(-0.5, 0.5, 2)))
    rim = np.exp(-(((inside - 0.02) / 0.025) ** 2))
    colors = slab.color * sheen[..., None] + rng.uniform(20, 90) * rim[..., None]
    for lens in range(slab.lenses):
        off = at - floats([0.22 - width / 2, 0.22 - height / 2 + 0.2 * lens])
        near = np.hypot(off[..., 0], off[..., 1])[..., None]
        colors = np.where(near < 0.08, 18 + 40 * (near > 0.06), colors)
    return plane.layer(scene.light.on(floats(np.clip(colors, 0, 255))), floats(inside))
