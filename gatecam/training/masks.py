"""Masks drawn over bare faces, from five landmarks: what no photograph collection labels with age and gender.

Everything is drawn in the face's own axes: `a` runs from the left eye to the right in parts of the eye
distance, `b` from the eyes down in parts of the distance from eyes to mouth; the origin is between the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.types import Floats, Image


class Wear(StrEnum):
    """How a mask is worn; all but `RIGHT` are wrong."""

    RIGHT = "right"
    UNDER_NOSE = "under_nose"
    NOSE_HALF_OUT = "nose_half_out"
    ON_MOUTH = "on_mouth"
    UNDER_CHIN = "under_chin"


# upper edge at the nose, lower edge at the chin, both as `b`; ranges to draw from
_EDGES = {
    Wear.RIGHT: ((0.12, 0.36), (1.72, 1.95)),
    Wear.UNDER_NOSE: ((0.72, 0.88), (1.75, 2.05)),
    Wear.NOSE_HALF_OUT: ((0.56, 0.68), (1.72, 1.98)),
    Wear.ON_MOUTH: ((0.72, 0.84), (1.25, 1.45)),
    Wear.UNDER_CHIN: ((1.18, 1.42), (1.95, 2.3)),
}
_COLORS = (
    (166, 205, 225),
    (120, 180, 215),
    (240, 242, 244),
    (235, 235, 230),
    (32, 32, 36),
    (70, 72, 78),
    (150, 152, 155),
    (232, 190, 200),
    (140, 190, 170),
    (48, 60, 100),
)  # surgical blues, whites, blacks, greys, pink, green, navy: RGB


@dataclass(frozen=True, slots=True)
class FaceAxes:
    """Maps face coordinates `(a, b)` to pixels; `turn` is how far the nose points aside, in eye distances."""

    origin: Floats
    right: Floats
    down: Floats
    turn: float

    @classmethod
    def of(cls, landmarks: Floats) -> FaceAxes:
        """The axes of (5, 2) landmarks: eyes, nose, mouth corners."""
        eye_l, eye_r, nose, mouth_l, mouth_r = landmarks.astype(np.float32)
        origin = (eye_l + eye_r) / 2
        right = eye_r - eye_l
        down = (mouth_l + mouth_r) / 2 - origin
        if np.linalg.norm(right) < 0.6 * np.linalg.norm(down):  # in profile the eyes close up
            right = right / max(float(np.linalg.norm(right)), 1e-3) * 0.6 * float(np.linalg.norm(down))
        along = float((nose - origin) @ right / max(float(right @ right), 1e-6))
        return cls(origin, right, down, float(np.clip(along, -0.6, 0.6)))

    def px(self, points: list[tuple[float, float]]) -> Floats:
        """(n, 2) pixels of face coordinates; the far cheek of a turned head comes nearer."""
        found = []
        for a, b in points:
            side = a * (1 + self.turn * 0.7) if a > 0 else a * (1 - self.turn * 0.7)
            middle = self.turn * 0.55 * min(b, 1.6)
            found.append(self.origin + self.right * (side * 0.98 + middle) + self.down * b)
        return np.stack(found).astype(np.float32)


def draw_mask(image: Image, landmarks: Floats, wear: Wear, rng: np.random.Generator) -> Image:
    """A new picture of the same face with a mask of random make.

    Args:
        image: (H, W, 3) RGB with the face.
        landmarks: (5, 2) px: eyes, nose, mouth corners.
        wear: how it sits.
        rng: decides shape, colour, folds and straps.
    """
    axes = FaceAxes.of(landmarks)
    (top_lo, top_hi), (low_lo, low_hi) = _EDGES[wear]
    top, low = rng.uniform(top_lo, top_hi), rng.uniform(low_lo, low_hi)
    outline = _smooth(axes.px(_outline(top, low, rng)))
    cover = _cover(image.shape[:2], outline, _blur_px(axes))
    cloth = _shaded(image, _cloth(image.shape[:2], axes, top, low, rng), cover, axes, rng)
    drawn = _straps(image, axes, top, low, rng)
    shadow = _cover(image.shape[:2], outline + axes.down * 0.04, 4 * _blur_px(axes))
    drawn = drawn * (1 - 0.35 * shadow[..., None])
    return _to_image(drawn * (1 - cover[..., None]) + cloth * cover[..., None])


def draw_hand(image: Image, landmarks: Floats, rng: np.random.Generator) -> Image:
    """A new picture of the same face with a hand before mouth or chin: what looks like a mask and is none."""
    axes = FaceAxes.of(landmarks)
    skin = _skin(image, axes) * rng.uniform(0.8, 1.15)
    width = float(np.linalg.norm(axes.right))
    drawn = image.astype(np.float32)
    a, b = rng.uniform(-0.5, 0.5), rng.uniform(0.75, 1.7)
    angle = rng.uniform(-2.6, -0.5)
    reach = np.array([np.cos(angle), np.sin(angle) * 0.8])
    across = np.array([-reach[1], reach[0]])
    fingers = int(rng.integers(1, 5))
    for i in range(fingers):
        offset = across * (i - (fingers - 1) / 2) * 0.27
        tip = np.array([a, b]) + offset + reach * rng.uniform(0.35, 0.75)
        root = np.array([a, b]) + offset * 1.1 - reach * rng.uniform(1.2, 2.2)
        drawn = _finger(
            drawn, axes.px([tuple(root), tuple(tip)]), 0.24 * width, skin * rng.uniform(0.92, 1.05)
        )
    return _to_image(drawn)


def _outline(top: float, low: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Corner points of a mask between two heights, clockwise from the upper left."""
    side_top = top + rng.uniform(0.02, 0.22) if top < 1.2 else top - rng.uniform(0.0, 0.12)
    half = rng.uniform(0.92, 1.12)
    bridge = rng.uniform(0.0, 0.1)
    jaw = rng.uniform(0.62, 0.82)
    return [
        (-half, side_top),
        (-0.45, top + 0.06),
        (0.0, top - bridge),
        (0.45, top + 0.06),
        (half, side_top),
        (half * 0.97, min(side_top + 0.55, low - 0.2)),
        (jaw, low - 0.22),
        (0.28, low),
        (-0.28, low),
        (-jaw, low - 0.22),
        (-half * 0.97, min(side_top + 0.55, low - 0.2)),
    ]


