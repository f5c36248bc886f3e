"""End a command, or make `gatecam run` read its settings again, when a signal asks for it.

This module imports nothing heavy, so signals are answered while the rest is still loading.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ONE_WISH_S = 1.0  # a terminal and a wrapper (`timeout`, a shell) may both pass on the same Ctrl-C


class EndedEarly(KeyboardInterrupt):
    """Raised when the program is asked to end before it has anything to stop."""


class Stop:
    """Passes on the request to end, from Ctrl-C, SIGTERM or the window, to whatever is running."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_s: float | None = None
        self._end: Callable[[], None] | None = None
        self._reload: Callable[[], None] | None = None
        self._reload_asked = False
        self._terminals = _terminals()

    def reach(self, end: Callable[[], None], reload: Callable[[], None] = lambda: None) -> None:
        """Make requests to end call `end`, and SIGHUP call `reload`. Signal handlers call both."""
        self._end, self._reload = end, reload
        if self._reload_asked:
            reload()

    def hang_up(self) -> None:
        """Handle SIGHUP: end if the terminal was closed, else read the settings again."""
        if _terminals() != self._terminals:
            self()
        elif self._reload is None:
            self._reload_asked = True
        else:
            self._reload()

    def __call__(self) -> None:
        """End whatever is running.

        Raises:
            EndedEarly: nothing to stop was registered yet.
            KeyboardInterrupt: the request was repeated after more than a second: the user will not wait.
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
    """Return which of standard input, output and error are still terminals."""
    return [fd for fd in range(3) if os.isatty(fd)]


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the block as Ctrl-C does, so that it removes half-written files.

    A signal that the program was started to ignore, as `nohup` does with SIGHUP, stays ignored.

    Raises:
        SystemExit: a signal has ended the block.
    """
    got: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        got.append(number)
        raise KeyboardInterrupt

    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if got:
            raise SystemExit(128 + got[0]) from None
        raise
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Yield a `Stop` that gets Ctrl-C, SIGTERM and SIGHUP while the block runs."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.hang_up() if number == signal.SIGHUP else stop()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
