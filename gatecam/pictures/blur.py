"""Decide where faces must be blurred in a picture that leaves the program.

The faces come from two sources. The pipeline knows the faces that it judges in every frame. A separate
search, a few times a second, finds faces that are too small, too turned or outside the region. A picture
waits until both sources have seen a later frame, so that a face is blurred from its first picture on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from gatecam.geometry import expand, iou
from gatecam.ports import FaceFinder
from gatecam.types import HELD_PIXELS, Box, Step

AHEAD_S = 0.4  # pictures wait this long for a later search
BEHIND_S = 1.0  # the place of a face is blurred for this long after the face was judged there
SEARCH_S = 0.2  # between searches. Someone who walks moves by one face width in this time.
ALIKE = 0.6  # two boxes with more overlap (IoU) are merged
REACH = 2.0  # the same face moves by fewer widths than this between two searches
ALONE = 0.5  # a face found by only one of two searches is grown by this part of its size

Seen = tuple[float, tuple[Box, ...]]
T = TypeVar("T")


class Veil:
    """Decides where faces are blurred in one camera's pictures. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._judged: deque[Seen] = deque()
        self._searched: deque[Seen] = deque()

    def note(self, step: Step) -> None:
        """Add the faces and tracks that the pipeline knows in a frame."""
        now_s = step.frame.time_s
        boxes = *(face.detection.box for face in step.faces), *(track.box for track in step.tracks)
        with self._lock:
            _add(self._judged, (now_s, boxes))

    def wants_search(self, time_s: float) -> bool:
        """Check whether the frame at `time_s` must be searched for faces."""
        with self._lock:
            return not self._searched or not 0 <= time_s - self._searched[-1][0] < SEARCH_S

    def note_search(self, time_s: float, boxes: Sequence[Box]) -> None:
        """Add the boxes that a search found in the frame at `time_s`."""
        with self._lock:
            _add(self._searched, (time_s, tuple(boxes)))

    def boxes(self, time_s: float) -> tuple[Box, ...] | None:
        """Return the boxes to blur in the picture at `time_s`, or None if there is no later search yet."""
        with self._lock:
            judged, searched = tuple(self._judged), tuple(self._searched)
        after = next((seen for seen in searched if seen[0] >= time_s), None)
        if after is None:
            return None
        before = next((seen for seen in reversed(searched) if seen[0] <= time_s), after)
        near = [boxes for at_s, boxes in judged if at_s - time_s >= -BEHIND_S]
        return (*merged(box for some in near for box in some), *swept(before[1], after[1]))


class Cover(Generic[T]):
    """Delays a recording's steps until the boxes to blur in them are known.

    Without a finder nothing is blurred and no step waits.
    """

    def __init__(self, finder: FaceFinder | None) -> None:
        self._finder, self._veil = finder, Veil()
        self._held: deque[tuple[Step, T]] = deque()

    def add(self, step: Step, note: T) -> Iterator[tuple[Step, T, tuple[Box, ...]]]:
        """Add a step and its note. Yield the steps that are ready, each with its note and boxes to blur."""
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
        """Yield the waiting steps after the last one was added."""
        if self._finder is not None and self._held:
            self._search(self._held[-1][0], self._finder)
        while self._finder is not None and self._held:
            yield self._next(self._finder)

    def _holds_too_much(self) -> bool:
        """Check whether the waiting frames take too much memory because they are large or many."""
        return sum(step.frame.pixels for step, _ in self._held) > 2 * HELD_PIXELS

    def _search(self, step: Step, finder: FaceFinder) -> None:
        self._veil.note_search(step.frame.time_s, finder.find(step.frame.image))

    def _next(self, finder: FaceFinder) -> tuple[Step, T, tuple[Box, ...]]:
        step, note = self._held.popleft()
        boxes = self._veil.boxes(step.frame.time_s)
        if boxes is None:  # the step's time is later than the times of the steps after it
            self._search(step, finder)
            boxes = self._veil.boxes(step.frame.time_s)
            assert boxes is not None
        own = *(face.detection.box for face in step.faces), *(track.box for track in step.tracks)
        return step, note, (*boxes, *own)


def cover_each(
    steps: Iterable[tuple[Step, T]], finder: FaceFinder
) -> Iterator[tuple[Step, T, tuple[Box, ...]]]:
    """Search every step, for a few that are kept. Yield each with its note and the boxes to blur in it.

    What the searches before and after found is blurred too. One search alone now and then misses a face.
    """
    veil, before = Veil(), None
    held: deque[tuple[Step, T, list[Box]]] = deque()

    def ready(latest_s: float) -> Iterator[tuple[Step, T, tuple[Box, ...]]]:
        nonlocal before
        while held and held[0][0].frame.time_s <= latest_s:
            step, note, found = held.popleft()
            after = held[0][2] if held else found
            boxes = veil.boxes(step.frame.time_s)
            assert boxes is not None  # the step itself was searched
            yield (
                step,
                note,
                (*boxes, *swept(found if before is None else before, found), *swept(found, after)),
            )
            before = found

    for step, note in steps:
        veil.note(step)
        found = finder.find(step.frame.image)
        veil.note_search(step.frame.time_s, found)
        held.append((step, note, found))
        yield from ready(step.frame.time_s - AHEAD_S)
    yield from ready(float("inf"))


def merged(boxes: Iterable[Box]) -> list[Box]:
    """Merge boxes that nearly agree into one box around them. The result covers at least the same area."""
    kept: list[Box] = []
    for box in boxes:
        near = next((i for i, one in enumerate(kept) if iou(one, box) > ALIKE), None)
        if near is None:
            kept.append(box)
        else:
            kept[near] = _hull(kept[near], box)
    return kept


def swept(before: Sequence[Box], after: Sequence[Box]) -> list[Box]:
    """Return the areas that faces cross between two searches.

    The area of a face is one box around both of its places. If only one search found the face, its box is
    grown instead.
    """
    if before is after:
        return list(before)
    pairs = [(one, other) for one in before for other in after if _may_be_same(one, other)]
    paired = {id(box) for pair in pairs for box in pair}
    alone = [box for box in (*before, *after) if id(box) not in paired]
    return [_hull(*pair) for pair in pairs] + [expand(box, ALONE) for box in alone]


def _add(seen: deque[Seen], new: Seen) -> None:
    """Add an entry and drop those too old to be needed. If the time went back, drop all others."""
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
