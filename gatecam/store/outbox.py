"""Takes events from the store to other systems: at least once, in order, off the hot path.

store ─► Courier (one thread an output) ─► Output.deliver
  ▲                     │
  └──── how far it is ──┘ kept in the store: a kill repeats a delivery at worst
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from gatecam.errors import OutputError
from gatecam.ports import Output
from gatecam.runtime.telemetry import Telemetry
from gatecam.store.events import EventStore
from gatecam.types import StoredEvent

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
POLL_S = 1.0  # another program may have added to the store

log = logging.getLogger(__name__)


class Courier:
    """Delivers every event of the store to one output, in a daemon thread of its own.

    After a failure the same events are tried again, after pauses that grow from 1 s to 60 s, for ever. When
    the store's file is deleted or set aside and a new one begun, all that the new one holds is delivered.
    The counts `<name>_sent`, `<name>_failed` and `<name>_dropped` go to the telemetry.
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
            store: where events come from, and where it is kept how far the output is.
            output: is closed with the courier.
            telemetry: gets the counts.
            on_trouble: told the output's name and what is wrong, and None when it is over; by the thread.
            is_our_turn: whether this program, and no other on the same store, is the one that delivers.
            from_start: whether a new output gets all that the store holds; else what comes from now on.
            first_pause_s: the first pause after a failure.
        """
        self.name = output.name
        self._store, self._output = store, output
        self._is_copy = from_start
        self._telemetry = telemetry or Telemetry()
        self._on_trouble, self._is_our_turn = on_trouble, is_our_turn
        self._first_pause_s = self._pause_s = first_pause_s
        self._trouble: str | None = None
        self._lost = 0  # in this trouble
        self._from_start = from_start
        self._waiting = 0
        self._closing = threading.Event()
        with suppress(OutputError):  # a new output has its place before the first event comes
            self._place()
        self._thread = threading.Thread(target=self._work, name=f"output {self.name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Events that the output has not yet, as of the last look."""
        return self._waiting

    @property
    def sent(self) -> int:
        """Events that the output took."""
        return self._telemetry.counter(f"{self.name}_sent")

    @property
    def failed(self) -> int:
        """Deliveries that failed; their events come again."""
        return self._telemetry.counter(f"{self.name}_failed")

    @property
    def dropped(self) -> int:
        """Events that the output will never get, as the store deleted them before."""
        return self._telemetry.counter(f"{self.name}_dropped")

    def close(self, timeout_s: float = 2.0) -> None:
        """End, for at most `timeout_s`; what is not delivered is, at the next start."""
        self._closing.set()
        with self._store.changed:
            self._store.changed.notify_all()
        self._thread.join(timeout_s)
        self._output.close()

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                self._round()
            except Exception as error:  # whatever an output raises must not end the thread
                self._fail(error)
                self._closing.wait(self._pause_s)
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _round(self) -> None:
        """Deliver once, or wait where there is nothing to deliver."""
        if not self._is_our_turn():
            self._tell(self._output.trouble, "is in no trouble any more")
            self._closing.wait(POLL_S)
            return
        with self._store.changed:  # held from look to wait, so that no notice falls between
            cursor = self._place()
            backlog = self._store.backlog(cursor, self._output.batch)
            if not backlog.events and not backlog.deleted and not self._closing.is_set():
                self._waiting = 0
                self._store.changed.wait(POLL_S)
        if backlog.deleted:
            self._lose(cursor, backlog.deleted)
        if backlog.events:
            self._deliver(backlog.events)
            self._pause_s = self._first_pause_s
            self._tell(None, "takes events again")
        else:
            self._tell(self._output.trouble, "is in no trouble any more, and nothing waits")

    def _place(self) -> int:
        """The last event that the output has; once it had a place, a file without one is new."""
        cursor = self._store.cursor(self.name, self._from_start, self._is_copy)
        self._from_start = True
        return cursor

    def _lose(self, cursor: int, number: int) -> None:
        """Go on after events that are deleted; of many such losses in one trouble the first is logged."""
        self._store.move_cursor(self.name, cursor + number)
        self._telemetry.count(f"{self.name}_dropped", number)
        if not self._lost:
            log.warning(
                "%d events were deleted that %s never got: mend it, or raise store.keep_days and keep_mb.",
                number,
                self.name,
            )
        if self._trouble is not None:
            self._lost += number

    def _deliver(self, events: Sequence[StoredEvent]) -> None:
        is_all = len(events) < self._output.batch
        self._waiting = len(events) if is_all else self._store.waiting(events[0].id - 1)
        number = self._output.deliver(events)
        if number:
            self._store.move_cursor(self.name, events[number - 1].id)
            self._telemetry.count(f"{self.name}_sent", number)
        if number < len(events):
            raise OutputError(f"{self.name}: took {number} of {len(events)} events: the others come again.")

    def _fail(self, error: Exception) -> None:
        self._telemetry.count(f"{self.name}_failed")
        text = str(error) or type(error).__name__
        if not isinstance(error, OutputError):
            text = f"{self.name} failed ({type(error).__name__}: {text}); it is tried again."
        self._tell(text)

    def _tell(self, trouble: str | None, end: str = "") -> None:
        """Say what is wrong, or None when it is over and how it came to its end; once each."""
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
    """Close all at the same time, so that several outputs that hang take no longer than one.

    Raises what closing one of them raised, after all are closed.
    """
    with ThreadPoolExecutor(max(1, len(couriers))) as pool:
        list(pool.map(Courier.close, couriers))


class DatabaseCopy:
    """An output that is another store, such as one for many entrances on a PostgreSQL server."""

    name = "postgres"
    batch = 500
    trouble = None

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Copy events; those that are there already count as delivered."""
        self._store.copy(events)
        return len(events)

    def close(self) -> None:
        """Free the connections."""
        self._store.close()
