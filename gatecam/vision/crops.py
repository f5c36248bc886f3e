"""Crop faces from frames for the classifier. Training and serving both use this code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from gatecam.types import Floats, Image

EDGE_PX = 2  # around a square, because bilinear samples reach beyond it
SAMPLES = 2  # bilinear samples per side of an output pixel. They skip no pixel of faces up to 4 × `size`.
INTERPOLATION = "roi_align_2"  # the name of this method in specs
PIXEL_MEAN, PIXEL_STD = 127.5, 128.0  # with which our training normalizes crops, as the weights' spec says


@dataclass(frozen=True, slots=True)
class CropSpec:
    """Says how faces are cropped for certain weights. The weights' spec stores it."""

    size: int
    margin: float
    mean: float
    std: float
    interpolation: str = INTERPOLATION

    def without_margin(self) -> CropSpec:
        """Return this spec without a margin, for pictures that are already crops."""
        return replace(self, margin=0.0)


def crop_faces(images: Sequence[Image], boxes: Sequence[Floats], spec: CropSpec) -> Floats:
    """Crop the square around every box of every image. Return (N, size, size, 3) float, image after image.

    Pixels outside of the image are filled with the mean.

    Args:
        images: (H, W, 3) uint8 RGB each. Sizes may differ.
        boxes: (n, 4) float each, in pixels of their image.
        spec: the crop settings of the weights.
    """
    crops = [
        _cropped(image, square, spec)
        for image, image_boxes in zip(images, boxes, strict=True)
        for square in squares_of(np.asarray(image_boxes, np.float32), spec.margin)
    ]
    return np.stack(crops) if crops else np.zeros((0, spec.size, spec.size, 3), np.float32)


def _cropped(image: Image, square: Floats, spec: CropSpec) -> Floats:
    """Cut one square (4,) to (size, size, 3), as RoIAlign does (He et al. 2017, section 3).

    Each pixel is the mean of `SAMPLES`² bilinear samples. A sample up to one pixel outside of the image takes
    the value at the edge. Samples farther away are the mean. Only the pixels that the square needs are
    converted to floats.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = square.tolist()
    left, top = (min(max(0, math.floor(v) - EDGE_PX), size - 1) for v, size in ((x1, width), (y1, height)))
    right, bottom = math.ceil(x2) + EDGE_PX, math.ceil(y2) + EDGE_PX
    window = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    floats = (window.astype(np.float32) - np.float32(spec.mean)) * np.float32(1 / spec.std)
    count = spec.size * SAMPLES
    step = (x2 - x1) / count
    across, down = x1 - left + (step - 1) / 2, y1 - top + (step - 1) / 2  # the first sample, in the window
    sampled = cv2.warpAffine(
        floats,
        np.array([[step, 0, across], [0, step, down]]),
        (count, count),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    sampled[_outside(down, step, count, window.shape[0])] = 0
    sampled[:, _outside(across, step, count, window.shape[1])] = 0
    return np.asarray(cv2.resize(sampled, (spec.size, spec.size), interpolation=cv2.INTER_AREA))


def _outside(
    first: float, step: float, count: int, length: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which of `count` samples along one axis are more than a pixel outside of the window."""
    at = first + step * np.arange(count)
    return np.asarray((at < -1) | (at > length))


def squares_of(boxes: Floats, margin: float) -> Floats:
    """Return the square to crop for each box: (n, 4) to (n, 4).

    The detector's networks and the classifier see such squares. Each is the smallest one around its box,
    enlarged by `margin` of its side.
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) * ((1 + margin) / 2)
    return np.concatenate([middle - half, middle + half], 1)
