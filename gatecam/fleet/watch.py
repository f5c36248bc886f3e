"""Read the health of all doors regularly, report silent doors, and keep what the page shows."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from gatecam.errors import OutputError
from gatecam.fleet.silence import Silences
from gatecam.store.doors import DoorReport
from gatecam.store.events import Arrivals, EventStore
from gatecam.store.statistics import day_ms
from gatecam.types import Event

POLL_S = 2.0
GAP_S = 3 * POLL_S  # a longer time between two readings is an outage of the database
# The time between two counts of today's people, which read every event of the day. It is at least
# `TODAY_REST` times as long as the last count took, even if that count failed.
TODAY_S, TODAY_REST = 30.0, 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Holds what was last read of all doors.

    `silent` are the names of doors whose silence was reported. `today` has the people of today by door, or is
    None until they are counted. `read_at` is when the health was read, None before the first time.
    """

    doors: tuple[DoorReport, ...] = ()
    silent: frozenset[str] = frozenset()
    today: Mapping[str, Arrivals] | None = None
    read_at: datetime | None = None


class FleetWatch:
    """Reads the shared database in daemon threads. Neither the pages nor the outputs wait for them.

    Today's people are counted in a thread of their own, because that takes seconds after many events.
    """

    def __init__(
        self,
        store: EventStore,
        silences: Silences,
        send: Callable[[Event], None],
        on_trouble: Callable[[str | None], None],
        clock: Callable[[], datetime],
        poll_s: float = POLL_S,
    ) -> None:
        """Start the threads.

        Args:
            store: has the events and the health of all doors.
            silences: decides which doors are silent.
            send: stores an event about a door for the outputs, or raises `OutputError`.
            on_trouble: called with a sentence when the database begins to fail, and with None when it works.
            clock: returns the time of day.
            poll_s: time between two readings.
        """
        self._store, self._silences, self._send = store, silences, send
        self._on_trouble, self._clock, self._poll_s = on_trouble, clock, poll_s
        self._unsent: list[Event] = []
        self._trouble: str | None = None
        self._uncounted: str | None = None  # why today's people are not counted
        self._day: date | None = None  # whose people are counted
        self._fleet, self._changing = Fleet(), threading.Lock()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=work, name="fleet", daemon=True)
            for work in (self._repeat_watch, self._repeat_count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def fleet(self) -> Fleet:
        """Return what was last read. It is replaced as a whole, and never changes."""
        return self._fleet

    def close(self) -> None:
        """End the threads, within some seconds."""
        self._closing.set()
        for thread in self._threads:
            thread.join(2)

    def _repeat_watch(self) -> None:
        while True:
            try:
                self._watch()
            except Exception as error:  # no error may end the thread
                self._tell(_sentence("the doors cannot be watched", error))
            if self._closing.wait(self._poll_s):
                return

    def _repeat_count(self) -> None:
        """Count today's people again and again. A count that is too long for the database keeps it busy."""
        rest_s = TODAY_S
        while True:
            start_s = time.monotonic()
            try:
                self._count()
                self._uncounted, rest_s = None, TODAY_S
            except Exception as error:  # no error may end the thread
                self._uncounted = f"Today's people are not counted: {_sentence('this failed', error)}"
                rest_s = self._poll_s
            if self._closing.wait(max(rest_s, TODAY_REST * (time.monotonic() - start_s))):
                return

    def _watch(self) -> None:
        """Read the health of all doors, and send events about silent doors."""
        start_s = time.monotonic()
        doors = tuple(self._store.doors.all())
        end_s, now = time.monotonic(), self._clock()
        at = now.isoformat(timespec="milliseconds")
        # An event may reach the disk although the write failed. The key keeps it from being stored twice.
        events = self._silences.note(doors, end_s, end_s - start_s)
        self._unsent += [replace(one, at=at, key=uuid.uuid4().hex) for one in events]
        self._change(doors=doors, silent=frozenset(self._silences.reported), read_at=now)
        while self._unsent:
            self._send(self._unsent[0])
            del self._unsent[0]
        self._tell(self._uncounted)  # only now, because the count fails as well if the database is away

    def _count(self) -> None:
        """Count today's people at all doors."""
        day = self._clock().date()
        if day != self._day:  # the figures are of the day before
            self._day = day
            self._change(today=None)
        sums = self._store.arrivals_of_each(("door",), *day_ms(day))
        self._change(today={door: people for (door,), people in sums.items()})

    def _change(self, **changes: Any) -> None:
        with self._changing:
            self._fleet = replace(self._fleet, **changes)

    def _tell(self, trouble: str | None) -> None:
        """Report a trouble that is new, or with None that the last one is over."""
        if trouble != self._trouble:
            self._on_trouble(trouble)
            log.warning("%s", trouble or "The doors are watched again.")
        self._trouble = trouble


def _sentence(what: str, error: Exception) -> str:
    """Return a sentence about an error. `what` says what failed, if the error is an unexpected one."""
    return str(error) if isinstance(error, OutputError) else f"{what} ({type(error).__name__}: {error})."
