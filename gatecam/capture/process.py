"""A camera's reader process as gatecam sees it: started, listened to, judged, and ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence

from gatecam.capture.newest import NewestReader, create_memory
from gatecam.capture.reader import UNKNOWN_ERROR, ReaderSettings
from gatecam.capture.sources import SourceSettings

# -P: nothing in the working directory takes the place of a library
COMMAND = (sys.executable, "-P", "-m", "gatecam.capture.reader")
RESTART_S = 4.0  # in which a reader, where one has run before, says its first word
END_S = 1.0  # a process that does not end by then is stuck in a driver
_DRAIN_BYTES = 65536


class ReaderProcess:
    """A running reader.

    It shares `memory`, rings `bell_fd` for whatever is new, and ends with this process: it holds the
    read end of a pipe, and is killed with the thread that started it, which should be one that stays.

    Args:
        source: Which camera.
        open_timeout_s: How long the first opening may take.
        longest_open_s: What the camera took to its first picture so far, 0 if there was none.
        method: The `sources.Method` that gave pictures so far, 0 if there were none.
        first_index: The index of its first frame.
        now_s: The monotonic time.
        command: The program; settings are written to its standard input, as they may hold a password.

    Raises:
        OSError: it cannot be started.
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
        self._silence_s = min(open_timeout_s, RESTART_S) if longest_open_s else open_timeout_s
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
        """When the process will have said or shown something, unless it hangs, in monotonic time."""
        return self.memory.deadline_s or self.started_s + self._silence_s

    def failure(self, now_s: float) -> str:
        """Why the process is of no more use, to go on after the camera's name; empty while it is."""
        code = self._process.poll()
        if code is None:
            with contextlib.suppress(BlockingIOError):  # the bell has not rung since the last time
                os.read(self.bell_fd, _DRAIN_BYTES)
            return "hung, so its reader was ended" if now_s > self.deadline_s else ""
        status = self.memory.status
        if code == UNKNOWN_ERROR and status.reason:
            return status.reason
        return f"crashed its reader ({f'signal {-code}' if code < 0 else f'exit code {code}'})"

    def kill(self) -> None:
        """End the process at once, even a stopped one; `is_gone` tells when it has ended."""
        self._process.kill()

    def is_gone(self) -> bool:
        """Whether the process has ended; one that is stuck in a driver has not, even when killed."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End the process, and free what it held."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one in a driver ends when that lets go of it
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
        stderr=subprocess.DEVNULL,  # what matters is said in a sentence
        pass_fds=(settings.memory_fd, settings.bell_fd),
        start_new_session=True,  # Ctrl-C is for gatecam, which then ends its readers
        env=_environment(read_timeout_s),
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


def _environment(read_timeout_s: float) -> dict[str, str]:
    """The environment of a reader: it finds gatecam where this process did, and starts no idle threads."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": str(max(1, round(read_timeout_s))),
    }
