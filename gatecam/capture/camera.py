"""Watch live cameras, each read by a process of its own, and take the newest frame of each.

A lost camera is opened again for ever.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from gatecam.capture.devices import require_camera, stable_source
from gatecam.capture.process import COMMAND, ReaderProcess
from gatecam.capture.reading import NO_DEVICE, NO_STREAM, STALLED, SourceSettings
from gatecam.errors import CameraError
from gatecam.runtime.addresses import ENCODE, has_raw_password, hide_in_source, is_url
from gatecam.runtime.backoff import Pauses
from gatecam.settings.schema import CameraConfig
from gatecam.types import CameraCondition, CameraState, Frame

POLL_S = 0.1  # how soon `stop`, a hung reader or a lost camera is noticed

OnState = Callable[[str, CameraState], None]


class Camera:
    """Reads a live camera, and never waits. Call `tick` ten times a second and `take` for frames.

    A reader process that dies or hangs, even a stopped one, is ended and started again. The pauses before
    that grow from 0.5 s to 2 s. A frame resets them.

    Args:
        config: The camera and its time limits.
        command: The reader's program.
    """

    def __init__(self, config: CameraConfig, command: Sequence[str] = COMMAND) -> None:
        self.config = config
        self._command = command
        self._source = config.source
        self._pauses = Pauses()
        self._reader: ReaderProcess | None = None
        self._is_ending = False
        self._start_at_s = 0.0
        self._failure = ""  # why the last reader failed
        self._longest_open_s = 0.0
        self._method = 0  # the reader's method that gave frames, for the next reader
        self._seen_index = -1
        self._seen_s: float | None = None
        self._sight = ""
        self._taken_index = -1
        self.state = CameraState(CameraCondition.OPENING, "", time.monotonic())
        self.dropped = 0  # frames replaced by newer ones before they were taken
        self.restarts = 0  # how often another reader process was started

    @property
    def name(self) -> str:
        """Return the camera's name, which is in its frames."""
        return self.config.name

    @property
    def last_frame_s(self) -> float | None:
        """Return when the newest frame came, taken or not, in monotonic time. None before the first."""
        return self._seen_s

    def filenos(self) -> list[int]:
        """Return what to wait on. It is readable if there is something new, and may change at every tick."""
        return [self._reader.bell_fd] if self._reader and not self._is_ending else []

    def take(self) -> Frame | None:
        """Return the newest frame, or None if it was already taken."""
        picture = self._reader.memory.take(self._taken_index) if self._reader else None
        if picture is None:
            return None
        self.dropped += picture.index - self._taken_index - 1
        self._taken_index = picture.index
        return Frame(self.name, picture.index, picture.time_s, picture.image)

    def tick(self, now_s: float) -> None:
        """Manage the reader process and update `state` for a monotonic time."""
        if self._reader is None:
            if now_s >= self._start_at_s:
                self._start(now_s)
        elif self._is_ending:
            self._let_go(self._reader, now_s)
        else:
            self._listen(self._reader, now_s)
        kind, reason = self._condition(now_s)
        if (kind, reason) != (self.state.kind, self.state.reason):
            self.state = CameraState(kind, reason, self._since_s(kind, now_s))

    @property
    def deadline_s(self) -> float:
        """Return the monotonic time by which the reader reports something.

        The time moves when the reader goes on to another method.
        """
        return self._reader.deadline_s if self._reader else self._start_at_s

    def close(self) -> None:
        """End the reader process, within a second. A later `tick` would start another."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _start(self, now_s: float) -> None:
        try:
            require_camera(self._source)
            self._source = stable_source(self._source)
            self._reader = ReaderProcess(
                self._source_settings(),
                self.config.open_timeout_s,
                self._longest_open_s,
                self._method,
                self._seen_index + 1,
                now_s,
                self._command,
            )
        except CameraError as error:
            self._failure = str(error)
        except OSError as error:
            self._failure = self.sentence(f"gets no reader ({error.strerror})")
        if self._reader is None:
            self._start_at_s = now_s + self._pauses.next()

    def _source_settings(self) -> SourceSettings:
        config = self.config
        return SourceSettings(
            self._source,
            config.width,
            config.height,
            config.fps,
            config.read_timeout_s,
            config.max_fps,
            config.rtsp_transport,
            config.other_hosts,
        )

    def _listen(self, reader: ReaderProcess, now_s: float) -> None:
        """Note the news of the reader, and kill the reader if it hangs."""
        newest = reader.memory.glance()
        if newest is not None and newest.index > self._seen_index:
            self._seen_index, self._seen_s, self._sight = newest.index, newest.time_s, newest.sight
            self._failure = ""
            self._pauses.reset()
        status = reader.memory.status
        self._longest_open_s = max(self._longest_open_s, status.longest_open_s)
        self._method = status.method or self._method
        failure = reader.failure(now_s)
        if failure:
            self._failure = self.sentence(failure)
            self._is_ending = True
            if not reader.memory.deadline_s:  # a busy machine starts slowly, so the next one has all the time
                self._longest_open_s = 0.0
            reader.kill()
        elif status.reason:
            self._failure = self.sentence(status.reason)

    def _let_go(self, reader: ReaderProcess, now_s: float) -> None:
        """Allow another reader once this one has ended, because two cannot open one device."""
        if reader.is_gone():
            self._start_at_s = now_s + self._pauses.next(now_s - reader.started_s)
            self.restarts += 1
            self._is_ending = False
            self.close()

    def _condition(self, now_s: float) -> tuple[CameraCondition, str]:
        if self._seen_s is not None and now_s - self._seen_s <= self.config.read_timeout_s:
            return (CameraCondition.BLIND if self._sight else CameraCondition.OPEN), self._sight
        if self._failure:
            return CameraCondition.LOST, self._failure
        if self._seen_s is not None:
            return CameraCondition.LOST, self.sentence(STALLED)
        return CameraCondition.OPENING, ""

    def _since_s(self, kind: CameraCondition, now_s: float) -> float:
        if kind is not CameraCondition.LOST:
            return now_s
        if self.state.kind is CameraCondition.LOST or self._seen_s is None:
            return self.state.since_s
        return self._seen_s

    def sentence(self, reason: str) -> str:
        """Return a sentence for the operator: the camera's name, then the reason."""
        if reason == NO_STREAM and has_raw_password(self._source):
            reason = f"{reason}; {ENCODE}"
        return f"camera {self.name} ({hide_in_source(self._source)}) {reason}."


