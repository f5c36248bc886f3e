"""Decide which frames of a camera are searched whole, and which boxes are searched in the others.

Searching a few boxes costs a fraction of searching the whole picture. `KeyFrames.plan` makes a frame a key
frame, which is searched whole, if one of these is true:
  1. There is no previous frame, or it has another size, or it is too old.
  2. The last key frame was `detect_every` frames ago, or a new period of ten seconds has begun.
  3. Outside the tracked people, a patch large enough for a face has changed since the last key frame. People
     whose face has been gone for a moment are not counted as tracked.
Otherwise only the boxes that the tracker expects are searched. In an empty scene there are none.
`KeyFrames.review` then checks the faces that were found. If a track has lost its face, the same frame is
searched whole at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.geometry import pair_faces, region_box
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Expected, Face, Floats, Frame, Image

Cells = NDArray[np.bool_]  # (rows, columns)

GAP_S = 0.4  # a previous frame older than this is too old: someone who walks has moved by two face widths
# Motion near a track is ignored only until its face has been gone for this long, because somebody else may
# come there.
COASTS_S = 0.3
# The first frame of each period of this length is a key frame. So two replays of one video that began at
# different frames soon choose the same key frames (docs/adr/0029-archives-in-parts.md).
ANCHOR_S = 10.0
MOTION_PAUSE_S = 0.09  # after a key frame motion is ignored this long: three frames at 30 frames/s

# The grid's cells are half as wide as the smallest face. Sensor noise averages out, and a face fills four.
CELLS_PER_FACE = 2.0
FEWEST_CELLS, MOST_CELLS = 40, 160  # along the longer side
LINES_PER_CELL = 4  # at least this many lines are averaged, because using all would only cost time
LEAST_SHARE = 0.75  # of the smallest face's area. A smaller change cannot hold a face.

# Thresholds for the change of a cell's brightness, 0 to 255.
NOISE_SIGMAS = 4.0
LEAST_CHANGE, SURE_CHANGE = 6.0, 20.0  # compression stays below the first, noise below the second
SIGMA_PER_MEDIAN = 1.4826  # standard deviation / median absolute deviation of a normal distribution

# How far a tracked person reaches beyond the face's edges, in face sides. Measured on people signing.
HEAD_ASIDE, HEAD_UP = 1.5, 1.0  # covers hair and a hand at the ear, but not the next head in a queue
BODY_ASIDE, BODY_UP = 2.5, 0.25  # covers elbows and hands, from the chin to the bottom of the picture


class Searched(StrEnum):
    """Says which part of a frame was searched: all of it, only its tracks, or nothing.

    The first four say why all of it was searched. Each value is the name of a telemetry counter.
    """

    START = "searched_start"
    INTERVAL = "searched_interval"
    MOTION = "searched_motion"
    LOST = "searched_lost"
    TRACKS = "searched_tracks"
    NOTHING = "searched_nothing"


class KeyFrames:
    """Plans the searches of one camera's frames, as the module's docstring describes.

    It implements `ports.SearchPlanner`.
    """

    def __init__(self, config: DetectorConfig, telemetry: Telemetry | None = None) -> None:
        self._config = config
        self._telemetry = telemetry or Telemetry()
        self._view: _View | None = None  # the last planned frame
        self._whole = True  # whether the last planned frame is searched whole
        self._key: _View | None = None  # the last key frame
        self._key_covered: Cells = np.empty((0, 0), np.bool_)
        self._since_key = 0  # frames

    def apply(self, config: DetectorConfig) -> None:
        """Apply new settings. If they change the grid, the next frame is a key frame."""
        self._config = config

    def plan(self, frame: Frame, expected: Sequence[Expected]) -> list[Box] | None:
        """Return the boxes to search in a frame, or None to search the whole frame."""
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
        """Check whether the planned frame must be searched whole after all.

        Args:
            faces: the faces that the last search of this frame found.
        """
        assert self._view is not None, "plan comes before review"
        if self._whole:
            boxes = [face.detection.box for face in faces] + _boxes(self._view.expected)
            self._key, self._key_covered = self._view, self._view.grid.covered(boxes)
            self._since_key = 0
            return False
        self._whole = has_lost(self._view.expected, faces)
        searched = Searched.TRACKS if self._view.expected else Searched.NOTHING
        self._telemetry.count(Searched.LOST if self._whole else searched)
        return self._whole

    def _reason(self, view: _View) -> Searched | None:
        before, key = self._view, self._key
        if before is None or key is None or key.grid != view.grid or view.time_s - before.time_s > GAP_S:
            return Searched.START
        if self._since_key >= self._config.detect_every or is_anchor(before.time_s, view.time_s):
            return Searched.INTERVAL
        if view.time_s - key.time_s >= MOTION_PAUSE_S:
            covered = self._key_covered | view.grid.covered(_boxes(view.expected))
            if has_changed(key.cells, view.cells, ~covered, view.grid.least_cells):
                return Searched.MOTION
        return None


def is_anchor(before_s: float, time_s: float) -> bool:
    """Check whether a new period of `ANCHOR_S` has begun between two frames."""
    return time_s // ANCHOR_S != before_s // ANCHOR_S


@dataclass(frozen=True, slots=True)
class Grid:
    """Divides the searched part of a picture into square cells.

    `region` is the searched part in whole pixels, and `cell_px` is the side of a cell. The grid leaves out
    less than one cell at the right and the bottom. A change of fewer than `least_cells` cells is too small to
    hold a face.
    """

    region: Box
    rows: int
    columns: int
    cell_px: int
    least_cells: int

    @classmethod
    def of(cls, config: DetectorConfig, image: Image) -> Grid:
        """Return the grid for pictures of this size."""
        height, width = image.shape[:2]
        region = region_box(config.region or (0.0, 0.0, 1.0, 1.0), width, height)
        face_px = config.smallest_face_px(int(region.width))
        longer, shorter = max(region.width, region.height), min(region.width, region.height)
        count = min(max(CELLS_PER_FACE * longer / face_px, FEWEST_CELLS), MOST_CELLS)
        cell_px = int(min(max(1, longer / count), shorter))
        least_cells = max(1, round(LEAST_SHARE * (face_px / cell_px) ** 2))
        return cls(region, int(region.height) // cell_px, int(region.width) // cell_px, cell_px, least_cells)

    def brightness(self, image: Image) -> Floats:
        """Return the mean green value of each cell, (rows, columns), 0 to 255.

        Green alone is enough, because it makes up most of the brightness.
        """
        top, left = int(self.region.y1), int(self.region.x1)
        bottom, right = top + self.rows * self.cell_px, left + self.columns * self.cell_px
        step = max(1, self.cell_px // LINES_PER_CELL)
        green = cv2.extractChannel(image[top:bottom:step, left:right], 1)
        cells = cv2.resize(green, (self.columns, self.rows), interpolation=cv2.INTER_AREA)
        return cells.astype(np.float32)

    def covered(self, boxes: Iterable[Box]) -> Cells:
        """Mark the cells that people with these faces can reach with their heads, bodies and hands."""
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
    """Holds a frame's brightness per cell, (rows, columns), and the tracks expected in it."""

    time_s: float
    grid: Grid
    cells: Floats
    expected: tuple[Expected, ...]


