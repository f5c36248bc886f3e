"""Open a live camera, USB with OpenCV or network with PyAV, and yield its frames until the stream ends.

OpenCV is not used for network streams: it scales every frame to the size of the first and gives up at a
damaged frame. PyAV skips what it cannot decode, and adds no delay.

Some network streams can be read by more than one `Method`. The reader process tries them in turn:

    CameraError             no method helps: no answer, a wrong password, or the stream ended
      OtherMethodError      another method may read the stream
        SilentError         the same, but finding that out took the whole time-out
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, Protocol

import av
import cv2
import numpy as np
from av.codec import CodecContext
from av.container import InputContainer
from av.error import (
    ArgumentError,
    ExitError,
    FFmpegError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
)
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from gatecam.capture.jpegs import JpegScanner
from gatecam.capture.network import PLAYLIST, open_address
from gatecam.capture.newest import MAX_PIXELS
from gatecam.capture.reading import (
    ENDED,
    GARBLED,
    NO_DECODER,
    NO_DEVICE,
    NO_STREAM,
    NO_VIDEO,
    STALLED,
    Method,
    SourceSettings,
)
from gatecam.capture.squared import square_rgb
from gatecam.errors import CameraError
from gatecam.types import Image

# Decoders then refuse larger frames before they allocate memory
LIMITS = {"max_pixels": str(MAX_PIXELS)}

# Answers to RTSP that another transport cannot change: the camera is missing or denies access
_FINAL = (HTTPUnauthorizedError, HTTPForbiddenError, HTTPNotFoundError, ConnectionError)


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """Holds what a camera sent: an image, (H, W, 3) RGB, or None for data without a usable image.

    An image is None for half a picture or one of more than `MAX_PIXELS`. If `is_left_out`, the frame came too
    early for `max_fps` and was not decoded further.
    """

    time_s: float
    image: Image | None
    is_left_out: bool = False


class _Cap:
    """Chooses which frames to leave out, to keep to a maximum rate."""

    def __init__(self, max_fps: float | None) -> None:
        self._period_s = 0.0 if max_fps is None else 1 / max_fps
        self._due_s = -inf

    def leaves_out(self, time_s: float) -> bool:
        """Return whether the frame at a time comes too early."""
        if time_s < self._due_s:
            return True
        self._due_s = max(self._due_s, time_s - self._period_s) + self._period_s
        return False


class OtherMethodError(CameraError):
    """Raised if this method cannot read the stream, but another one may."""


class SilentError(OtherMethodError):
    """Raised if the stream sent nothing within the time for opening."""


def shots(settings: SourceSettings, open_timeout_s: float, method: Method) -> Iterator[Shot]:
    """Yield what a camera sends from now on. Closing the iterator frees the camera.

    Args:
        settings: The camera.
        open_timeout_s: How long opening a network stream may take.
        method: One of the camera's methods.

    Raises:
        OtherMethodError: another method may read the stream.
        CameraError: the camera does not open, ended or stalled. The text follows the camera's name.
    """
    if method is Method.DEVICE:
        yield from device_shots(_open_device(settings), settings.max_fps)
    elif method is Method.JPEGS:
        yield from _jpeg_shots(settings, open_timeout_s)
    else:
        yield from _stream_shots(settings, open_timeout_s, method)


def silence() -> None:
    """Keep FFmpeg and OpenCV from printing. gatecam reports their errors in one sentence."""
    av.logging.set_level(av.logging.PANIC)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


# Network streams ---------------------------------------------------------------------------------


def _stream_shots(settings: SourceSettings, open_timeout_s: float, method: Method) -> Iterator[Shot]:
    with _told_failures(_open(settings, open_timeout_s, method)) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise CameraError(NO_VIDEO)
        if stream.codec_context is None:
            raise CameraError(NO_DECODER)
        decoder, converter, cap = stream.codec_context, VideoReformatter(), _Cap(settings.max_fps)
        decoder.thread_count = 1  # more threads would delay frames and take cores from the analysis
        decoder.options = LIMITS
        for packet in container.demux():
            time_s = monotonic()
            found = (
                _decoded(packet, decoder, converter, cap, time_s)
                if packet.stream is stream and packet.size
                else []
            )
            yield from found or [Shot(time_s, None)]


def _jpeg_shots(settings: SourceSettings, open_timeout_s: float) -> Iterator[Shot]:
    """Yield JPEG pictures found in a stream of any kind. FFmpeg's demuxer `data` only passes the bytes on."""
    scanner, cap, has_found = JpegScanner(), _Cap(settings.max_fps), False
    decoder, converter = CodecContext.create("mjpeg", "r"), VideoReformatter()
    decoder.options = LIMITS
    with _told_failures(_open(settings, open_timeout_s, Method.JPEGS)) as container:
        for packet in container.demux():
            time_s = monotonic()
            for data in scanner.feed(bytes(packet)):
                has_found = True
                yield from _decoded(Packet(data), decoder, converter, cap, time_s)
            yield Shot(time_s, None)
        if not has_found:
            raise OtherMethodError(NO_STREAM)


