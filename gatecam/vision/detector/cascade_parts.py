"""What both ways of running our cascade share: its limits, the part of a frame looked at, P-Net's sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gatecam.config import DetectorConfig
from gatecam.geometry import shift
from gatecam.types import Box, Detection, Floats
from gatecam.vision.detector.networks import CELL_FACE_PX, FACE_PX, STRIDE_PX
from gatecam.vision.detector.pyramid import Place, sheet_places

PROPOSED, REFINED, FACES = 400, 128, 96  # candidates of a frame that P-Net, R-Net and O-Net may hand on
P_IOU, R_IOU = 0.6, 0.6  # above which the weaker of two boxes goes
FACE_SHARE = 0.6  # of the smaller of two faces within the other, above which the weaker goes
CHUNK = 512  # crops that a network takes at once, which bounds memory in a crowd
GRID_PX = 32  # to which the corner of a part of an image is rounded down: levels down to 1/32 stay the same
SIZES_KEPT = 8  # sizes of frames whose sheets are remembered


@dataclass(frozen=True, slots=True)
class View:
    """The part of an image that is looked at, in whole px: all of it, or what lies around its hints."""

    x1: int
    y1: int
    x2: int
    y2: int
    hints: Sequence[Box] | None  # in px of the view
    smallest_px: int  # side of the faces that are looked for

    @staticmethod
    def of(height: int, width: int, hints: Sequence[Box] | None, smallest_px: int) -> View:
        """The view of an image of this size; its corner lies on the grid of the pyramid's levels."""
        if hints is None:
            return View(0, 0, width, height, None, smallest_px)
        reach = max(max(box.width, box.height) for box in hints)
        x1 = min(max(min(box.x1 for box in hints) - reach, 0), width - 2)
        y1 = min(max(min(box.y1 for box in hints) - reach, 0), height - 2)
        x, y = int(x1) // GRID_PX * GRID_PX, int(y1) // GRID_PX * GRID_PX
        x2 = max(int(max(box.x2 for box in hints) + reach), x + GRID_PX)
        y2 = max(int(max(box.y2 for box in hints) + reach), y + GRID_PX)
        moved = [shift(box, -x, -y) for box in hints]
        return View(x, y, min(x2, width), min(y2, height), moved, smallest_px)

    def detection(self, box: Floats, score: float, landmarks: Floats) -> Detection:
        """A face of the view, box (4,) and landmarks (5, 2), in px of the image."""
        x1, y1, x2, y2 = box.tolist()
        corner = np.array([self.x1, self.y1], np.float32)
        return Detection(shift(Box(x1, y1, x2, y2), self.x1, self.y1), score, landmarks + corner)


def views_of(
    config: DetectorConfig,
    sizes: Sequence[Sequence[int]],
    hints: Sequence[Sequence[Box] | None] | None,
    smallest_px: Sequence[int] | None,
) -> dict[int, View]:
    """What is looked at of images (height, width, …), by their index; of some it is nothing.

    Args:
        config: says what is looked for where `smallest_px` is None.
        sizes: of the images.
        hints: as `Detector.detect` takes them.
        smallest_px: as `Detector.detect` takes it.
    """
    asked = [None] * len(sizes) if hints is None else hints
    smallest = smallest_px or [config.smallest_face_px(size[1]) for size in sizes]
    return {
        i: View.of(size[0], size[1], boxes, least_px)
        for i, (size, boxes, least_px) in enumerate(zip(sizes, asked, smallest, strict=True))
        if (boxes is None or len(boxes)) and min(size[:2]) > 1
    }


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Where the levels of frames of one size lie for P-Net, and what its cells stand for."""

    places: tuple[Place, ...]  # none where a frame is too small for a face
    height: int
    width: int
    squares: Floats  # (C, 4): of each cell the square of the frame from which P-Net moves the box
    sides: Floats  # (C, 4) of those squares, twice across and down
    within: NDArray[np.bool_]  # (C,): whether the cell lies in a level


@lru_cache(maxsize=SIZES_KEPT)
def sheet_of(height: int, width: int, smallest_face_px: int) -> Sheet:
    """The sheet of frames of a size; a frame is searched from faces of `smallest_face_px` on."""
    places, sheet_height, sheet_width = sheet_places(height, width, FACE_PX / smallest_face_px)
    cells = np.zeros((sheet_height // STRIDE_PX, sheet_width // STRIDE_PX, 4), np.float32)
    within = np.zeros(cells.shape[:2], np.bool_)
    half = CELL_FACE_PX / 2
    for place in places:
        top, left = place.y // STRIDE_PX, place.x // STRIDE_PX
        rows, columns = -(-place.height // STRIDE_PX), -(-place.width // STRIDE_PX)
        y = np.arange(rows, dtype=np.float32)[:, None] * STRIDE_PX + 0.5
        x = np.arange(columns, dtype=np.float32)[None] * STRIDE_PX + 0.5
        x1, x2 = (x - half) / place.scale, (x + half) / place.scale
        y1, y2 = (y - half) / place.scale_down, (y + half) / place.scale_down
        part = cells[top : top + rows, left : left + columns]
        part[:] = np.stack(np.broadcast_arrays(x1, y1, x2, y2), 2)
        within[top : top + rows, left : left + columns] = True
    squares = cells.reshape(-1, 4)
    sides = np.tile(squares[:, 2:] - squares[:, :2], 2)
    return Sheet(tuple(places), sheet_height, sheet_width, squares, sides, within.reshape(-1))
