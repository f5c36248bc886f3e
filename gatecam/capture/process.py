"""Start, watch and end the reader process of a camera."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence

from gatecam.capture.newest import NewestReader, create_memory
from gatecam.capture.reading import UNKNOWN_ERROR, ReaderSettings, SourceSettings
from gatecam.runtime.children import child_environment

# -P: no file in the working directory can replace a library
COMMAND = (sys.executable, "-P", "-m", "gatecam.capture.reader")
START_S = 10.0  # shortest time for the first message of a reader, which loads its libraries before
RESTART_S = 4.0  # the same if an earlier one gave frames
END_S = 1.0  # a process that does not end within this time is stuck in a driver
_DRAIN_BYTES = 65536


class ReaderProcess:
    """A running reader process.

    It shares `memory` and writes to the pipe behind `bell_fd` for everything new. It ends when this process
    does: it notices the end of its standard input, and the kernel kills it when the thread that started it
    ends. So that thread must be one that stays.

    Args:
        source: The camera.
        open_timeout_s: How long the first opening may take.
        longest_open_s: The longest time until the camera's first frame so far, 0 if there was none.
        method: The `reading.Method` that gave frames so far, 0 if there were none.
        first_index: The index of its first frame.
        now_s: The monotonic time.
        command: The program. It gets its settings on standard input, as they may hold a password.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(
        self,
        source: SourceSettings,
        open_timeout_s: float,
        longest_open_s: float,
        method: int,
        first_index: int,
        now_s: float,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.started_s = now_s
        self._silence_s = RESTART_S if longest_open_s else max(open_timeout_s, START_S)
        memory_fd = create_memory()
        try:
            self.memory = NewestReader(memory_fd)
            self.bell_fd, write_fd = os.pipe()
            try:
                settings = ReaderSettings(
                    source, open_timeout_s, longest_open_s, first_index, memory_fd, write_fd, method
                )
                self._process = _start(command, settings, source.read_timeout_s)
            except BaseException:
                os.close(self.bell_fd)
                raise
            finally:
                os.close(write_fd)
        finally:
            os.close(memory_fd)
        os.set_blocking(self.bell_fd, False)

    @property
    def deadline_s(self) -> float:
        """Return the monotonic time by which the process reports something, unless it hangs."""
        return self.memory.deadline_s or self.started_s + self._silence_s

    def failure(self, now_s: float) -> str:
        """Return why the process has to be replaced, to follow the camera's name, or an empty string."""
        code = self._process.poll()
        if code is None:
            with contextlib.suppress(BlockingIOError):  # nothing new since the last time
                os.read(self.bell_fd, _DRAIN_BYTES)
            return "hung, so its reader was ended" if now_s > self.deadline_s else ""
        status = self.memory.status
        if code == UNKNOWN_ERROR and status.reason:
            return status.reason
        return f"crashed its reader ({f'signal {-code}' if code < 0 else f'exit code {code}'})"

    def kill(self) -> None:
        """Kill the process, even a stopped one. `is_gone` returns whether it has ended."""
        self._process.kill()

    def is_gone(self) -> bool:
        """Return whether the process has ended. A killed process may still be stuck in a driver."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End the process and free its resources."""
        self.kill()
        # One that is stuck in a driver ends when the driver returns
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self.bell_fd)


def _start(
    command: Sequence[str], settings: ReaderSettings, read_timeout_s: float
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # errors are reported through the shared memory
        pass_fds=(settings.memory_fd, settings.bell_fd),
        start_new_session=True,  # Ctrl-C goes to gatecam alone, which then ends its readers
        env={
            **child_environment(),
            "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": str(max(1, round(read_timeout_s))),
        },
        bufsize=0,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(settings.to_json())
    except OSError:
        process.kill()
        process.wait()
        process.stdin.close()
        raise
    return process
