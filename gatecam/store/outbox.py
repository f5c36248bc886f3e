"""Deliver events from the store to other systems, at least once and in order, without delaying frames.

store ─► Courier (one thread per output) ─► Output.deliver
  ▲                     │
  └────── cursor ───────┘ kept in the store: after a kill, a delivery is repeated at worst
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from gatecam.errors import OutputError
from gatecam.ports import Output
from gatecam.runtime.backoff import Pauses
from gatecam.runtime.telemetry import Delivering, Telemetry
from gatecam.store.events import EventFilter, EventStore
from gatecam.types import TOGETHER, StoredEvent

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
POLL_S = 1.0  # another program may have added events to the store

log = logging.getLogger(__name__)


class Courier(Delivering):
    """Delivers every event of the store to one output, in a daemon thread of its own.

    A failed delivery is repeated until it succeeds, after pauses that grow from 1 s to 60 s. Events are
    dropped if the store deletes them first. If the store's file is deleted or set aside and a new one is
    created, everything in the new one is delivered.
    """

    def __init__(
        self,
        store: EventStore,
        output: Output,
        telemetry: Telemetry | None = None,
        on_trouble: Callable[[str, str | None], None] = lambda name, text: None,
        is_our_turn: Callable[[], bool] = lambda: True,
        from_start: bool = False,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """Start the thread.

        Args:
            store: provides the events, and keeps the output's cursor.
            output: gets the events. The courier closes it.
            telemetry: counts the events.
            on_trouble: called by the thread with the output's name and the problem, or None when it is over.
            is_our_turn: returns whether this program delivers, and not another one on the same store.
            from_start: whether a new output gets everything in the store, as a copy does. Otherwise it gets
                only new events.
            first_pause_s: the first pause after a failure.
        """
        self.name = output.name
        self._store, self._output = store, output
        self._is_copy = from_start  # a copy gets restored events too
        self._telemetry = telemetry or Telemetry()
        self._on_trouble, self._is_our_turn = on_trouble, is_our_turn
        self._pauses = Pauses(first_pause_s, LONGEST_PAUSE_S)
        self._trouble: str | None = None
        self._lost = 0  # events lost during the current trouble
        self._erased: list[str] = []  # keys of events that a copy got just before they were erased here
        self._from_start = from_start
        self._is_checked = not isinstance(output, DatabaseCopy)
        self._waiting = 0
        self._closing = threading.Event()
        with suppress(OutputError):  # set the cursor of a new output before the first event comes
            self._place()
        self._thread = threading.Thread(target=self._work, name=f"output {self.name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Return how many events the output does not have yet, as last counted."""
        return self._waiting

    def close(self, timeout_s: float = 2.0) -> None:
        """End the thread, within `timeout_s`. Undelivered events are delivered after the next start."""
        self._closing.set()
        with self._store.changed:
            self._store.changed.notify_all()
        self._thread.join(timeout_s)
        self._output.close()

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                self._round()
            except Exception as error:  # no error of an output may end the thread
                self._fail(error)
                self._closing.wait(self._pauses.next())

    def _round(self) -> None:
        """Deliver one batch, or wait if there is nothing to deliver."""
        if not self._is_our_turn():
            self._tell(self._output.trouble, "is fine again")
            self._closing.wait(POLL_S)
            return
        if not self._is_checked:
            self._check_copy()
        self._withdraw()
        with self._store.changed:  # held until waiting, so that no notification is missed
            cursor = self._place()
            backlog = self._store.backlog(cursor, self._output.batch)
            if not backlog.events and not backlog.deleted and not self._closing.is_set():
                self._waiting = 0
                self._store.changed.wait(POLL_S)
        if backlog.deleted:
            self._lose(cursor, backlog.deleted)
        if backlog.events:
            self._deliver(backlog.events)
            self._pauses.reset()
            self._tell(None, "takes events again")
        else:
            self._tell(self._output.trouble, "is fine again, and nothing waits")

    def _check_copy(self) -> None:
        """Copy all events again, once after a start, if the copy lacks the last one that it got.

        Then it is another database, a new one, or one that was restored from a backup.
        """
        assert isinstance(self._output, DatabaseCopy)
        last = self._store.find(EventFilter(before_id=self._place() + 1), 1)
        if last and not self._output.has(last[0]):
            self._store.remove_cursor(self.name)
            log.warning("%s lacks events that it had before: gatecam copies all again.", self.name)
        self._is_checked = True

    def _place(self) -> int:
        """Return the id of the last event that the output has.

        If a cursor is missing after the first call, the file is new, and all of it is delivered.
        """
        cursor = self._store.cursor(self.name, self._from_start, self._is_copy)
        self._from_start = True
        return cursor

    def _lose(self, cursor: int, number: int) -> None:
        """Move the cursor over deleted events. During one trouble, only the first such loss is logged."""
        self._store.move_cursor(self.name, cursor + number)
        self._count("dropped", number)
        if not self._lost:
            log.warning(
                "%d events were deleted before %s got them: repair that output, or raise store.keep_days and "
                "store.keep_mb.",
                number,
                self.name,
            )
        if self._trouble is not None:
            self._lost += number

    def _deliver(self, events: Sequence[StoredEvent]) -> None:
        is_all = len(events) < self._output.batch
        self._waiting = len(events) if is_all else self._store.waiting(events[0].id - 1)
        wanted = [one for one in events if one.event.reason != TOGETHER and self._output.wants(one)]
        number = self._output.deliver(wanted) if wanted else 0
        done = events if number == len(wanted) else events[: events.index(wanted[number])]
        if done:
            self._store.move_cursor(self.name, done[-1].id, [one.id for one in wanted[:number]])
            self._count("sent", number)
        self._withdraw(wanted[:number])
        if number < len(wanted):
            raise OutputError(
                f"{self.name}: took {number} of {len(wanted)} events: the others are sent again."
            )

    def _withdraw(self, copied: Sequence[StoredEvent] = ()) -> None:
        """Delete events from a copy that were erased in the store while they were copied."""
        if not isinstance(self._output, DatabaseCopy):
            return
        if copied:
            there = self._store.notes.known([one.key for one in copied])
            self._erased += [one.key for one in copied if one.key not in there]
        if self._erased:
            self._output.withdraw(self._erased)
            self._erased = []

    def _fail(self, error: Exception) -> None:
        self._count("failed")
        text = str(error) or type(error).__name__
        if not isinstance(error, OutputError):
            text = f"{self.name} failed ({type(error).__name__}: {text}); it is tried again."
        self._tell(text)

    def _tell(self, trouble: str | None, end: str = "") -> None:
        """Report a new trouble, or with None that it is over. `end` says how it ended."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is not None:
            log.warning("%s", trouble)
        else:
            lost, self._lost = self._lost, 0
            log.warning("%s %s%s.", self.name, end, f"; {lost} were deleted meanwhile" if lost else "")
        self._on_trouble(self.name, trouble)


def close_all(couriers: Sequence[Courier]) -> None:
    """Close all couriers at the same time, so that several hanging outputs take no longer than one.

    An error from closing one of them is raised after all are closed.
    """
    with ThreadPoolExecutor(max(1, len(couriers))) as pool:
        list(pool.map(Courier.close, couriers))


class DatabaseCopy:
    """Copies events to another store, such as a PostgreSQL server for many entrances."""

    name = "postgres"
    batch = 500
    trouble = None

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def wants(self, stored: StoredEvent) -> bool:
        """Return True, because every event is copied."""
        return True

    def has(self, stored: StoredEvent) -> bool:
        """Return whether the other store has an event."""
        return bool(self._store.notes.known([stored.key]))

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Copy events. Events that the other store already has count as delivered."""
        self._store.copy(events)
        return len(events)

    def withdraw(self, keys: Sequence[str]) -> None:
        """Delete events from the other store."""
        self._store.erase_keys(keys)

    def close(self) -> None:
        """Close the connections."""
        self._store.close()
