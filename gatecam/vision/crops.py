"""The one way from a frame and a box to the classifier's input; training and serving both call it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gatecam.vision.ops import roi_align

EDGE_PX = 2  # around a square, which bilinear samples reach
GATHERED = 64  # crops that are gathered at once, which bounds memory
SAMPLES = 2  # bilinear samples a side and output pixel: smooth up to faces of four times the input


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How faces are cropped for some weights: stands in their spec, never in code."""

    size: int
    margin: float
    mean: float
    std: float
    interpolation: str = "roi_align_2"

    def without_margin(self) -> CropSpec:
        """The same for pictures that are crops already."""
        return replace(self, margin=0.0)


def crop_faces(images: Sequence[Tensor], boxes: Sequence[Tensor], spec: CropSpec) -> Tensor:
    """The classifier's input for every box of every image: (N, 3, size, size) float, image after image.

    A crop is the smallest square around the box, grown by `margin` of its side; what lies over the edge of
    the frame is filled with the mean.

    Args:
        images: (H, W, 3) uint8 RGB each, unlike sizes allowed.
        boxes: (n, 4) float each, in pixels of their image.
        spec: the weights' crop.
    """
    crops = []
    for image, image_boxes in zip(images, boxes, strict=True):
        if len(image_boxes) == 0:
            continue
        squares = squares_of(image_boxes.float(), spec.margin)
        if image.device.type == "cpu":
            crops += [_cropped(image, square, spec) for square in squares]
        else:  # one pass; to know a window there would mean to wait for it
            crops.append(_aligned(image, squares, spec))
    if not crops:
        return torch.zeros(0, 3, spec.size, spec.size)
    return torch.cat(crops)


def _aligned(pixels: Tensor, squares: Tensor, spec: CropSpec) -> Tensor:
    floats = (pixels.permute(2, 0, 1)[None].float() - spec.mean) / spec.std  # (1, 3, H, W)
    return roi_align(floats, squares, spec.size, SAMPLES)


def _cropped(image: Tensor, square: Tensor, spec: CropSpec) -> Tensor:
    """The same from the part of the image that the square touches: the rest need not become floats."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = square.tolist()
    left, top = (min(max(0, math.floor(v) - EDGE_PX), size - 1) for v, size in ((x1, width), (y1, height)))
    right, bottom = math.ceil(x2) + EDGE_PX, math.ceil(y2) + EDGE_PX
    window = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return _aligned(window, square[None] - square.new_tensor([left, top, left, top]), spec)


def crop_gathered(pixels: Tensor, places: Tensor, boxes: Tensor, spec: CropSpec) -> Tensor:
    """The same crops of boxes of any frames in a buffer, on a GPU: (N, 3, size, size) float, box after box.

    It reads only what it needs, and waits for nothing.

    Args:
        pixels: (P, 3) uint8: the rows of one frame after those of another.
        places: (N, 3) int64: of each box's frame its first row in `pixels`, its height and its width.
        boxes: (N, 4) px.
        spec: the weights' crop.
    """
    squares = squares_of(boxes.float(), spec.margin)
    parts = zip(torch.split(places, GATHERED), torch.split(squares, GATHERED), strict=True)
    return torch.cat([_gathered(pixels, place, square, spec) for place, square in parts])


def _gathered(pixels: Tensor, places: Tensor, squares: Tensor, spec: CropSpec) -> Tensor:
    count = spec.size * SAMPLES
    step = (torch.arange(count, device=pixels.device) + 0.5) / count  # middles of the samples
    side = squares[:, 2:] - squares[:, :2]
    left, right, across, in_x = _taps(squares[:, 0:1] + step * side[:, 0:1] - 0.5, places[:, 2:3])
    above, below, down, in_y = _taps(squares[:, 1:2] + step * side[:, 1:2] - 0.5, places[:, 1:2])
    top, bottom = places[:, 0:1] + above * places[:, 2:3], places[:, 0:1] + below * places[:, 2:3]

    def at(row: Tensor, column: Tensor) -> Tensor:
        return pixels[row[:, :, None] + column[:, None, :]].float()  # (N, count, count, 3)

    across, down = across[:, None, :, None], down[:, :, None, None]
    upper = torch.lerp(at(top, left), at(top, right), across)
    lower = torch.lerp(at(bottom, left), at(bottom, right), across)
    values = (torch.lerp(upper, lower, down) - spec.mean) / spec.std
    values *= (in_y[:, :, None] & in_x[:, None, :])[..., None]  # over the edge lies the mean
    pooled = values.view(-1, spec.size, SAMPLES, spec.size, SAMPLES, 3).mean((2, 4))
    return pooled.permute(0, 3, 1, 2)


def _taps(at: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The two pixels around each position as roi_align has them, the second's part, if it is inside."""
    inside = (at >= -1) & (at <= length)
    first = at.clamp(min=0).long().minimum(length - 1)
    second = (first + 1).minimum(length - 1)
    return first, second, (at.clamp(min=0) - first).clamp(max=1), inside


def squares_of(boxes: Tensor, margin: float) -> Tensor:
    """The square that is cropped for each box: (n, 4) to (n, 4)."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) * (1 + margin) / 2
    return torch.cat([middle - half, middle + half], 1)
