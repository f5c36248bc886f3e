"""Read the health of all doors again and again, tell silent doors, and keep what the page shows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from gatecam.errors import OutputError
from gatecam.fleet.silence import Silences
from gatecam.store.doors import DoorReport
from gatecam.store.events import Arrivals, EventStore
from gatecam.store.statistics import day_ms
from gatecam.types import Event

POLL_S = 2.0
GAP_S = 3 * POLL_S  # a longer time between two readings is an outage of the database
TODAY_S = 30.0  # time between two counts of today's people, which read every event of the day

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Holds what was last read of all doors.

    `silent` are the names of doors whose silence was told. `today` has the people of today by door. `read_at`
    is when the health was read, None before the first time.
    """

    doors: tuple[DoorReport, ...] = ()
    silent: frozenset[str] = frozenset()
    today: Mapping[str, Arrivals] = field(default_factory=dict)
    read_at: datetime | None = None


class FleetWatch:
    """Reads the shared database in a daemon thread. Neither the pages nor the outputs wait for it."""

    def __init__(
        self,
        store: EventStore,
        silences: Silences,
        send: Callable[[Event], None],
        on_trouble: Callable[[str | None], None],
        clock: Callable[[], datetime],
        poll_s: float = POLL_S,
    ) -> None:
        """Start the thread.

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
        self._counted_s: float | None = None
        self._day: date | None = None
        self.fleet = Fleet()  # replaced as a whole, so that any thread may read it
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="fleet", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, within about two seconds."""
        self._closing.set()
        self._thread.join(2)

    def _work(self) -> None:
        while True:
            try:
                self._turn(time.monotonic())
                self._tell(None)
            except OutputError as error:
                self._tell(str(error))
            except Exception as error:  # no error may end the thread
                log.exception("The doors could not be watched.")
                self._tell(f"the doors cannot be watched ({type(error).__name__}: {error}).")
            if self._closing.wait(self._poll_s):
                return

    def _turn(self, now_s: float) -> None:
        """Read the health of all doors, send what is to be told, and count today's people now and then."""
        doors = tuple(self._store.doors.all())
        now = self._clock()
        self._unsent += [
            replace(event, at=now.isoformat(timespec="milliseconds"))
            for event in self._silences.note(doors, now_s)
        ]
        self.fleet = replace(self.fleet, doors=doors, silent=frozenset(self._silences.told), read_at=now)
        while self._unsent:
            self._send(self._unsent[0])
            del self._unsent[0]
        if self._counted_s is None or now_s - self._counted_s >= TODAY_S or now.date() != self._day:
            sums = self._store.arrivals_of_each(("door",), *day_ms(now.date()))
            self.fleet = replace(self.fleet, today={door: people for (door,), people in sums.items()})
            self._counted_s, self._day = now_s, now.date()

    def _tell(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._on_trouble(trouble)
            log.warning("%s", trouble or "The doors are watched again.")
        self._trouble = trouble