class Cameras:
    """Provides all cameras as one source: a context manager over an iterator of new frames.

    Each item is a list with the newest frame of every camera that has a new one. It is empty if 0.1 s pass
    without any. Iteration ends only after `stop`.

    Args:
        configs: The cameras, with different names.
        on_state: Called by the iterating thread with a camera's name and state, at first and at each change.
        wait: Wait for ever for a camera that is missing at the start, as a service does. Otherwise it is an
            error if the only camera is missing.
        command: The readers' program.
    """

    def __init__(
        self,
        configs: Sequence[CameraConfig],
        on_state: OnState = lambda name, state: None,
        wait: bool = False,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.cameras = [Camera(config, command) for config in configs]
        self._command, self._dropped = command, 0
        self._on_state = on_state
        self._told: dict[str, CameraState] = {}
        self._wait = wait
        self._stopping = False

    @property
    def dropped(self) -> int:
        """Return how many frames of all cameras were replaced by newer ones before they were taken."""
        return self._dropped + sum(camera.dropped for camera in self.cameras)

    def stop(self) -> None:
        """End the iteration within 0.1 s. It takes no lock, so any thread or signal handler may call it."""
        self._stopping = True

    def start(self) -> None:
        """Start the cameras' readers without waiting for them. `close` ends them."""
        self._tick()

    def change(self, configs: Sequence[CameraConfig]) -> None:
        """Read these cameras from now on. A camera whose settings stay the same is not disturbed.

        Only the iterating thread may call this, between two items. The readers of other cameras have ended
        when it returns.
        """
        kept = {camera.name: camera for camera in self.cameras if camera.config in configs}
        for camera in self.cameras:
            if camera.name not in kept:
                self._dropped += camera.dropped
                self._told.pop(camera.name, None)
                camera.close()
        self.cameras = [kept.get(one.name) or Camera(one, self._command) for one in configs]

    def __enter__(self) -> Iterator[list[Frame]]:
        """Start to read all cameras. Wait for the frame of a single camera, unless `wait` is set.

        Raises:
            CameraError: the only camera cannot be opened, or gives no frame within `open_timeout_s`.
        """
        try:
            self._tick()
            if len(self.cameras) == 1 and not self._wait:
                self._require_picture(self.cameras[0])
        except BaseException:
            self.close()
            raise
        return self._frames()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration and the readers, within a second."""
        self.stop()
        for camera in self.cameras:
            camera.close()

    def _require_picture(self, camera: Camera) -> None:
        deadline_s = time.monotonic() + camera.config.open_timeout_s
        while camera.state.kind is CameraCondition.OPENING and not self._stopping:
            if time.monotonic() > max(deadline_s, camera.deadline_s):
                raise CameraError(camera.sentence(NO_STREAM if is_url(camera.config.source) else NO_DEVICE))
            self._pause()
            self._tick()
        if camera.state.kind is CameraCondition.LOST:
            raise CameraError(camera.state.reason)

    def _frames(self) -> Iterator[list[Frame]]:
        while not self._stopping:
            self._pause()
            self._tick()
            self._tell()
            taken = (camera.take() for camera in self.cameras)
            yield [frame for frame in taken if frame is not None]

    def _pause(self) -> None:
        """Wait until any camera has something new, for at most 0.1 s."""
        waiting = select.poll()
        for camera in self.cameras:
            for fileno in camera.filenos():
                waiting.register(fileno, select.POLLIN)
        waiting.poll(POLL_S * 1000)

    def _tick(self) -> None:
        for camera in self.cameras:
            camera.tick(time.monotonic())

    def _tell(self) -> None:
        for camera in self.cameras:
            if self._told.get(camera.name) is not camera.state:
                self._told[camera.name] = camera.state
                self._on_state(camera.name, camera.state)
