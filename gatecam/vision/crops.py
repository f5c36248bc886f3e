"""Crop faces from frames for the classifier. Training and serving both use this code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gatecam.vision.ops import roi_align

EDGE_PX = 2  # around a square, because bilinear samples reach beyond it
SAMPLES = 2  # bilinear samples per side of an output pixel; smooth up to faces of four times the input size


@dataclass(frozen=True, slots=True)
class CropSpec:
    """Says how faces are cropped for certain weights. The weights' spec stores it."""

    size: int
    margin: float
    mean: float
    std: float
    interpolation: str = "roi_align_2"

    def without_margin(self) -> CropSpec:
        """Return this spec without a margin, for pictures that are already crops."""
        return replace(self, margin=0.0)


def crop_faces(images: Sequence[Tensor], boxes: Sequence[Tensor], spec: CropSpec) -> Tensor:
    """Crop every box of every image: (N, 3, size, size) float, image after image.

    A crop is the smallest square around the box, enlarged by `margin` of its side. Pixels outside of the
    image are filled with the mean.

    Args:
        images: (H, W, 3) uint8 RGB each, on the CPU. Sizes may differ.
        boxes: (n, 4) float each, in pixels of their image.
        spec: the crop settings of the weights.
    """
    crops = []
    for image, image_boxes in zip(images, boxes, strict=True):
        if len(image_boxes) == 0:
            continue
        crops += [_cropped(image, square, spec) for square in squares_of(image_boxes.float(), spec.margin)]
    if not crops:
        return torch.zeros(0, 3, spec.size, spec.size)
    return torch.cat(crops)


def _cropped(image: Tensor, square: Tensor, spec: CropSpec) -> Tensor:
    """Cut one square (4,): (1, 3, size, size). Only the pixels it needs are converted to floats."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = square.tolist()
    left, top = (min(max(0, math.floor(v) - EDGE_PX), size - 1) for v, size in ((x1, width), (y1, height)))
    right, bottom = math.ceil(x2) + EDGE_PX, math.ceil(y2) + EDGE_PX
    window = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    floats = (window.permute(2, 0, 1)[None].float() - spec.mean) / spec.std  # (1, 3, h, w)
    inside = square[None] - square.new_tensor([left, top, left, top])
    return roi_align(floats, inside, spec.size, SAMPLES)


def squares_of(boxes: Tensor, margin: float) -> Tensor:
    """Return the square to crop for each box: (n, 4) to (n, 4)."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) * (1 + margin) / 2
    return torch.cat([middle - half, middle + half], 1)
