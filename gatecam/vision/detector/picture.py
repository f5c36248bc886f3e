"""A frame at half, a quarter, … of its size on the CPU, and squares cut from it: what our cascade is shown.

Each level is half of the one above, each pixel the mean of four (Williams 1983, "Pyramidal Parametrics":
mipmaps). P-Net's levels begin at any scale and go down by halves; a square is read from the level that is
nearest to its own resolution, so that no crop skips pixels, however large the face. Training cuts here too;
`pyramid.Pyramid` gives the same on a GPU.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch

from gatecam.types import Floats, Image
from gatecam.vision.detector.pyramid import GREY, level_depth, levels_of, resized


class Picture:
    """One frame; levels are made when something is read from them.

    Args:
        image: (H, W, 3) uint8, also a part of a larger one.
    """

    def __init__(self, image: Image) -> None:
        self.size = (image.shape[0], image.shape[1])
        self._levels = [image]
        self._deepest = levels_of(*self.size) - 1

    def _level(self, depth: int) -> Image:
        while len(self._levels) <= depth:
            above = self._levels[-1]
            height, width = above.shape[0] // 2, above.shape[1] // 2
            even = above[: 2 * height, : 2 * width]
            self._levels.append(np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)))
        return self._levels[depth]

    def level(self, scale: float, size: tuple[int, int]) -> Image:
        """The picture at `scale`, which is `size`: (height, width, 3) uint8."""
        level = self._level(min(level_depth(scale), self._deepest))
        if level.shape[:2] == size:
            return level
        pixels = torch.from_numpy(np.ascontiguousarray(level)).permute(2, 0, 1)[None]
        return np.asarray(resized(pixels, size)[0].permute(1, 2, 0).numpy())

    def cut(self, square: Floats, out: Image) -> None:
        """Write a square (4,) of the picture, bilinear, into `out` (S, S, 3); over the edge lies grey."""
        x1, y1, x2, _ = square.tolist()
        side, size = max(x2 - x1, 1e-3), out.shape[0]
        depth = min(max(round(math.log2(side / size)), 0), self._deepest)
        share = 0.5**depth
        step = side * share / size
        across, down = x1 * share + (step - 1) / 2, y1 * share + (step - 1) / 2  # the first pixel's middle
        cv2.warpAffine(
            self._level(depth),
            np.array([[step, 0, across], [0, step, down]]),
            (size, size),
            dst=out,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(GREY, GREY, GREY),
        )