def has_changed(before: Floats, now: Floats, free: Cells, least_cells: int) -> bool:
    """Check whether the free cells of two pictures differ in a connected patch of at least `least_cells`.

    The median difference is subtracted first, because exposure and lights change all cells alike. The
    threshold follows the scene's noise, which is estimated from the median of the remaining differences.

    Args:
        before: brightness of the cells, (rows, columns).
        now: brightness of the same cells later.
        free: marks the cells to compare.
        least_cells: number of changed cells, connected at sides or corners, that make a change.
    """
    if not free.any():
        return False
    difference = now - before
    compared = difference[free]
    if compared.max() - compared.min() <= LEAST_CHANGE:
        return False  # no cell can differ more than that from the median, which takes longer to find
    change = np.abs(difference - np.median(compared))
    noise = SIGMA_PER_MEDIAN * float(np.median(change[free]))
    bar = min(max(NOISE_SIGMAS * noise, LEAST_CHANGE), SURE_CHANGE)
    changed = ((change > bar) & free).view(np.uint8)
    if np.count_nonzero(changed) < least_cells:
        return False
    _, _, patches, _ = cv2.connectedComponentsWithStats(changed)
    return bool(patches[1:, cv2.CC_STAT_AREA].max() >= least_cells)


def _boxes(expected: Iterable[Expected]) -> list[Box]:
    """Return the boxes of the tracks near which motion causes no search of the whole picture."""
    return [track.box for track in expected if track.missing_s <= COASTS_S]


def has_lost(expected: Sequence[Expected], faces: Sequence[Face]) -> bool:
    """Check whether a track that had a face in the previous frame has none now."""
    found = pair_faces(expected, [face.detection.box for face in faces])
    return any(track.seen and index not in found for index, track in enumerate(expected))


def _span(start: float, end: float, cell_px: int, count: int) -> slice:
    """Return the cells, out of `count`, that the pixels from `start` to `end` touch."""
    first, last = (min(max(at / cell_px, 0.0), float(count)) for at in (start, end))
    return slice(math.floor(first), math.ceil(last))
