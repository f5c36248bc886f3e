"""Run the process that reads one camera (`python -m gatecam.capture.reader`, settings on standard input).

It opens the camera, puts each frame into the memory shared with gatecam, and opens the camera again whenever
the stream ends. If a library hangs, gatecam kills this process and starts another. However gatecam ends, this
process ends too: its standard input closes, and the kernel kills it.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NoReturn

import cv2

from gatecam.capture.blindness import Sight
from gatecam.capture.newest import NewestWriter, Phase
from gatecam.capture.reading import (
    NO_STREAM,
    STALLED,
    UNFIT,
    UNKNOWN_ERROR,
    Method,
    ReaderSettings,
    SourceSettings,
)
from gatecam.capture.sources import OtherMethodError, Shot, SilentError, shots, silence
from gatecam.errors import CameraError
from gatecam.runtime.addresses import hide_in_source, hide_secrets
from gatecam.runtime.backoff import Pauses
from gatecam.runtime.children import end_with_parent
from gatecam.types import Image

MIN_REOPEN_S = 3.0
GRACE_S = 0.5  # how far this process may exceed its own limits before it counts as hung
MAX_DATA_BYTES = 2 << 30  # twice what 8K video needs

Look = Callable[[Image, float], str]


class Reader:
    """Reads one camera for ever.

    Args:
        settings: The camera and the time limits.
        writer: Takes frames and reports.
        look: Gets each image and its time, and returns why it shows nothing, in ASCII, or "".
        open_shots: Opens the camera, as `sources.shots` does.
    """

    def __init__(
        self,
        settings: ReaderSettings,
        writer: NewestWriter,
        look: Look,
        open_shots: Callable[[SourceSettings, float, Method], Iterator[Shot]] = shots,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._look = look
        self._open_shots = open_shots
        self._pauses = Pauses()
        self._index = settings.first_index
        self._last_s = 0.0
        self._longest_open_s = settings.longest_open_s
        self._reason = ""
        self._method = settings.method  # the method that gave frames, 0 before the first

    def run(self) -> NoReturn:
        """Read until this process is ended."""
        while True:
            time.sleep(self.attempt())

    def attempt(self) -> float:
        """Open the camera, read until it ends, and return the pause before the next attempt, in s.

        A method that cannot read the stream is no failure while there is another one to try.
        """
        started_s = time.monotonic()
        told: CameraError | None = None
        for method in sorted(self._settings.source.methods(), key=lambda each: each != self._method):
            index = self._index
            try:
                self._read(method)
            except CameraError as error:
                if told is None or self._index > index:
                    told = error
                is_last = not isinstance(error, OtherMethodError)
                if is_last or (self._method and isinstance(error, SilentError)):
                    break  # a camera that could be read before is off rather than changed
        self._reason = str(told)
        ended_s = time.monotonic()
        pause_s = self._pauses.next(ended_s - started_s)
        self._tell(Phase.PAUSING, ended_s + pause_s)
        return pause_s

    @property
    def open_limit_s(self) -> float:
        """Return how long the next opening may take. It is short for a camera that gave frames before."""
        if self._longest_open_s == 0:
            return self._settings.open_timeout_s
        return min(self._settings.open_timeout_s, max(MIN_REOPEN_S, 2 * self._longest_open_s))

    def _read(self, method: Method) -> None:
        """Read by one method until the stream ends, which always raises an error."""
        started_s = time.monotonic()
        limit_s = self.open_limit_s
        self._tell(Phase.OPENING, started_s + limit_s)
        heard_s = None
        with closing(self._open_shots(self._settings.source, limit_s, method)) as found:  # type: ignore[type-var]
            for shot in found:
                is_late = heard_s is not None and shot.time_s > heard_s + self._settings.source.read_timeout_s
                if is_late:  # at its time-out a library may return half a picture
                    raise CameraError(UNFIT if shot.image is None else STALLED)
                if shot.image is not None:
                    self._method = method
                    self._put(shot.image, shot.time_s, None if heard_s else shot.time_s - started_s)
                    heard_s = shot.time_s
                elif shot.is_left_out:
                    heard_s = shot.time_s
                elif heard_s is None and shot.time_s > started_s + limit_s:
                    raise OtherMethodError(NO_STREAM)

    def _put(self, image: Image, shot_s: float, open_s: float | None) -> None:
        """Publish an image. `open_s` is the time to the first image of a stream, None for later ones."""
        self._last_s = max(shot_s, math.nextafter(self._last_s, math.inf))  # two may come at once
        sight = self._look(image, self._last_s)
        deadline_s = shot_s + self._settings.source.read_timeout_s
        self._writer.promise(deadline_s + GRACE_S)
        self._writer.put(image, self._index, self._last_s, sight)
        self._index += 1
        if open_s is None:
            return
        self._pauses.reset()
        self._reason = ""
        self._longest_open_s = max(self._longest_open_s, open_s)
        self._tell(Phase.OPEN, deadline_s)

    def _tell(self, phase: Phase, deadline_s: float) -> None:
        self._writer.tell(phase, deadline_s + GRACE_S, self._reason, self._longest_open_s, self._method)


def main() -> None:
    """Read the camera given on standard input until standard input closes."""
    settings = ReaderSettings.from_json(sys.stdin.buffer.readline())
    end_with_parent()
    _be_modest()
    writer = NewestWriter(settings.memory_fd, settings.bell_fd)
    try:
        Reader(settings, writer, Sight().look).run()
    except Exception as error:
        address = settings.source.source
        text = f"{type(error).__name__}: {error}".replace(address, hide_in_source(address))
        text = hide_secrets(text)  # a redirect may have led to another address
        writer.tell(Phase.PAUSING, time.monotonic() + GRACE_S, f"stopped its reader ({text})", 0.0)
        raise SystemExit(UNKNOWN_ERROR) from error


def _be_modest() -> None:
    """Use one core and bounded memory, because the analysis needs the rest."""
    silence()
    cv2.setNumThreads(1)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = MAX_DATA_BYTES if hard == resource.RLIM_INFINITY else min(MAX_DATA_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


if __name__ == "__main__":
    main()
