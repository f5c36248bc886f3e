"""Where a picture that leaves the program is to be blurred, which shows only a moment later.

Two know of faces: the pipeline, of every frame those that it judges; and a search of its own, a few times a
second, for faces too small, too turned or outside the region to be judged. A picture waits until both have
seen what came after it, so that a face is blurred from its first picture on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from gatecam.geometry import expand, iou
from gatecam.ports import FaceFinder
from gatecam.types import HELD_PIXELS, Box, Step

AHEAD_S = 0.4  # a face is searched for at least that often: pictures wait so long
BEHIND_S = 1.0  # after which a face that was there is not blurred any more
SEARCH_S = 0.2  # between searches; a walker is one face width away by then
ALIKE = 0.6  # overlap (IoU) from which two boxes are blurred as one
REACH = 2.0  # widths that the same face may be away from one search to the next
ALONE = 0.5  # of its sides by which a face is grown that only one of two searches found

Seen = tuple[float, tuple[Box, ...]]
T = TypeVar("T")


class Veil:
    """One camera's; any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._judged: deque[Seen] = deque()
        self._searched: deque[Seen] = deque()

    def note(self, step: Step) -> None:
        """Take in what the pipeline knows of a frame."""
        now_s = step.frame.time_s
        boxes = *(face.detection.box for face in step.faces), *(track.box for track in step.tracks)
        with self._lock:
            _add(self._judged, (now_s, boxes))

    def wants_search(self, time_s: float) -> bool:
        """Whether the frame of that time is to be searched."""
        with self._lock:
            return not self._searched or not 0 <= time_s - self._searched[-1][0] < SEARCH_S

    def note_search(self, time_s: float, boxes: Sequence[Box]) -> None:
        """Take in what a search of the frame of that time has found."""
        with self._lock:
            _add(self._searched, (time_s, tuple(boxes)))

    def boxes(self, time_s: float) -> tuple[Box, ...] | None:
        """What is to be blurred in the picture of that time; None while no later search is there."""
        with self._lock:
            judged, searched = tuple(self._judged), tuple(self._searched)
        after = next((seen for seen in searched if seen[0] >= time_s), None)
        if after is None:
            return None
        before = next((seen for seen in reversed(searched) if seen[0] <= time_s), after)
        near = [boxes for at_s, boxes in judged if at_s - time_s >= -BEHIND_S]
        return (*merged(box for some in near for box in some), *swept(before[1], after[1]))


class Cover(Generic[T]):
    """Holds a recording's steps back until it is known what is to be blurred in them.

    Without a finder nothing is, and no step waits.
    """

    def __init__(self, finder: FaceFinder | None) -> None:
        self._finder, self._veil = finder, Veil()
        self._held: deque[tuple[Step, T]] = deque()

    def add(self, step: Step, note: T) -> Iterator[tuple[Step, T, tuple[Box, ...]]]:
        """Take in a step and what belongs to it; the ones that are now known, each with its boxes."""
        if self._finder is None:
            yield step, note, ()
            return
        now_s = step.frame.time_s
        self._veil.note(step)
        if self._veil.wants_search(now_s):
            self._search(step, self._finder)
        self._held.append((step, note))
        while not 0 <= now_s - self._held[0][0].frame.time_s < AHEAD_S or self._holds_too_much():
            yield self._next(self._finder)

    def rest(self) -> Iterator[tuple[Step, T, tuple[Box, ...]]]:
        """The ones that still wait, once there are no more."""
        if self._finder is not None and self._held:
            self._search(self._held[-1][0], self._finder)
        while self._finder is not None and self._held:
            yield self._next(self._finder)

    def _holds_too_much(self) -> bool:
        """Check whether frames that are large, or that follow each other fast, take too much memory."""
        return sum(step.frame.pixels for step, _ in self._held) > 2 * HELD_PIXELS

    def _search(self, step: Step, finder: FaceFinder) -> None:
        self._veil.note_search(step.frame.time_s, finder.find(step.frame.image))

    def _next(self, finder: FaceFinder) -> tuple[Step, T, tuple[Box, ...]]:
        step, note = self._held.popleft()
        boxes = self._veil.boxes(step.frame.time_s)
        if boxes is None:  # its time is later than those of the steps that came after it
            self._search(step, finder)
            boxes = self._veil.boxes(step.frame.time_s)
            assert boxes is not None
        own = *(face.detection.box for face in step.faces), *(track.box for track in step.tracks)
        return step, note, (*boxes, *own)


def merged(boxes: Iterable[Box]) -> list[Box]:
    """Fewer boxes that cover at least the same: those that nearly agree become one around them."""
    kept: list[Box] = []
    for box in boxes:
        near = next((i for i, one in enumerate(kept) if iou(one, box) > ALIKE), None)
        if near is None:
            kept.append(box)
        else:
            kept[near] = _hull(kept[near], box)
    return kept


def swept(before: Sequence[Box], after: Sequence[Box]) -> list[Box]:
    """What faces pass over between two searches: one box around each and where it is found again."""
    if before is after:
        return list(before)
    pairs = [(one, other) for one in before for other in after if _may_be_same(one, other)]
    paired = {id(box) for pair in pairs for box in pair}
    alone = [box for box in (*before, *after) if id(box) not in paired]
    return [_hull(*pair) for pair in pairs] + [expand(box, ALONE) for box in alone]


def _add(seen: deque[Seen], new: Seen) -> None:
    """Keep what may still be asked for; a clock that went back begins anew."""
    if seen and new[0] < seen[-1][0]:
        seen.clear()
    seen.append(new)
    while len(seen) > 1 and seen[0][0] < new[0] - BEHIND_S - AHEAD_S - SEARCH_S:
        seen.popleft()


def _may_be_same(one: Box, other: Box) -> bool:
    (x1, y1), (x2, y2) = one.center, other.center
    side = max(one.width, other.width)
    is_like = 0.6 < one.width / max(other.width, 1e-6) < 1.7
    return is_like and max(abs(x1 - x2), abs(y1 - y2)) < REACH * side


def _hull(one: Box, other: Box) -> Box:
    return Box(min(one.x1, other.x1), min(one.y1, other.y1), max(one.x2, other.x2), max(one.y2, other.y2))
