"""Frames at half, a quarter, … of their size, as a batch on a GPU; and where levels lie on P-Net's sheet.

`picture.Picture` has the same of one frame on the CPU, and says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from gatecam.vision.upload import sent

MEAN, STD = 127.5, 128.0  # of pixels, for the networks
GREY = 127  # a pixel that is next to nothing for them
ALIGN_PX, GAP_PX = 8, 16  # of levels on a sheet: P-Net's stride, and so far that one hardly sees into another
SMALLEST_LEVEL_PX = 12  # no level has a shorter side


@dataclass(frozen=True, slots=True)
class Place:
    """Where one level lies on the sheet that P-Net sees."""

    scale: float  # px of the level a px of the frame, across
    scale_down: float  # the same, down
    x: int
    y: int
    width: int
    height: int


class Pyramid:
    """A batch of frames, unlike sizes allowed, ready to be searched and cut from.

    Args:
        images: (H, W, 3) uint8 RGB each, on one device.
    """

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.device = images[0].device
        self.sizes = [(image.shape[0], image.shape[1]) for image in images]
        self._levels = [_halves(image) for image in images]
        flat, starts, widths, heights = [], [], [], []
        at, deepest = 0, max(len(levels) for levels in self._levels)
        for levels in self._levels:
            padded = [*levels, *[levels[-1]] * (deepest - len(levels))]
            start = []
            for depth, level in enumerate(padded):
                if depth < len(levels):
                    flat.append(level.reshape(-1, 3))
                    start.append(at)
                    at += level.shape[0] * level.shape[1]
                else:
                    start.append(start[-1])
            starts.append(start)
            heights.append([level.shape[0] for level in padded])
            widths.append([level.shape[1] for level in padded])
        self._flat = torch.cat(flat)  # (P, 3) uint8: all pixels of all levels
        self._starts = self._sent(starts)  # (n, deepest)
        self._heights = self._sent(heights)
        self._widths = self._sent(widths)
        self._depths = self._sent([len(levels) - 1 for levels in self._levels])

    def _sent(self, values: Sequence[object]) -> Tensor:
        return sent(torch.tensor(values), self.device)

    def level(self, frames: Sequence[int], scale: float, size: tuple[int, int]) -> Tensor:
        """Frames of one size at `scale`, which is `size`: (n, 3, height, width) uint8, channels last."""
        depth = min(level_depth(scale), len(self._levels[frames[0]]) - 1)
        stack = torch.stack([self._levels[i][depth] for i in frames]).permute(0, 3, 1, 2)
        return stack if tuple(stack.shape[2:]) == size else resized(stack, size)

    def crop(self, squares: Tensor, frames: Tensor, size: int) -> Tensor:
        """Squares (n, 4) of the frames `frames` (n,), as (n, 3, size, size) float for the networks.

        Bilinear, from the level at which a square is nearest to `size`; over the edge lies the mean.
        """
        side = (squares[:, 2] - squares[:, 0]).clamp(min=1e-3)
        depth = torch.log2(side / size).round().long().clamp(min=0)
        depth = torch.minimum(depth, self._depths[frames])
        height, width = self._heights[frames, depth], self._widths[frames, depth]  # (n,)
        start = self._starts[frames, depth]
        step = (torch.arange(size, device=self.device) + 0.5) / size  # middles of output pixels
        share = torch.exp2(-depth.float())[:, None]
        x = (squares[:, 0:1] + step * side[:, None]) * share - 0.5  # (n, size)
        y = (squares[:, 1:2] + step * side[:, None]) * share - 0.5
        x0, x1, x_part, x_inside = _taps(x, width)
        y0, y1, y_part, y_inside = _taps(y, height)
        row0, row1 = start[:, None] + y0 * width[:, None], start[:, None] + y1 * width[:, None]

        def at(row: Tensor, column: Tensor) -> Tensor:
            return self._flat[row[:, :, None] + column[:, None, :]].float()  # (n, size, size, 3)

        x_part, y_part = x_part[:, None, :, None], y_part[:, :, None, None]
        top = torch.lerp(at(row0, x0), at(row0, x1), x_part)
        bottom = torch.lerp(at(row1, x0), at(row1, x1), x_part)
        pixels = normalised(torch.lerp(top, bottom, y_part))
        return (pixels * (y_inside[:, :, None] & x_inside[:, None, :])[..., None]).permute(0, 3, 1, 2)


def normalised(pixels: Tensor) -> Tensor:
    """Pixels as the networks take them; float pixels are changed in place, as memory is what costs here."""
    return pixels.float().sub_(MEAN).mul_(1 / STD)


def _taps(at: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The two pixels around each position, the part of the second, and whether it lies in the picture."""
    last = (length - 1)[:, None]
    first = at.floor()
    inside = (at > -1) & (at < length[:, None])
    near = first.long()
    return near.clamp(min=0).minimum(last), (near + 1).clamp(min=0).minimum(last), at - first, inside


def levels_of(height: int, width: int) -> int:
    """How many levels a picture has: down to the smallest one."""
    shorter, count = min(height, width), 1
    while shorter >= 2 * SMALLEST_LEVEL_PX:
        shorter, count = shorter // 2, count + 1
    return count


def level_depth(scale: float) -> int:
    """How often a picture is halved before it is read at `scale`."""
    return max(0, math.floor(-math.log2(scale) + 1e-6))


def _halves(image: Tensor) -> list[Tensor]:
    """The picture (H, W, 3), and halves of it; what is left over of an odd side goes."""
    levels = [image]
    for _ in range(levels_of(image.shape[0], image.shape[1]) - 1):
        height, width = levels[-1].shape[0] // 2, levels[-1].shape[1] // 2
        fours = levels[-1][: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
        levels.append(((fours.to(torch.int16).sum((1, 3)) + 2) >> 2).to(torch.uint8))
    return levels


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) uint8 to `size`, smoothed where it shrinks; CUDA has this for floats alone."""
    if pixels.device.type == "cpu":
        return nnf.interpolate(pixels, size=size, mode="bilinear", antialias=True)
    floats = nnf.interpolate(pixels.float(), size=size, mode="bilinear", antialias=True)
    return floats.round().clamp(0, 255).to(torch.uint8).contiguous(memory_format=torch.channels_last)


def sheet_places(height: int, width: int, scale: float) -> tuple[list[Place], int, int]:
    """Where the levels of a frame lie on one sheet, with the sheet's height and width.

    Each level stands right of the one before or below it, in turns, `GAP_PX` apart and at a multiple of
    `ALIGN_PX`; together they are about 1.5 times the first.
    """
    places: list[Place] = []
    x = y = 0
    while min(h := round(height * scale), w := round(width * scale)) >= SMALLEST_LEVEL_PX:
        places.append(Place(w / width, h / height, x, y, w, h))
        if len(places) % 2:
            x = _up(x + w + GAP_PX)
        else:
            y = _up(y + h + GAP_PX)
        scale /= 2
    if not places:
        return [], 0, 0
    bottom = max(place.y + place.height for place in places)
    right = max(place.x + place.width for place in places)
    return places, _up(bottom), _up(right)


def _up(value: int) -> int:
    return -(-value // ALIGN_PX) * ALIGN_PX
