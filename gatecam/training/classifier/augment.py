"""Augment faces for training: poor cameras, difficult light and inexact boxes.

The changes apply to the patch, before the classifier's crop is cut from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from gatecam.training.classifier.recipe import AUGMENTATIONS
from gatecam.training.data.patches import Faces
from gatecam.types import Floats, Image
from gatecam.vision.crops import CropSpec, crop_faces

BORDERS = (cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT)


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Holds a picture of one face, with its box (4,) and landmarks (5, 2) in pixels, NaN where not found."""

    image: Image
    box: Floats
    landmarks: Floats


def augmented_crop(
    patch: Patch, spec: CropSpec, rng: np.random.Generator, wanted: Sequence[str] = AUGMENTATIONS
) -> Tensor:
    """Return the classifier's input (3, size, size) for a patch that was changed at random.

    Args:
        wanted: which of `recipe.AUGMENTATIONS` may happen.
    """
    image, box = patch.image, patch.box
    if "border" in wanted:
        image, box = _bordered(image, box, rng)
    if "rotation" in wanted and rng.random() < 0.6:
        image, box = _rotated(image, box, rng)
    for name, part, step in _STEPS:
        if name in wanted and rng.random() < part:
            image = step(image, box, rng)
    if "jitter" in wanted:
        box = _loose(box, rng)
    crop = _crop(image, box, spec)
    if "flip" in wanted and rng.random() < 0.5:
        crop = crop.flip(2)
    if "erasing" in wanted and rng.random() < 0.15:
        crop = _erased(crop, rng)
    return crop


def patch_of(faces: Faces, row: int) -> Patch:
    """Return one face of a set."""
    height, width = faces.sizes[row]
    return Patch(faces.patches[row, :height, :width], faces.boxes[row], faces.landmarks[row])


def plain_crop(patch: Patch, spec: CropSpec) -> Tensor:
    """Return the classifier's input (3, size, size) for an unchanged patch."""
    return _crop(patch.image, patch.box, spec)


def _crop(image: Image, box: Floats, spec: CropSpec) -> Tensor:
    """Return the classifier's input (3, size, size)."""
    return torch.from_numpy(crop_faces([image], [box[None]], spec)[0]).permute(2, 0, 1)


def _bordered(image: Image, box: Floats, rng: np.random.Generator) -> tuple[Image, Floats]:
    """Add the surroundings that a cut-out face lacks. The network would learn from the picture's edge."""
    border = int(max(image.shape[:2]) * 0.25)
    kind = BORDERS[rng.integers(len(BORDERS))]
    value = tuple(int(v) for v in rng.integers(0, 255, 3))
    wide = cv2.copyMakeBorder(image, border, border, border, border, kind, value=value)
    return np.asarray(wide, np.uint8), box + border


def _rotated(image: Image, box: Floats, rng: np.random.Generator) -> tuple[Image, Floats]:
    middle = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
    matrix = cv2.getRotationMatrix2D(middle, float(rng.normal(0, 9)), 1.0)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT_101), np.uint8), box


def _loose(box: Floats, rng: np.random.Generator) -> Floats:
    """Change the box as if another detector or annotator had placed it."""
    side = float(max(box[2] - box[0], box[3] - box[1]))
    grow = rng.triangular(0.86, 1.0, 1.16) if rng.random() < 0.65 else rng.uniform(0.7, 1.2)
    shift = rng.normal(0, 0.045, 2) * side
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]) + shift
    half = side * grow / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def _backlight(image: Image, box: Floats, rng: np.random.Generator) -> Image:
    """Simulate light from behind: a dark face in front of a bright room."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    far = np.hypot(x - middle[0], y - middle[1]) / max(float(box[3] - box[1]), 1.0)
    light = rng.uniform(0.35, 0.7) + np.clip(far - 0.45, 0, 1) * rng.uniform(0.5, 2)
    return np.asarray(np.clip(image * light[..., None], 0, 255), np.uint8)


def _colour(image: Image, box: Floats, rng: np.random.Generator) -> Image:
    """Change exposure, white balance and saturation, sometimes to grey."""
    levels = np.tile(np.arange(256, dtype=np.float32)[:, None] / 255, (1, 3))
    if rng.random() < 0.8:
        levels = levels ** rng.uniform(0.65, 1.5) * rng.uniform(0.75, 1.2) + rng.uniform(-0.06, 0.06)
        levels = levels * rng.uniform(0.88, 1.12, 3)
    pixels = cv2.LUT(image, (levels * 255).astype(np.float32)[None])
    if rng.random() < 0.6:
        keep = 0.0 if rng.random() < 0.12 else rng.uniform(0.4, 1.3)
        pixels = cv2.transform(pixels, keep * np.eye(3) + (1 - keep) / 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _resolution(image: Image, box: Floats, rng: np.random.Generator) -> Image:
    """Simulate a distant face: shrink it to 20 to 70 px and enlarge it again."""
    scale = min(1.0, rng.uniform(20, 70) / _side(box))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    back = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=back), np.uint8)


def _blur(image: Image, box: Floats, rng: np.random.Generator) -> Image:
    """Blur the picture as if it were out of focus or moving."""
    side = _side(box)
    if rng.random() < 0.67:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, side * 0.02 + 0.5)), np.uint8)
    length = int(rng.integers(3, max(4, int(side * 0.08) + 4)))
    return np.asarray(cv2.blur(image, (length, 1) if rng.random() < 0.7 else (1, length)), np.uint8)


def _noise(image: Image, box: Floats, rng: np.random.Generator) -> Image:
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(2, 14))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _jpeg(image: Image, box: Floats, rng: np.random.Generator) -> Image:
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def _side(box: Floats) -> float:
    return max(8.0, float(box[3] - box[1]))


# each step in the order in which a camera makes a picture, with its probability
_STEPS: tuple[tuple[str, float, Callable[[Image, Floats, np.random.Generator], Image]], ...] = (
    ("backlight", 0.12, _backlight),
    ("colour", 0.85, _colour),
    ("resolution", 0.4, _resolution),
    ("blur", 0.28, _blur),
    ("noise", 0.25, _noise),
    ("jpeg", 0.3, _jpeg),
)


def _erased(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """Erase a small rectangle at random (Zhong et al. 2017).

    It stays small, because a crop without its mouth would not show the labelled mask state.
    """
    size = crop.shape[1]
    height, width = (int(rng.integers(size // 10, size // 4)) for _ in range(2))
    y, x = int(rng.integers(0, size - height)), int(rng.integers(0, size - width))
    shade = rng.uniform(-1, 1, (3, 1, 1)).astype(np.float32)
    crop[:, y : y + height, x : x + width] = torch.from_numpy(shade)
    return crop
