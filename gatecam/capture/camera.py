"""Reads a live camera by OpenCV in a thread of its own: the newest frame wins, a lost one is reconnected."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.config import CameraConfig
from gatecam.errors import CameraError
from gatecam.types import Frame, Image

URL_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "udp://", "tcp://")
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
POLL_S = 0.1  # how soon `stop` is noticed
CLOSE_S = 1.0  # after this a reader that hangs in the driver is left behind


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that a camera needs."""

    def grab(self) -> bool:
        """Take the next picture; False if the device is not open, ended or timed out."""
        ...

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the picture taken: whether that went well, and the picture, BGR, BGRA or grey."""
        ...

    def release(self) -> None:
        """Free the device."""
        ...


class Camera:
    """A live `FrameSource` that yields each frame once and only the newest.

    Iteration ends upon `stop` and never by itself: when the stream ends or stalls, the camera is
    opened again, after pauses that grow from 0.5 s to 10 s.

    Args:
        config: Which camera, and its limits of time.
        on_state: Told in a sentence, by the iterating thread, when the camera is lost and when it is back.
        on_idle: Called, by the iterating thread, every 0.1 s in which no frame comes.
        open_capture: Opens the device.
    """

    def __init__(
        self,
        config: CameraConfig,
        on_state: Callable[[str], None] = lambda text: None,
        on_idle: Callable[[], None] = lambda: None,
        open_capture: Callable[[CameraConfig], Capture] | None = None,
    ) -> None:
        self._config = config
        self._on_state = on_state
        self._on_idle = on_idle
        self._open_capture = open_capture or _open_capture
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._error: BaseException | None = None
        self._connected = False
        self._last_frame_s = 0.0
        self._count = 0
        self._dropped = 0
        self._stopping = False
        self._reader = threading.Thread(target=self._run, name=f"camera {config.name}", daemon=True)

    @property
    def dropped(self) -> int:
        """How many frames were replaced by newer ones before anyone looked at them."""
        return self._dropped

    def stop(self) -> None:
        """End the iteration within 0.1 s; safe in any thread and in a signal handler, as it takes no lock."""
        self._stopping = True

    def __enter__(self) -> Iterator[Frame]:
        """Open the camera and wait for its first frame.

        Raises:
            CameraError: if it cannot be opened or gives no picture within `open_timeout_s`.
        """
        _require_address(self._config.source)
        self._reader.start()
        deadline_s = time.monotonic() + self._config.open_timeout_s
        try:
            with self._changed:
                while not (self._newest or self._error or self._stopping):
                    if time.monotonic() > deadline_s:
                        raise _no_picture(self._config)
                    self._changed.wait(POLL_S)
            self._raise_error()
        except BaseException:
            self._close()
            raise
        return self._frames()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self.stop()
        self._reader.join(CLOSE_S)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _frames(self) -> Iterator[Frame]:
        is_lost = False
        while not self._stopping:
            with self._changed:
                self._changed.wait_for(lambda: self._newest or self._error, POLL_S)
                frame, self._newest = self._newest, None
            if frame is not None:
                if is_lost:
                    is_lost = False
                    self._on_state(f"camera {self._config.name} is back")
                yield frame
                continue
            if not is_lost and self._is_silent():
                is_lost = True
                self._on_state(f"camera {self._config.name} lost: reconnecting")
            self._on_idle()
            self._raise_error()

    def _is_silent(self) -> bool:
        return not self._connected or time.monotonic() - self._last_frame_s > self._config.read_timeout_s

    # The reader thread: opens, reads until the stream ends, pauses, opens again.

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while not self._stopping:
                if self._read_stream():
                    pause_s = FIRST_PAUSE_S
                elif self._count == 0:
                    raise _no_picture(self._config)
                self._pause(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        except BaseException as error:  # raised again by the thread that iterates
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _read_stream(self) -> bool:
        """Read until the stream ends or stalls; whether a frame came."""
        capture = self._open_capture(self._config)
        try:
            count_before = self._count
            heard_s = time.monotonic()
            while not self._stopping and capture.grab():
                time_s = time.monotonic()
                is_good, image = capture.retrieve()
                if is_good:
                    heard_s = time_s
                    self._publish(Frame(self._config.name, self._count, time_s, _rgb(image)))
                elif time_s - heard_s > self._config.read_timeout_s:
                    break
            return self._count > count_before
        finally:
            self._connected = False
            capture.release()

    def _publish(self, frame: Frame) -> None:
        with self._changed:
            self._dropped += self._newest is not None
            self._newest = frame
            self._count += 1
            self._last_frame_s = frame.time_s
            self._connected = True
            self._changed.notify_all()

    def _pause(self, pause_s: float) -> None:
        end_s = time.monotonic() + pause_s
        while not self._stopping and time.monotonic() < end_s:
            time.sleep(POLL_S)


def redacted(source: str) -> str:
    """A camera's address without user, password and query, fit for a message.

    >>> redacted("rtsp://admin:p@ss@10.0.0.5/live?token=1")
    'rtsp://***@10.0.0.5/live?***'
    """
    return re.sub(r"\?.*", "?***", re.sub(r"^(\w+://)?.*@", r"\1***@", source))


def cameras_seen(system: Path = Path("/")) -> list[str]:
    """The cameras that Linux lists, as `path (name)`; empty elsewhere.

    The path is the one under /dev/v4l/by-id where there is one: it stays the same when the camera is
    plugged in elsewhere.
    """
    stable = {
        link.resolve().name: link for link in sorted((system / "dev/v4l/by-id").glob("*")) if link.exists()
    }
    seen = []
    for device in sorted((system / "sys/class/video4linux").glob("video*"), key=_device_number):
        if _line(device / "index") not in ("0", ""):
            continue  # a camera's further devices carry metadata, no pictures
        path = stable.get(device.name, system / "dev" / device.name)
        seen.append(f"{path} ({_line(device / 'name') or 'unnamed'})")
    return seen


def _device_number(device: Path) -> int:
    return int("0" + re.sub(r"\D", "", device.name))


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _is_url(source: str) -> bool:
    return source.lower().startswith(URL_SCHEMES)


def _device_path(source: str) -> Path:
    return Path(f"/dev/video{int(source)}" if source.isdecimal() else source)


def _require_address(source: str) -> None:
    if _is_url(source):
        return
    if not (source.isdecimal() or source.startswith("/dev/")):
        raise CameraError(
            f"camera {redacted(source)}: expected an index (0), a device (/dev/video0) or an address"
            " (rtsp:// or http://); recorded files are for `gatecam replay`."
        )
    if sys.platform == "linux":
        _require_device(_device_path(source))


def _require_device(path: Path) -> None:
    if not path.exists():
        raise CameraError(
            f"{path}: there is no such camera; plug it in, or choose one that `gatecam doctor` lists."
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(f"{path}: the camera may not be opened; add your user to the group `video`.")


def _no_picture(config: CameraConfig) -> CameraError:
    what = f"camera {config.name} ({redacted(config.source)}) gives no picture"
    if _is_url(config.source):
        return CameraError(f"{what}; check the address, user and password, and that the camera is on.")
    return CameraError(f"{what}; check that it is plugged in and that no other program uses it.")


def _open_capture(config: CameraConfig) -> Capture:
    """Open a device or address; if that fails, `grab` gives False."""
    _silence()
    if _is_url(config.source):
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            round(config.open_timeout_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            round(config.read_timeout_s * 1000),
        ]
        return cv2.VideoCapture(config.source, cv2.CAP_FFMPEG, limits)
    device = int(config.source) if config.source.isdecimal() else config.source
    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    capture = cv2.VideoCapture(device, backend)
    # Motion JPEG first: raw pictures of full size do not fit through USB 2 at full rate
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height)
    capture.set(cv2.CAP_PROP_FPS, config.fps)
    return capture


def _silence() -> None:
    """Keep OpenCV and its FFmpeg off the terminal; what they say is said by one sentence of ours."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _rgb(image: NDArray[np.uint8]) -> Image:
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return cv2.cvtColor(image, code)  # type: ignore[return-value]
