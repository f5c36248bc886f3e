"""Note in the store how long events lasted and what was said aloud, off the hot path.

LiveSinks ─► Endings (when what an event reports is over) ─┐
sound ─► what was played ─────────────────────────────────┴─► NoteWriter (a thread) ─► the store
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from gatecam.errors import OutputError
from gatecam.types import Event, EventKind, Step

MOST_WAITING = 1000  # notes; with more, the oldest are lost
TRIES, PAUSE_S = 10, 1.0  # an event may be stored later than its note comes
ENDED_BY = {EventKind.CAMERA_OK: EventKind.CAMERA_BLIND, EventKind.FAST_ENOUGH: EventKind.TOO_SLOW}

log = logging.getLogger(__name__)


class NoteWriter:
    """Writes notes to the store in a daemon thread. A note may be lost, because nothing may wait for it."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        """Start the thread. After a failure it waits for `pause_s`."""
        self._waiting: deque[Callable[[], bool]] = deque(maxlen=MOST_WAITING)
        self._changed = threading.Condition()
        self._closing = False
        self._pause_s = pause_s
        self._thread = threading.Thread(target=self._work, name="notes", daemon=True)
        self._thread.start()

    def write(self, note: Callable[[], bool]) -> None:
        """Queue a function that writes a note. It is called again while it returns False or fails."""
        with self._changed:
            self._waiting.append(note)
            self._changed.notify_all()

    def close(self) -> None:
        """Try once to write each waiting note, and end the thread within about two seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(2)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._waiting)
                if not self._waiting:
                    return
                note = self._waiting.popleft()
            for _ in range(TRIES):
                if self._is_written(note):
                    break
                if self._wait():
                    self._is_written(note)  # its event may have been stored since
                    break

    def _is_written(self, note: Callable[[], bool]) -> bool:
        try:
            return note()
        except OutputError as error:
            log.debug("A note about an event is written later: %s", error)
            return False

    def _wait(self) -> bool:
        """Wait before the next try. Return True if there is no time for one."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, self._pause_s)


@dataclass(slots=True)
class _Open:
    """Holds an alert that has not ended. `seen_s` is when its person was last seen, on the frames' clock."""

    event: Event
    seen_s: float


class Endings:
    """Finds out when what events report has ended. Only the live loop uses it.

    An alert about a person ends when the person puts a mask on, or else when the person was last seen. An
    alert about a camera ends with the event that says so, as `ENDED_BY` lists.
    """

    def __init__(self, on_end: Callable[[str, int], None]) -> None:
        """Call `on_end` with an event's key and the time of its end, in ms since 1970."""
        self._on_end = on_end
        self._people: dict[tuple[str, int], list[_Open]] = {}
        self._cameras: dict[tuple[str, EventKind], Event] = {}

    def note(self, step: Step, events: list[Event]) -> None:
        """Take a step of a camera, and its events with their keys."""
        camera, now_s = step.frame.camera, step.frame.time_s
        for event in events:
            key = camera, event.track_id
            if event.kind.is_alert:
                self._people.setdefault(key, []).append(_Open(event, now_s))
            elif event.kind is EventKind.MASK_OK:
                self._end(key, now_s)
        if not self._people:
            return
        seen_s = {track.id: now_s - track.missing_s for track in step.tracks}
        for key in [key for key in self._people if key[0] == camera]:
            if key[1] in seen_s:
                for one in self._people[key]:
                    one.seen_s = max(one.seen_s, seen_s[key[1]])
            else:
                self._end(key)

    def note_camera(self, event: Event) -> None:
        """Take an event about a camera."""
        if event.kind.is_alert:
            self._cameras.setdefault((event.camera, event.kind), event)
        elif begun := self._cameras.pop((event.camera, ENDED_BY[event.kind]), None):
            self._on_end(begun.key, _wall_ms(begun, event.time_s))

    def keep(self, cameras: Collection[str]) -> None:
        """End the alerts about people at all cameras except these. The ends of outages stay unknown."""
        for key in [key for key in self._people if key[0] not in cameras]:
            self._end(key)
        self._cameras = {key: event for key, event in self._cameras.items() if key[0] in cameras}

    def _end(self, key: tuple[str, int], time_s: float | None = None) -> None:
        for one in self._people.pop(key, ()):
            self._on_end(one.event.key, _wall_ms(one.event, one.seen_s if time_s is None else time_s))


def _wall_ms(event: Event, time_s: float) -> int:
    """Convert a time on the frames' clock to ms since 1970, from an event that has both times."""
    return round(1000 * (datetime.fromisoformat(event.at).timestamp() + time_s - event.time_s))
