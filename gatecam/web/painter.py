"""Start, use and end the process that draws live pictures."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gatecam.capture.newest import create_memory
from gatecam.runtime.children import child_environment
from gatecam.settings.schema import Config, Geometry
from gatecam.types import Box, Image, Step
from gatecam.web.painting import LENGTH, drawing_job
from gatecam.web.tokens import Role

# -P: no file in the working directory can replace a library
COMMAND = (sys.executable, "-P", "-m", "gatecam.web.painting")
LOAD_S = 120.0  # time limit for the first answer, on full cores and with torch
ANSWER_S = 30.0
END_S = 1.0
_CHUNK_BYTES = 1 << 16


class PainterError(Exception):
    """The process has ended or hangs. The next job starts another one."""


class JobError(Exception):
    """The process could not do a job. It may do the next one."""


class ProcessPainter:
    """Searches and draws live pictures in a process that starts with the first job. Implements `Painter`.

    The kernel kills the process when the thread that started it ends. So only a thread that runs as long as
    gatecam may use this.

    Args:
        config: the settings of the detector that finds the faces to blur.
        command: the program.
    """

    def __init__(self, config: Config, command: Sequence[str] = COMMAND) -> None:
        self._config = config.model_dump(mode="json", include={"device", "detector"})
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._memory_fd = -1
        self._limit_s = LOAD_S

    def find(self, image: Image) -> list[Box]:
        """Return the boxes that may hold a face.

        Raises:
            PainterError: the process has ended or hangs.
            JobError: the search failed.
        """
        return [Box(*sides) for sides in self._ask(image, {})["boxes"]]

    def draw(
        self, step: Step, hidden: Mapping[Role, Sequence[Box]], geometry: Geometry | None = None
    ) -> dict[Role, bytes]:
        """Draw a step's picture for each role as JPEG. It raises the same errors as `find`."""
        sizes = self._ask(step.frame.image, drawing_job(step, hidden, geometry))["pictures"]
        return {Role(role): self._read(size) for role, size in sizes.items()}

    def rest(self) -> None:
        """End the process. The next job starts another one."""
        if self._process is None:
            return
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        os.close(self._memory_fd)
        self._process = None

    def interrupt(self) -> None:
        """Kill the process, so that a waiting call ends with an error. Any thread may call this."""
        if (process := self._process) is not None:
            process.kill()

    def _ask(self, image: Image, job: dict[str, Any]) -> dict[str, Any]:
        """Give the process a job, starting it if needed, and return the line of its answer."""
        try:
            process = self._process or self._start()
            assert process.stdin is not None
            os.ftruncate(self._memory_fd, image.nbytes)  # also frees what a larger image used
            os.pwrite(self._memory_fd, np.ascontiguousarray(image).data, 0)
            process.stdin.write(json.dumps({"size": image.shape[:2], **job}).encode() + b"\n")
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        said: dict[str, Any] = json.loads(self._read(length))
        self._limit_s = ANSWER_S
        if "failure" in said:
            raise JobError(said["failure"])
        return said

    def _start(self) -> subprocess.Popen[bytes]:
        self._memory_fd = create_memory()
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(self._memory_fd,),
                # Ctrl-C does not reach a group of its own. In a session of its own, its low priority would
                # not count.
                process_group=0,
                env=child_environment(),
                bufsize=0,
            )
        except OSError:
            os.close(self._memory_fd)
            raise
        self._limit_s = LOAD_S
        settings = {"config": self._config, "memory_fd": self._memory_fd}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(settings).encode() + b"\n")
        return self._process

    def _read(self, size: int) -> bytes:
        """Read a part of an answer."""
        assert self._process is not None
        assert self._process.stdout is not None
        pipe, parts, end_s = self._process.stdout.fileno(), [], time.monotonic() + self._limit_s
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        while size:
            if not waiting.poll(max(0.0, end_s - time.monotonic()) * 1000):
                raise self._failed(f"no answer in {self._limit_s:g} s")
            part = os.read(pipe, min(size, _CHUNK_BYTES))
            if not part:
                raise self._failed(self._code())
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _code(self) -> str:
        """Return how the process ended, once it has closed its output."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(END_S)
            return f"signal {-code}" if code < 0 else f"exit code {code}"
        return "no answer"

    def _failed(self, reason: str) -> PainterError:
        self.rest()
        return PainterError(f"The process that draws live pictures has ended ({reason}).")