@contextmanager
def _told_failures(container: InputContainer) -> Iterator[InputContainer]:
    """Close a stream after its end, and raise a `CameraError` for any kind of end."""
    try:
        yield container
    except ExitError as error:  # reading timed out
        raise CameraError(STALLED) from error
    except InvalidDataError as error:
        raise (OtherMethodError if container.format.name == "mpjpeg" else CameraError)(GARBLED) from error
    except FFmpegError as error:
        raise CameraError(ENDED) from error
    finally:
        container.close()
    raise CameraError(ENDED)


def _open(settings: SourceSettings, open_timeout_s: float, method: Method) -> InputContainer:
    is_rtsp = settings.source.lower().startswith("rtsp")
    try:
        return open_address(
            settings.source,
            timeout_s=(open_timeout_s, settings.read_timeout_s),
            demuxer="data" if method is Method.JPEGS else None,
            rtsp_transport="udp" if method is Method.UDP else settings.rtsp_transport,
            other_hosts=settings.other_hosts,
        )
    except ExitError as error:
        raise (SilentError if is_rtsp else CameraError)(NO_STREAM) from error
    except (InvalidDataError, ArgumentError) as error:  # damaged, or in a format that is not allowed
        is_playlist = not settings.other_hosts and re.search(r"\.(m3u8|mpd)\b", settings.source)
        raise (CameraError(PLAYLIST) if is_playlist else OtherMethodError(NO_STREAM)) from error
    except (FFmpegError, ValueError) as error:
        is_open_question = is_rtsp and not isinstance(error, _FINAL)
        raise (OtherMethodError if is_open_question else CameraError)(NO_STREAM) from error


def _decoded(
    packet: Packet[Any], decoder: VideoCodecContext, converter: VideoReformatter, cap: _Cap, time_s: float
) -> list[Shot]:
    """Return the pictures in a packet, or none if it cannot be decoded or is too large.

    The pixel ratio of JPEG pictures is ignored, as in browsers, because it is often wrong.
    """
    found = []
    stands_alone = decoder.name == "mjpeg"  # no later picture needs one that is left out
    if stands_alone and cap.leaves_out(time_s):
        return [Shot(time_s, None, is_left_out=True)]
    try:
        for picture in decoder.decode(packet):
            ratio = None if stands_alone else decoder.sample_aspect_ratio
            if not stands_alone and cap.leaves_out(time_s):
                found.append(Shot(time_s, None, is_left_out=True))
            else:
                found.append(Shot(time_s, square_rgb(picture, ratio, MAX_PIXELS, converter)))
    except (FFmpegError, ValueError):
        return []
    return found


# USB cameras -------------------------------------------------------------------------------------


class Capture(Protocol):
    """Declares the part of `cv2.VideoCapture` that is used for USB cameras."""

    def grab(self) -> bool:
        """Take the next frame. False if the device is not open, ended or timed out."""
        ...

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the frame. Return whether that worked, and the image as BGR, BGRA or grey."""
        ...

    def release(self) -> None:
        """Free the device."""
        ...


def device_shots(capture: Capture, max_fps: float | None = None) -> Iterator[Shot]:
    """Yield what an open device sends until it ends. Frames that are left out are not even decoded.

    Raises:
        CameraError: the device ended, or was not open.
    """
    cap = _Cap(max_fps)
    try:
        while capture.grab():
            time_s = monotonic()
            is_early = cap.leaves_out(time_s)
            yield Shot(time_s, None, True) if is_early else Shot(time_s, _retrieved(capture))
    finally:
        capture.release()
    raise CameraError(NO_DEVICE)


def _retrieved(capture: Capture) -> Image | None:
    try:
        is_good, image = capture.retrieve()
        if not is_good or image.shape[0] * image.shape[1] > MAX_PIXELS:
            return None
        return _rgb(image)
    except cv2.error:  # a damaged picture
        return None


def _rgb(image: NDArray[np.uint8]) -> Image:
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return cv2.cvtColor(image, code)  # type: ignore[return-value]


def _open_device(settings: SourceSettings) -> Capture:
    """Open a device. If that fails, `grab` returns False later."""
    source = int(settings.source) if settings.source.isdecimal() else settings.source
    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    capture = cv2.VideoCapture(source, backend)
    # Prefer Motion JPEG: USB 2 is too slow for uncompressed frames of full size at full rate
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
    capture.set(cv2.CAP_PROP_FPS, settings.fps)
    return capture