def _smooth(points: Floats) -> Floats:
    """Chaikin's corner cutting (1974), twice."""
    for _ in range(2):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], 1).reshape(-1, 2)
    return points


def _cover(shape: tuple[int, ...], outline: Floats, blur_px: float) -> Floats:
    """How much of each pixel (H, W) lies under an outline, 0 to 1, its edge softened."""
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), blur_px), np.float32) / np.float32(255)


def _blur_px(axes: FaceAxes) -> float:
    return max(0.4, float(np.linalg.norm(axes.right)) * 0.012)


def _cloth(
    shape: tuple[int, ...], axes: FaceAxes, top: float, low: float, rng: np.random.Generator
) -> Floats:
    """The material (H, W, 3): one colour or a pattern, with folds across or one down the middle."""
    color = np.asarray(
        _COLORS[rng.integers(len(_COLORS))] if rng.random() < 0.75 else rng.uniform(20, 240, 3)
    )
    cloth = np.broadcast_to((color * rng.uniform(0.9, 1.05)).astype(np.float32), (*shape[:2], 3)).copy()
    width = float(np.linalg.norm(axes.right))
    if rng.random() < 0.15:
        cloth += _pattern(shape, width, rng)
    if rng.random() < 0.6:
        lines = [
            [(-0.95, b + 0.04), (0.0, b), (0.95, b + 0.04)] for b in np.linspace(top + 0.25, low - 0.3, 4)[:3]
        ]
    else:
        lines = [[(0.0, top), (0.0, (top + low) / 2), (0.0, low)]]
    strength = rng.uniform(6, 26)
    for line in lines:
        points = np.round(axes.px(line) * 16).astype(np.int32)
        ink = np.zeros(shape[:2], np.float32)
        cv2.polylines(ink, [points], False, 1.0, max(1, round(width * 0.03)), cv2.LINE_AA, 4)
        soft = np.asarray(cv2.GaussianBlur(ink, (0, 0), max(0.5, width * 0.02)))
        cloth -= strength * soft[..., None]
    noise = cv2.GaussianBlur(rng.normal(0, 6, shape[:2]).astype(np.float32), (0, 0), 0.8)
    return np.asarray(cloth + noise[..., None], np.float32)


