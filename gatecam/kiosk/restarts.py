"""A program that is started again and again waits longer and longer before it goes on.

systemd learnt growing pauses only in version 254 (`RestartSteps=`), so the program keeps them itself.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gatecam.kiosk.notify_socket import Notifier
from gatecam.runtime.folders import read_own, replace_own, runtime_folder

MANY_STARTS = 5  # within the window; one more is held back
WINDOW_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
MAX_FILE_BYTES = 4096

log = logging.getLogger(__name__)


def in_service(env: Mapping[str, str] | None = None) -> bool:
    """Whether a service manager or a container runs the program, and nobody sits in front of it."""
    env = os.environ if env is None else env
    return any(env.get(name) for name in ("NOTIFY_SOCKET", "RUNTIME_DIRECTORY"))


@dataclass(frozen=True, slots=True)
class Starts:
    """When the program went on after each of its latest starts, and how long it was held back last.

    Times are monotonic, in s since the machine's boot.
    """

    times_s: tuple[float, ...] = ()
    pause_s: float = 0.0

    def another(self, now_s: float) -> Starts:
        """The same with a start at `now_s`, held back by its `pause_s`.

        The sixth start within a minute waits 2 s, and each that follows within a minute of going on
        waits twice as long, at most 60 s. A run of a minute ends that.
        """
        # One that lies ahead of now was still held back; one farther ahead is of another boot's clock.
        recent = [s for s in self.times_s if now_s - WINDOW_S < s <= now_s + LONGEST_PAUSE_S]
        if self.pause_s and recent:
            pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self.pause_s))
        else:
            pause_s = FIRST_PAUSE_S if len(recent) >= MANY_STARTS else 0.0
        return Starts((*recent, now_s + pause_s)[-MANY_STARTS - 1 :], pause_s)


def hold_back(
    notifier: Notifier,
    start_limit_s: float,
    wait: Callable[[float], None] = time.sleep,
    what: str = "opens the camera",
) -> None:
    """Note this start, and wait if there were too many: call it before anything that may fail.

    The manager is told to grant `start_limit_s` more after the wait. Memory of starts lies in the
    runtime folder: no full disk reaches it, and it goes with a reboot, as the clock's zero does. A
    damaged or unwritable memory never holds anything up.

    Args:
        notifier: told what the program waits for.
        start_limit_s: how long the start may take after the wait.
        wait: takes the seconds; a signal's exception may end it.
        what: the program does after the wait, in words.
    """
    path = _memory()
    if path is None:
        return
    starts = _read(path).another(time.monotonic())
    _write(path, starts)
    if not starts.pause_s:
        return
    text = f"started too often within a minute: waits {starts.pause_s:g} s before it {what}"
    log.warning("%s.", text.capitalize())
    notifier.status(text)
    notifier.extend_start(starts.pause_s + start_limit_s)
    wait(starts.pause_s)


def forget_starts() -> None:
    """The program ends because it was asked to: its starts say nothing of failures."""
    path = _memory()
    if path is not None:
        with suppress(OSError):
            path.unlink()


def _memory() -> Path | None:
    try:
        return runtime_folder() / "starts.json"
    except OSError as error:
        log.warning("Starts cannot be counted (%s): a program that fails at once is not held back.", error)
        return None


def _read(path: Path) -> Starts:
    """Return what is remembered: nothing where there is no file, or one that makes no sense."""
    try:
        fields = json.loads(read_own(path, MAX_FILE_BYTES))
        times_s, pause_s = tuple(float(s) for s in fields["times_s"]), float(fields["pause_s"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Starts()
    whole = all(map(math.isfinite, (*times_s, pause_s))) and 0 <= pause_s <= LONGEST_PAUSE_S
    return Starts(times_s, pause_s) if whole else Starts()


def _write(path: Path, starts: Starts) -> None:
    text = json.dumps({"times_s": starts.times_s, "pause_s": starts.pause_s})
    try:
        replace_own(path, text.encode("ascii"))
    except OSError as error:
        log.warning("Starts cannot be counted (%s): a program that fails at once is not held back.", error)
