"""Make a program that is restarted again and again wait longer each time.

systemd supports growing pauses only since version 254 (`RestartSteps=`), so the program does it itself.
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
from gatecam.runtime.backoff import Pauses
from gatecam.runtime.folders import read_own, replace_own, runtime_folder

MANY_STARTS = 5  # more starts than this within the window are delayed
WINDOW_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
MAX_FILE_BYTES = 4096

log = logging.getLogger(__name__)


def in_service(env: Mapping[str, str] | None = None) -> bool:
    """Check whether a service manager or a container runs the program, so no user sits in front of it."""
    env = os.environ if env is None else env
    return any(env.get(name) for name in ("NOTIFY_SOCKET", "RUNTIME_DIRECTORY"))


@dataclass(frozen=True, slots=True)
class Starts:
    """Records when the program continued after its latest starts, and how long its last pause was.

    Times are monotonic, in s since the machine's boot.
    """

    times_s: tuple[float, ...] = ()
    pause_s: float = 0.0

    def another(self, now_s: float) -> Starts:
        """Return the record with one more start at `now_s`. Its `pause_s` is the pause for this start.

        The sixth start within a minute waits 2 s. Each later start within a minute after the last pause waits
        twice as long, up to 60 s. Once the program has run for a minute, there is no pause.
        """
        # A time slightly ahead of now belongs to a start that was ended during its pause. A time further
        # ahead comes from the clock of an earlier boot.
        recent = [s for s in self.times_s if now_s - WINDOW_S < s <= now_s + LONGEST_PAUSE_S]
        pause_s = 0.0
        if len(recent) >= MANY_STARTS or (recent and self.pause_s):
            pause_s = Pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S, self.pause_s).next()
        return Starts((*recent, now_s + pause_s)[-MANY_STARTS - 1 :], pause_s)


def hold_back(
    notifier: Notifier,
    start_limit_s: float,
    wait: Callable[[float], None] = time.sleep,
    what: str = "opens the camera",
) -> None:
    """Record this start, and wait if there were too many. Call this before anything that may fail.

    The manager is asked to allow `start_limit_s` more after the wait. The starts are kept in the runtime
    folder, which no full disk affects and which a reboot clears, just as it resets the clock. A damaged or
    unwritable file never delays the start. `what` says what the program does after the wait.
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
    """Delete the record of starts. Call this when the program ends as asked, because it has not failed."""
    path = _memory()
    if path is not None:
        with suppress(OSError):
            path.unlink()


def _memory() -> Path | None:
    try:
        return runtime_folder() / "starts.json"
    except OSError as error:
        log.warning("Starts cannot be counted (%s): restarts after failures have no pauses.", error)
        return None


def _read(path: Path) -> Starts:
    """Return the recorded starts, or an empty record if the file is missing or damaged."""
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
        log.warning("Starts cannot be counted (%s): restarts after failures have no pauses.", error)
