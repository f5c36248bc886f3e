"""Run a program for each event, such as one that switches a door's relay."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import IO

from gatecam.errors import OutputError
from gatecam.notify.jsonl import stored_to_line
from gatecam.settings.schema import CommandConfig
from gatecam.types import StoredEvent

KEPT_BYTES = 4096  # how much of the end of the program's standard error is kept
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")  # variables for the program

log = logging.getLogger(__name__)


class CommandOutput:
    """Hands one event at a time to a program, as a line of JSON on its standard input.

    An event counts as delivered when the program ends with exit code 0. A program that takes too long is
    killed together with every process it started. No shell is involved.
    """

    name = "command"
    batch = 1

    def __init__(self, config: CommandConfig, clock: Callable[[], float]) -> None:
        """Keep the settings. `clock` returns the time of day in s since 1970."""
        self._config, self._clock = config, clock
        self._env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process: subprocess.Popen[bytes] | None = None
        self._late = False
        self._closed = False

    @property
    def trouble(self) -> str | None:
        """Return a message if the program is missing or not executable, else None."""
        program = self._config.run[0]
        if shutil.which(program, path=self._env.get("PATH")) is not None:
            return None
        return f"command {program}: there is no such program: correct command.run, or install it."

    def wants(self, stored: StoredEvent) -> bool:
        """Check whether the event is younger than `max_age_s`. The first older one is reported in the log."""
        limit_s, at_s = self._config.max_age_s, datetime.fromisoformat(stored.event.at).timestamp()
        late = limit_s is not None and self._clock() - at_s > limit_s
        if late and not self._late:
            log.warning("Events older than command.max_age_s are not handed to %s.", self._config.run[0])
        self._late = late
        return not late

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Run the program for the first event.

        Raises:
            OutputError: the program could not be started, failed or took too long.
        """
        line = stored_to_line(events[0])
        try:
            process = subprocess.Popen(
                self._config.run,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self._env,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise self._failed(f"it cannot be started: {reason}") from error
        with process:
            self._process = process
            if self._closed:  # `close` came while the program started
                _kill(process)
            try:
                self._run_to_end(process, line.encode("ascii"))
            finally:
                self._process = None
        return 1

    def close(self) -> None:
        """Kill the program if it is still running."""
        self._closed = True
        if (process := self._process) is not None:
            _kill(process)

    def _run_to_end(self, process: subprocess.Popen[bytes], line: bytes) -> None:
        assert process.stdin is not None
        assert process.stderr is not None
        said = _Tail(process.stderr)
        with suppress(OSError):  # the program need not read its input
            process.stdin.write(line)
            process.stdin.close()
        try:
            code = process.wait(self._config.timeout_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()
            raise self._failed(f"it took longer than {self._config.timeout_s:g} s") from None
        if code != 0:
            raise self._failed(f"it ended with {code}{said.last_line()}")

    def _failed(self, reason: str) -> OutputError:
        return OutputError(f"command {self._config.run[0]}: {reason}; it is run again.")


class _Tail:
    """Reads a stream in a thread and keeps its end, so long output needs little memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._kept = stream, b""
        self._thread = threading.Thread(target=self._read, name="command stderr", daemon=True)
        self._thread.start()

    def last_line(self) -> str:
        """Return the last line that is not empty, in brackets, or an empty string."""
        self._thread.join(0.5)  # a child of the program may keep the stream open
        lines = self._kept.decode("utf-8", "replace").split("\n")
        line = next((one for one in reversed(lines) if one.strip()), "").strip()
        text = "".join(letter if letter.isprintable() else " " for letter in line)[:200]
        return f" ({text})" if text else ""

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while part := os.read(self._stream.fileno(), 65536):
                self._kept = (self._kept + part)[-KEPT_BYTES:]


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
