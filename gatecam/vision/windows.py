"""Cut the part of a frame that the detector searches, and convert boxes to its coordinates and back.

This is the only place that shifts coordinates. The detector and the classifier know nothing of regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatecam.geometry import shift
from gatecam.types import Box, Detection, Image

GRID_PX = 32  # a window starts at a multiple of this, so that pyramid levels down to 1/32 stay the same


@dataclass(frozen=True, slots=True)
class Window:
    """Describes a part of a frame, in whole px of the frame."""

    x1: int
    y1: int
    x2: int
    y2: int

    def cut(self, image: Image) -> Image:
        """Return this part of an image (H, W, 3). Nothing is copied."""
        return image[self.y1 : self.y2, self.x1 : self.x2]

    def inside(self, box: Box) -> Box:
        """Move a box from the frame into the window."""
        return shift(box, -self.x1, -self.y1)

    def outside(self, detection: Detection) -> Detection:
        """Move a detection and its landmarks from the window into the frame."""
        landmarks = detection.landmarks
        if landmarks is not None:
            landmarks = landmarks + np.array([self.x1, self.y1], landmarks.dtype)
        return Detection(shift(detection.box, self.x1, self.y1), detection.score, landmarks)


def window_of(region: Box, hints: Sequence[Box] | None) -> Window:
    """Return the region, or the part of it around the hints.

    The part extends beyond the hints by the side of the largest, because a face moves less than that between
    frames.

    Args:
        region: where faces count, in px of the frame.
        hints: boxes in px of the frame, at least one. None returns the whole region.
    """
    left, top, right, bottom = int(region.x1), int(region.y1), int(region.x2), int(region.y2)
    if hints is None:
        return Window(left, top, right, bottom)
    reach = max(max(box.width, box.height) for box in hints)
    x1, x2 = _span([(box.x1 - left, box.x2 - left) for box in hints], reach, right - left)
    y1, y2 = _span([(box.y1 - top, box.y2 - top) for box in hints], reach, bottom - top)
    return Window(left + x1, top + y1, left + x2, top + y2)


def _span(hints: Sequence[tuple[float, float]], reach: float, length: int) -> tuple[int, int]:
    """Return the start and end of a window along one axis of a region of `length` px."""
    start = min(max(min(first for first, _ in hints) - reach, 0), length - 2)
    start = int(start) // GRID_PX * GRID_PX
    end = max(int(max(last for _, last in hints) + reach), start + GRID_PX)
    return start, min(end, length)