def _pattern(shape: tuple[int, ...], width: float, rng: np.random.Generator) -> Floats:
    """Stripes or dots, about zero: (H, W, 3)."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    period = width * rng.uniform(0.12, 0.4)
    turn = rng.uniform(0, np.pi)
    wave = np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period)
    if rng.random() < 0.5:
        wave = wave * np.sin(2 * np.pi * (y * np.cos(turn) - x * np.sin(turn)) / period)
    tint = rng.uniform(-90, 90, 3).astype(np.float32)
    return np.asarray(np.tanh(3 * wave)[..., None] * tint * 0.5, np.float32)


def _shaded(image: Image, cloth: Floats, cover: Floats, axes: FaceAxes, rng: np.random.Generator) -> Floats:
    """The cloth in the light that falls on the face, darker towards its edges, as round things are."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    width = float(np.linalg.norm(axes.right))
    light = cv2.GaussianBlur(gray, (0, 0), max(1.0, width * 0.35))
    inside = cover > 0.5
    level = float(light[inside].mean()) if inside.any() else 128.0
    relative = (light / max(level, 1.0)) ** 0.7
    exposure = np.clip(level / 140.0, 0.35, 1.15) ** 0.8
    inner = cv2.GaussianBlur(cover, (0, 0), max(1.0, width * 0.22))
    roundness = 1 - rng.uniform(0.1, 0.35) * (1 - np.clip(inner, 0, 1))
    return np.asarray(cloth * (relative * exposure * roundness)[..., None], np.float32)


def _straps(image: Image, axes: FaceAxes, top: float, low: float, rng: np.random.Generator) -> Floats:
    """The face with ear loops; heads show one, both or none of them."""
    drawn = image.astype(np.float32)
    if rng.random() < 0.25:
        return drawn
    width = float(np.linalg.norm(axes.right))
    color = rng.uniform(150, 250) if rng.random() < 0.7 else rng.uniform(20, 60)
    ear = (rng.uniform(1.2, 1.4), rng.uniform(0.05, 0.4))
    ink = np.zeros(image.shape[:2], np.float32)
    for side in (-1, 1):
        for b in (top + 0.12, low - 0.35):
            line = axes.px([(side * 0.98, b), (side * ear[0], ear[1] + (0.15 if b > 1 else 0))])
            points = np.round(line * 16).astype(np.int32)
            cv2.polylines(ink, [points], False, 1.0, max(1, round(width * 0.035)), cv2.LINE_AA, 4)
    ink = ink[..., None] * rng.uniform(0.6, 0.95)
    return drawn * (1 - ink) + color * ink


def _skin(image: Image, axes: FaceAxes) -> Floats:
    """The colour of the cheeks, (3,)."""
    height, width = image.shape[:2]
    points = axes.px([(-0.5, 0.55), (0.5, 0.55), (0.0, 0.1)]).round().astype(int)
    colors = [image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] for x, y in points]
    return np.median(np.asarray(colors, np.float32), axis=0).astype(np.float32)


def _finger(image: Floats, line: Floats, width_px: float, skin: Floats) -> Floats:
    """A finger from its root to its tip, round and with a shadow beside it."""
    points = np.round(line * 16).astype(np.int32)
    ink = np.zeros(image.shape[:2], np.float32)
    cv2.line(ink, points[0].tolist(), points[1].tolist(), 1.0, max(2, round(width_px)), cv2.LINE_AA, 4)
    shadow = cv2.GaussianBlur(ink, (0, 0), max(1.0, width_px * 0.25))
    solid = cv2.GaussianBlur(ink, (0, 0), max(0.5, width_px * 0.06))
    round_ = 0.72 + 0.33 * cv2.GaussianBlur(ink, (0, 0), max(1.0, width_px * 0.3))
    image = image * (1 - 0.3 * shadow[..., None])
    return np.asarray(
        image * (1 - solid[..., None]) + skin * round_[..., None] * solid[..., None], np.float32
    )


def _to_image(pixels: NDArray[np.float32]) -> Image:
    return np.clip(pixels, 0, 255).astype(np.uint8)
