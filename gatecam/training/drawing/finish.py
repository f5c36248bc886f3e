"""Blend layers into a picture so that they look as if the same camera had taken them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from gatecam.training.drawing.cloth import noise
from gatecam.training.drawing.light import Light
from gatecam.training.drawing.mesh import Layer
from gatecam.training.drawing.scene import Scene
from gatecam.types import Floats, Image

SHADOW = 0.32  # largest share of the light that a layer takes from the face beside it


def lay_over(scene: Scene, layers: Sequence[Layer], rng: np.random.Generator) -> Image:
    """Return a copy of the picture with layers over it, farthest first.

    The layers get the picture's blur, noise and compression, and cast shadows.
    """
    image, light, unit_px = scene.image, scene.light, scene.pose.unit_px
    drawn = np.array(image)
    if not layers:
        return drawn
    border = int(np.ceil(unit_px * 0.25 + 3 * light.blur_px)) + 2
    x1, y1, x2, y2 = _box(layers, border, scene.shape)
    under = image[y1:y2, x1:x2].astype(np.float32)
    colors, cover = _stacked(layers, (x1, y1), under.shape)
    under *= (1 - _shadow(cover, light, unit_px, rng))[..., None]
    sigma = max(0.35, light.blur_px * rng.uniform(0.5, 0.9))
    colors, cover = (np.asarray(cv2.GaussianBlur(a, (0, 0), sigma), np.float32) for a in (colors, cover))
    grain = _grain(cover.shape, light, rng)
    mixed = under * (1 - cover[..., None]) + colors + (grain * cover)[..., None]
    drawn[y1:y2, x1:x2] = _compressed(np.clip(mixed, 0, 255).astype(np.uint8), cover, rng)
    return drawn


def _box(layers: Sequence[Layer], border: int, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the part of the picture that changes."""
    x1, y1 = min(layer.x for layer in layers) - border, min(layer.y for layer in layers) - border
    x2 = max(layer.x + layer.cover.shape[1] for layer in layers) + border
    y2 = max(layer.y + layer.cover.shape[0] for layer in layers) + border
    return max(0, x1), max(0, y1), min(shape[1], x2), min(shape[0], y2)


def _stacked(
    layers: Sequence[Layer], corner: tuple[int, int], shape: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Combine all layers in a window of the picture.

    Return their colours (h, w, 3), multiplied by the cover, and their cover (h, w).
    """
    colors, cover = np.zeros(shape, np.float32), np.zeros(shape[:2], np.float32)
    for layer in layers:
        top, left = layer.y - corner[1], layer.x - corner[0]
        spot = np.s_[top : top + layer.cover.shape[0], left : left + layer.cover.shape[1]]
        kept = 1 - layer.cover
        colors[spot] = colors[spot] * kept[..., None] + layer.colors * layer.cover[..., None]
        cover[spot] = cover[spot] * kept + layer.cover
    return colors, cover


def _shadow(cover: Floats, light: Light, unit_px: float, rng: np.random.Generator) -> Floats:
    """Return how much darker the face is near what covers it: close to its edge, and away from the light."""
    right, down = (-light.slope * 0.12 * unit_px).tolist()
    shift = np.array([[1, 0, right], [0, 1, max(down, 0.02 * unit_px)]], np.float32)
    moved = cv2.warpAffine(cover, shift, cover.shape[::-1])
    soft = cv2.GaussianBlur(moved, (0, 0), max(0.8, 0.07 * unit_px))
    return np.asarray(soft * (rng.uniform(0.5, 1.0) * SHADOW), np.float32)


def _grain(shape: tuple[int, ...], light: Light, rng: np.random.Generator) -> Floats:
    """Return noise as strong as the picture's, smoothed a little as a camera's processing does."""
    white = noise(shape, rng)
    smeared = cv2.GaussianBlur(white, (3, 3), 0.6)
    return np.asarray((0.4 * white + 1.2 * smeared) * np.float32(light.noise), np.float32)


def _compressed(mixed: Image, cover: Floats, rng: np.random.Generator) -> Image:
    """Compress the drawn pixels as JPEG does. The other pixels have been through that already."""
    quality = int(rng.integers(62, 95))
    _, coded = cv2.imencode(".jpg", mixed, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.where((cover > 0.02)[..., None], decoded, mixed)
