"""Decides which frames of a camera are searched whole, and where the others are looked at.

A look at a few boxes costs a fraction of a search of the whole picture. `KeyFrames.plan` asks of each frame:
  1. is there nothing to go by: no frame before, one of another size, or one too long ago?
  2. was the last whole search `detect_every` frames ago?
  3. has something that may hold a face changed since then, outside the people who are tracked?
If so, it is a key frame and is searched whole. If not, only the boxes that the tracker expects are looked at,
and in an empty scene none. `KeyFrames.review` sees what that found: if a track has lost its face, the same
frame is searched whole at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.geometry import iou, region_box
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.config import DetectorConfig
from gatecam.types import Box, Expected, Face, Floats, Frame, Image

Cells = NDArray[np.bool_]  # (rows, columns)

GAP_S = 0.4  # between frames, after which a walker is two face widths away
MOTION_PAUSE_S = 0.09  # after a key frame: three frames of 30 a second; no new face waits longer

# The picture in cells of half the smallest face: sensor noise averages out, and a face fills four.
CELLS_PER_FACE = 2.0
FEWEST_CELLS, MOST_CELLS = 40, 160  # along the longer side
LINES_PER_CELL = 4  # that are averaged at least; all lines of a large picture would only cost
LEAST_SHARE = 0.75  # of the smallest face's area: a change that covers less holds no face

# Change of a cell's brightness, of 255.
NOISE_SIGMAS = 4.0
LEAST_CHANGE, SURE_CHANGE = 6.0, 20.0  # below the first it may be coding, above the second it is no noise
SIGMA_PER_MEDIAN = 1.4826  # of a normal distribution: its deviation over the median of its amounts

# Where a tracked person moves, in sides of the face from its edges; measured on people signing.
HEAD_ASIDE, HEAD_UP = 1.5, 1.0  # hair, a hand at the ear; not yet the next head in a queue
BODY_ASIDE, BODY_UP = 2.5, 0.25  # elbows and hands, from the chin down to the picture's bottom


class Searched(StrEnum):
    """What was searched of a frame: all of it, for one of four reasons, its tracks, or nothing.

    Each is the name of a counter of the telemetry.
    """

    START = "searched_start"
    INTERVAL = "searched_interval"
    MOTION = "searched_motion"
    LOST = "searched_lost"
    TRACKS = "searched_tracks"
    NOTHING = "searched_nothing"


class KeyFrames:
    """Plans the searches of one camera's frames; see the module's text. Implements `ports.SearchPlanner`."""

    def __init__(self, config: DetectorConfig, telemetry: Telemetry | None = None) -> None:
        self._config = config
        self._telemetry = telemetry or Telemetry()
        self._view: _View | None = None  # of the frame that was planned last
        self._whole = True  # whether that one is searched whole
        self._key: _View | None = None  # of the last key frame
        self._key_covered: Cells = np.empty((0, 0), np.bool_)
        self._since_key = 0  # frames

    def apply(self, config: DetectorConfig) -> None:
        """Go on by other settings; where they search another part, the next frame is a key frame."""
        self._config = config

    def plan(self, frame: Frame, expected: Sequence[Expected]) -> list[Box] | None:
        """The boxes to look at in a frame, or None where it is to be searched whole."""
        grid = Grid.of(self._config, frame.image)
        view = _View(frame.time_s, grid, grid.brightness(frame.image), tuple(expected))
        self._since_key += 1
        reason = self._reason(view)
        self._view, self._whole = view, reason is not None
        if reason is None:
            return [track.box for track in expected]
        self._telemetry.count(reason)
        return None

    def review(self, faces: Sequence[Face]) -> bool:
        """Whether the frame is to be searched whole after all; `faces` are what its last search found."""
        assert self._view is not None, "plan comes before review"
        if self._whole:
            boxes = [face.detection.box for face in faces] + [track.box for track in self._view.expected]
            self._key, self._key_covered = self._view, self._view.grid.covered(boxes)
            self._since_key = 0
            return False
        self._whole = has_lost(self._view.expected, faces)
        looked = Searched.TRACKS if self._view.expected else Searched.NOTHING
        self._telemetry.count(Searched.LOST if self._whole else looked)
        return self._whole

    def _reason(self, view: _View) -> Searched | None:
        before, key = self._view, self._key
        if before is None or key is None or key.grid != view.grid or view.time_s - before.time_s > GAP_S:
            return Searched.START
        if self._since_key >= self._config.detect_every:
            return Searched.INTERVAL
        if view.time_s - key.time_s >= MOTION_PAUSE_S:
            covered = self._key_covered | view.grid.covered(track.box for track in view.expected)
            if has_changed(key.cells, view.cells, ~covered, view.grid.least_cells):
                return Searched.MOTION
        return None


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells over what is searched of a picture.

    `region` is in whole px of the picture, `cell_px` the side of a cell; less than a cell at the right and
    the bottom is left over. A change of fewer than `least_cells` cells is too small to hold a face.
    """

    region: Box
    rows: int
    columns: int
    cell_px: int
    least_cells: int

    @classmethod
    def of(cls, config: DetectorConfig, image: Image) -> Grid:
        """The grid for pictures of this one's size."""
        height, width = image.shape[:2]
        region = region_box(config.region or (0.0, 0.0, 1.0, 1.0), width, height)
        face_px = config.smallest_face_px(int(region.width))
        longer, shorter = max(region.width, region.height), min(region.width, region.height)
        count = min(max(CELLS_PER_FACE * longer / face_px, FEWEST_CELLS), MOST_CELLS)
        cell_px = int(min(max(1, longer / count), shorter))
        least_cells = max(1, round(LEAST_SHARE * (face_px / cell_px) ** 2))
        return cls(region, int(region.height) // cell_px, int(region.width) // cell_px, cell_px, least_cells)

    def brightness(self, image: Image) -> Floats:
        """The mean of each cell's green, (rows, columns), 0 to 255; most of the light is green."""
        top, left = int(self.region.y1), int(self.region.x1)
        bottom, right = top + self.rows * self.cell_px, left + self.columns * self.cell_px
        step = max(1, self.cell_px // LINES_PER_CELL)
        green = cv2.extractChannel(image[top:bottom:step, left:right], 1)
        cells = cv2.resize(green, (self.columns, self.rows), interpolation=cv2.INTER_AREA)
        return cells.astype(np.float32)

    def covered(self, boxes: Iterable[Box]) -> Cells:
        """Which cells people with these faces reach: all that head or body, with the hands, touch."""
        cells = np.zeros((self.rows, self.columns), np.bool_)
        for box in boxes:
            side = math.sqrt(box.area)
            head = self._rows(box.y1 - HEAD_UP * side, box.y2), self._columns(box, HEAD_ASIDE * side)
            body = self._rows(box.y2 - BODY_UP * side, math.inf), self._columns(box, BODY_ASIDE * side)
            cells[head] = cells[body] = True
        return cells

    def _rows(self, top: float, bottom: float) -> slice:
        return _span(top - self.region.y1, bottom - self.region.y1, self.cell_px, self.rows)

    def _columns(self, box: Box, aside: float) -> slice:
        left, right = box.x1 - aside - self.region.x1, box.x2 + aside - self.region.x1
        return _span(left, right, self.cell_px, self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A frame as motion is looked for in it: (rows, columns) of brightness, and the tracks expected there."""

    time_s: float
    grid: Grid
    cells: Floats
    expected: tuple[Expected, ...]


def has_changed(before: Floats, now: Floats, free: Cells, least_cells: int) -> bool:
    """Whether the free cells of two pictures differ in a patch of `least_cells` that touch each other.

    A change of all brightness alike (exposure, lights) is taken out as the median of the differences. The
    bar stands on the scene's own noise, by the median of what is left.

    Args:
        before: brightness of the cells (rows, columns).
        now: the same cells later.
        free: those to look at.
        least_cells: that touch, at a side or a corner, for a change.
    """
    if not free.any():
        return False
    difference = now - before
    change = np.abs(difference - np.median(difference[free]))
    noise = SIGMA_PER_MEDIAN * float(np.median(change[free]))
    bar = min(max(NOISE_SIGMAS * noise, LEAST_CHANGE), SURE_CHANGE)
    changed = ((change > bar) & free).view(np.uint8)
    if np.count_nonzero(changed) < least_cells:
        return False
    _, _, patches, _ = cv2.connectedComponentsWithStats(changed)
    return bool(patches[1:, cv2.CC_STAT_AREA].max() >= least_cells)


def has_lost(expected: Sequence[Expected], faces: Sequence[Face]) -> bool:
    """Whether a track that had a face in the frame before has none of these; a face is of one track."""
    found = set()
    for face in faces:
        overlaps = [iou(track.box, face.detection.box) for track in expected]
        if overlaps and max(overlaps) > 0:
            found.add(overlaps.index(max(overlaps)))
    return any(track.seen and index not in found for index, track in enumerate(expected))


def _span(start: float, end: float, cell_px: int, count: int) -> slice:
    """The cells of `count` that a stretch of px touches."""
    first, last = (min(max(at / cell_px, 0.0), float(count)) for at in (start, end))
    return slice(math.floor(first), math.ceil(last))
