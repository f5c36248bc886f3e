"""Queue events for a sink that may be slow, fail or block for ever, so that frames never wait for it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice

from gatecam.ports import Sink
from gatecam.runtime.telemetry import Delivering, Telemetry
from gatecam.types import Event

log = logging.getLogger(__name__)


class QueuedSink(Delivering):
    """Delivers to another sink from a thread of its own. `send` neither blocks nor raises.

    Every event ends in one of three counts: `sent`, `failed` (the sink raised an error) or `dropped` (the
    queue was full, or the sink had not taken the event in time at closing). The thread ends with `close`. It
    is a daemon: a sink that blocks for ever cannot keep the program from ending.
    """

    batch = 1  # events delivered at once

    def __init__(self, sink: Sink, size: int, name: str, telemetry: Telemetry | None = None) -> None:
        """Start the thread. At most `size` events wait. `name` names the sink in the log."""
        self.name = name
        self._sink = sink
        self._size = size
        self._telemetry = telemetry or Telemetry()
        self._waiting: deque[Event] = deque()  # including the events being delivered, until the sink has them
        self._changed = threading.Condition()
        self._closing = False
        self._abandoned = False
        self._healthy = True
        self._thread = threading.Thread(target=self._work, name=f"sink {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Return how many events the sink has not taken yet."""
        return len(self._waiting)

    def send(self, event: Event) -> None:
        """Put the event in the queue. Drop and count it if the queue is full or closed."""
        with self._changed:
            if self._closing or len(self._waiting) >= self._size:
                self._count("dropped")
                return
            self._waiting.append(event)
            self._changed.notify_all()

    def close(self, timeout_s: float = 2.0) -> None:
        """Deliver the rest and close the sink, within `timeout_s`. Events left over count as dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        with self._changed:
            if not self._thread.is_alive() or self._abandoned:
                return
            self._abandoned = True
            left = self._drop_all()
        log.warning("%s did not finish within %g s: %d events are lost.", self.name, timeout_s, left)

    def _work(self) -> None:
        while events := self._next():
            try:
                taken = self._deliver(events)
            except Exception as error:  # no error of a sink may end the thread
                self._settle("failed", len(events), error)
            else:
                self._settle("sent", taken)
        try:
            self._sink.close()
        except Exception as error:
            log.warning("%s could not be closed: %s", self.name, error)

    def _deliver(self, events: Sequence[Event]) -> int:
        """Hand over the first events and return how many the sink took. The others are delivered later."""
        self._sink.send(events[0])
        return 1

    def _next(self) -> tuple[Event, ...]:
        """Wait for events and return a batch. It is empty when the queue is closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return tuple(islice(self._waiting, self.batch))

    def _settle(self, outcome: str, number: int, error: Exception | None = None) -> None:
        """Count a delivery. Only the first of several failures in a row is logged."""
        with self._changed:
            if not self._abandoned and number:
                self._count(outcome, number)
                for _ in range(number):
                    self._waiting.popleft()
        if error is not None and self._healthy:
            log.warning("%s failed: %s", self.name, str(error) or type(error).__name__)
        self._healthy = error is None

    def _drop_all(self) -> int:
        """Forget all waiting events, count them as dropped and return their number. Needs the lock held."""
        left = len(self._waiting)
        self._waiting.clear()
        self._count("dropped", left)
        return left


class FanOut:
    """Sends each event to every sink, in order. An error of one sink goes to the caller."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def send(self, event: Event) -> None:
        """Send to all sinks. Wrap a sink that may fail in a `QueuedSink` to protect the others."""
        for sink in self._sinks:
            sink.send(event)

    def close(self) -> None:
        """Close all sinks in order, even if one raises."""
        with ExitStack() as stack:
            for sink in reversed(self._sinks):
                stack.callback(sink.close)
