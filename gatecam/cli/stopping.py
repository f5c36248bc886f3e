"""Floor 6: how `gatecam run` is ended from outside, from its first moment to its last.

Imports nothing heavy, so that the signals are answered while the rest still loads.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ONE_WISH_S = 1.0  # a terminal and a wrapper (`timeout`, a shell) both pass on the same Ctrl-C


class EndedEarly(KeyboardInterrupt):
    """The end was asked for before there was something to stop."""


class Stop:
    """Carries the wish to end, of Ctrl-C, SIGTERM or the window, to what is running."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_s: float | None = None
        self._end: Callable[[], None] | None = None

    def reach(self, end: Callable[[], None]) -> None:
        """From now on the wish to end calls `end`, which must be safe in a signal handler."""
        self._end = end

    def __call__(self) -> None:
        """End what runs.

        Raises:
            EndedEarly: nothing was reached yet.
            KeyboardInterrupt: asked again after a second, as by someone who will not wait.
        """
        now_s = self._clock()
        if self._asked_s is not None:
            if now_s - self._asked_s < ONE_WISH_S:
                return
            raise KeyboardInterrupt
        self._asked_s = now_s
        if self._end is None:
            raise EndedEarly
        self._end()


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM ask this `Stop` while the block runs."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
