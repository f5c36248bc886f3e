"""How `gatecam run` is ended, or told to read its settings anew, from its first moment to its last.

Imports nothing heavy, so that the signals are answered while the rest still loads.
"""

from __future__ import annotations

import os
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
        self._reload: Callable[[], None] | None = None
        self._reload_asked = False
        self._terminals = _terminals()

    def reach(self, end: Callable[[], None], reload: Callable[[], None] = lambda: None) -> None:
        """From now on the wish to end calls `end`, and SIGHUP `reload`; both are safe in a signal handler."""
        self._end, self._reload = end, reload
        if self._reload_asked:
            reload()

    def hang_up(self) -> None:
        """SIGHUP: whose terminal was closed wants the end; else the settings are to be read anew."""
        if _terminals() != self._terminals:
            self()
        elif self._reload is None:
            self._reload_asked = True
        else:
            self._reload()

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


def _terminals() -> list[int]:
    """Which of standard input, output and error are terminals that are still there."""
    return [fd for fd in range(3) if os.isatty(fd)]


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Ctrl-C, SIGTERM and SIGHUP reach this `Stop` while the block runs."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.hang_up() if number == hang_up else stop()

    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    numbers = [signal.SIGINT, signal.SIGTERM, *([] if hang_up is None else [hang_up])]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
