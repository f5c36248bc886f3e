"""Floor 6: how `gatecam run` is ended from outside, from its first moment to its last.

Imports nothing heavy, so that the signals are answered while the rest still loads.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class EndedEarly(KeyboardInterrupt):
    """The end was asked for before there was something to stop."""


class Stop:
    """Carries the wish to end, of Ctrl-C, SIGTERM or the window, to what is running."""

    def __init__(self) -> None:
        self._asked = False
        self._end: Callable[[], None] | None = None

    def reach(self, end: Callable[[], None]) -> None:
        """From now on the wish to end calls `end`, which must be safe in a signal handler."""
        self._end = end

    def __call__(self) -> None:
        """End what runs.

        Raises:
            EndedEarly: nothing was reached yet.
            KeyboardInterrupt: asked again, as by someone who will not wait.
        """
        asked_before, self._asked = self._asked, True
        if asked_before:
            raise KeyboardInterrupt
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
