"""Build the pyramid of a frame, and cut the inputs of P-Net, R-Net and O-Net from it.

Each level is half the size of the one above, and each pixel is the mean of four (Williams 1983, "Pyramidal
Parametrics": mipmaps). P-Net's first level may have any scale, and each further one is half of it. A square
is read from the level nearest to its own resolution, so that no crop skips pixels, however large the face.
Training uses the same code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from gatecam.types import Floats, Image

GREY = 127  # fills empty parts; close to 0 after normalization
# grid (P-Net's stride) and gap of the levels on a sheet, so that one hardly affects another
ALIGN_PX, GAP_PX = 8, 16
SMALLEST_LEVEL_PX = 12  # no level has a shorter side


@dataclass(frozen=True, slots=True)
class Place:
    """Says where one level lies on the sheet that P-Net sees."""

    scale: float  # px of the level per px of the frame, horizontally
    scale_down: float  # the same, vertically
    x: int
    y: int
    width: int
    height: int


class Picture:
    """Holds one frame and its pyramid. Levels are computed on first use.

    Args:
        image: (H, W, 3) uint8. A view of a larger image works too.
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
        """Return the picture at `scale`, resized to `size`: (height, width, 3) uint8.

        Each pixel is the mean of those that it covers, as in the levels. A side may be a pixel longer than
        the level's, because halves of odd sides are rounded.
        """
        level = self._level(min(level_depth(scale), self._deepest))
        if level.shape[:2] == size:
            return level
        shrinks = level.shape[0] > size[0]
        return np.asarray(
            cv2.resize(level, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        )

    def cut(self, square: Floats, out: Image) -> None:
        """Write a square (4,) of the picture into `out` (S, S, 3) with bilinear sampling.

        Pixels outside of the picture become grey.
        """
        x1, y1, x2, _ = square.tolist()
        side, size = max(x2 - x1, 1e-3), out.shape[0]
        depth = min(max(round(math.log2(side / size)), 0), self._deepest)
        share = 0.5**depth
        step = side * share / size
        # the middle of the first pixel
        across, down = x1 * share + (step - 1) / 2, y1 * share + (step - 1) / 2
        cv2.warpAffine(
            self._level(depth),
            np.array([[step, 0, across], [0, step, down]]),
            (size, size),
            dst=out,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(GREY, GREY, GREY),
        )


def levels_of(height: int, width: int) -> int:
    """Return the number of levels of a picture, down to the smallest one."""
    shorter, count = min(height, width), 1
    while shorter >= 2 * SMALLEST_LEVEL_PX:
        shorter, count = shorter // 2, count + 1
    return count


def level_depth(scale: float) -> int:
    """Return how often a picture is halved before it is read at `scale`."""
    return max(0, math.floor(-math.log2(scale) + 1e-6))


def sheet_places(height: int, width: int, scale: float) -> tuple[list[Place], int, int]:
    """Arrange the levels of a frame on one sheet. Return their places, and the sheet's height and width.

    Levels are placed alternately to the right of and below the previous ones. They are `GAP_PX` apart and
    start at multiples of `ALIGN_PX`. The sheet is about 1.5 times as large as the first level.
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
