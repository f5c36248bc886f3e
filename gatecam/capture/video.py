"""Read every frame of a recorded video with PyAV: in order, upright, with its own time (docs/adr/0002)."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from gatecam.capture.containers import ANY_METADATA, FILM_FORMATS, is_cut_off
from gatecam.capture.lost_frames import Losses
from gatecam.capture.newest import MAX_PIXELS
from gatecam.capture.squared import square_rgb
from gatecam.errors import SourceError
from gatecam.runtime.cores import usable_cores
from gatecam.types import Frame, Image

log = logging.getLogger(__name__)

NO_FILE = "there is no such file; check the path."
NO_PICTURE = "no picture can be decoded from it; export or record the video again."
NO_DECODER = "its video is in a format for which there is no decoder; convert it to H.264."
DEFAULT_FPS = 25.0  # for files that state no plausible rate
MAX_FPS = 1000.0
MIN_STEP_S = 0.001  # between frames with the same time
# Decoders then refuse larger frames before they allocate memory, even if the size changes midway.
LIMITS = {"max_pixels": str(MAX_PIXELS)}
REWIND_S = 0.5  # a clock that jumps back further was restarted, as in a joined recording


class VideoFile:
    """Reads a recorded video as a `FrameSource`.

    `fps` (mean frames/s) and `expected_frames` (for a progress bar, None if unknown) are set on entering.
    `loss` is a sentence about what could not be read so far, or None. With `on_gpu`, NVIDIA's decoder is used
    if it can decode the file, else FFmpeg's own.
    """

    def __init__(self, path: Path, camera: str | None = None, on_gpu: bool = False) -> None:
        self.path, self._on_gpu = path, on_gpu
        self.camera = camera or path.stem
        self.fps = DEFAULT_FPS
        self.expected_frames: int | None = None
        self._losses = Losses()
        self._clock: Clock = MendingClock()
        # a prefetching thread may still decode while the caller closes after an error
        self._lock = threading.Lock()
        self._container: InputContainer | None = None

    @property
    def loss(self) -> str | None:
        """Return a sentence about what could not be read so far, or None if nothing is missing."""
        return self._losses.sentence()

    def __enter__(self) -> Iterator[Frame]:
        """Open the file and decode its first frame.

        Raises:
            SourceError: the file is missing, empty, no video, or too damaged to decode any frame.
        """
        _require_readable(self.path)
        try:
            frames = self._frames(self._open())
            first = next(frames, None)
            if first is None:
                raise SourceError(f"{self.path}: {NO_PICTURE}")
        except BaseException:
            self._close()
            raise
        return itertools.chain((first,), frames)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _open(self) -> VideoStream:
        try:
            self._container = self._opened_on_gpu() or self._opened(None)
        except (FFmpegError, ValueError) as error:
            raise SourceError(
                f"{self.path}: not a video, or its header is damaged or cut off; "
                "play it elsewhere or export it again."
            ) from error
        stream = self._container.streams.best("video")
        if not self._container.streams:
            raise SourceError(f"{self.path}: {NO_PICTURE}")
        if not isinstance(stream, VideoStream) or _is_cover(stream):
            raise SourceError(f"{self.path}: the file has no video in it, only sound or data; give a video.")
        if stream.codec_context is None:
            raise SourceError(f"{self.path}: {NO_DECODER}")
        if (pixels := stream.width * stream.height) > MAX_PIXELS:
            raise SourceError(
                f"{self.path}: frames of {pixels / 1e6:.0f} megapixels are more than the "
                f"{MAX_PIXELS / 1e6:.0f} that gatecam reads; make the video smaller."
            )
        stream.codec_context.options = LIMITS
        # frame threads lose good frames before a damaged end, and how many depends on the machine
        stream.thread_type = "SLICE"
        stream.codec_context.thread_count = usable_cores()  # FFmpeg ignores a container's quota
        self.fps = _rate(stream)
        self.expected_frames = _expected_frames(self._container, stream, self.fps)
        self._begin_losses(self._container, stream)
        return stream

    def _begin_losses(self, container: InputContainer, stream: VideoStream) -> None:
        format_name = container.format.name
        self._losses = Losses(
            expected_frames=self.expected_frames if _states_length(stream, format_name) else None,
            cut_off=is_cut_off(self.path, format_name),
            gapless=format_name.startswith("matroska"),
        )

    def _opened_on_gpu(self) -> InputContainer | None:
        """Return the file opened for NVIDIA's decoder, or None if that is not wanted or not possible."""
        if not self._on_gpu:
            return None
        try:
            return self._opened(HWAccel("cuda"))
        except (FFmpegError, RuntimeError, ValueError, NotImplementedError) as error:
            log.info("%s: the GPU cannot decode it (%s), so the CPU does.", self.path, error)
            return None

    def _opened(self, hardware: HWAccel | None) -> InputContainer:
        # "file:" keeps FFmpeg from taking a name with a colon for a protocol. The whitelists keep a playlist
        # from opening network addresses and other files.
        container: InputContainer = av.open(
            f"file:{self.path}",
            options={"protocol_whitelist": "file", "format_whitelist": FILM_FORMATS, **LIMITS},
            **ANY_METADATA,
            hwaccel=hardware,
        )
        return container

    def _close(self) -> None:
        with self._lock:
            if self._container is not None:
                self._container.close()
                self._container = None

    def _frames(self, stream: VideoStream) -> Iterator[Frame]:
        self._clock.period_s = 1 / self.fps
        converter = VideoReformatter()
        for index, picture in enumerate(self._pictures(stream)):
            pts_s = None if picture.pts is None else float(picture.pts * _time_base(picture, stream))
            time_s = self._clock.tell(pts_s)
            try:
                image = square_rgb(picture, stream.sample_aspect_ratio, MAX_PIXELS, converter)
            except (FFmpegError, ValueError):  # FFmpeg cannot convert pixels of this format to RGB
                self._losses.note_undecodable()
                continue
            self._losses.note_picture(time_s, picture.is_corrupt)
            yield Frame(self.camera, index, time_s, _upright(image, picture))

    def _pictures(self, stream: VideoStream) -> Iterator[VideoFrame]:
        """Decode packet by packet. A packet that cannot be decoded is counted and skipped."""
        if self._container is None:
            return
        header_s = _header_duration_s(self._container, stream)
        packets = self._container.demux()
        while True:
            with self._lock:
                if self._container is None:
                    return
                try:
                    packet = next(packets, None)
                except FFmpegError:  # the rest of the container is damaged
                    self._losses.note_failure()
                    return
                if packet is None:
                    self._losses.note_end(self._container.size, header_s)
                    return
                pictures = self._decode(packet, stream)
            yield from pictures

    def _decode(self, packet: Packet[Stream], stream: VideoStream) -> list[VideoFrame]:
        self._losses.note_packet(packet.pos, packet.size, _end_s(packet))
        if packet.stream is not stream or _is_placeholder(packet):
            return []
        try:
            return stream.decode(packet)
        except FFmpegError:
            if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
                self._losses.note_too_large()
            else:
                self._losses.note_undecodable()
            return []


class Clock(Protocol):
    """Turns presentation times into seconds that start at 0 and always grow."""

    period_s: float

    def tell(self, pts_s: float | None) -> float:
        """Return the time of the next frame from its presentation time, which is None if it is unknown."""
        ...


class MendingClock:
    """Keeps the time growing in every file: it fills in missing times and repairs those that go back."""

    def __init__(self) -> None:
        self.period_s = 1 / DEFAULT_FPS
        self._origin_s: float | None = None
        self._last_s: float | None = None

    def tell(self, pts_s: float | None) -> float:
        """Return the time of the next frame from its presentation time, or else from the frame rate."""
        due_s = 0.0 if self._last_s is None else self._last_s + self.period_s
        time_s = due_s
        if pts_s is not None:
            if self._origin_s is None:
                self._origin_s = pts_s - due_s
            time_s = pts_s - self._origin_s
        if self._last_s is not None and time_s <= self._last_s:
            if self._last_s - time_s > REWIND_S and pts_s is not None:
                self._origin_s = pts_s - due_s
                time_s = due_s
            else:
                time_s = self._last_s + MIN_STEP_S
        self._last_s = time_s
        return time_s


def _require_readable(path: Path) -> None:
    if not path.exists():
        raise SourceError(f"{path}: {NO_FILE}")
    if not path.is_file():
        raise SourceError(f"{path}: not a file; give a video file or a folder of pictures.")
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise SourceError(f"{path}: may not be read ({error.strerror}); change its permissions.") from error
    if is_empty:
        raise SourceError(f"{path}: the file is empty; copy or record it again.")


def _is_cover(stream: VideoStream) -> bool:
    """Return whether the "video" is the cover picture of a music file."""
    return bool(stream.disposition & stream.disposition.attached_pic)


def _is_placeholder(packet: Packet[Stream]) -> bool:
    """Return whether a packet repeats the last frame, as in AVI. A decoder would take it for the end."""
    return packet.size == 0 and packet.dts is not None


def _end_s(packet: Packet[Stream]) -> float:
    return 0.0 if packet.pts is None else float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _time_base(picture: VideoFrame, stream: VideoStream) -> Fraction:
    return picture.time_base or stream.time_base or Fraction(1, 1)


def _rate(stream: VideoStream) -> float:
    """Return the mean frames/s. Raw streams have no times, so for them the codec's own rate is better."""
    rate = stream.average_rate if stream.start_time is not None else None
    fps = float(rate or stream.guessed_rate or 0)
    return fps if 0 < fps <= MAX_FPS else DEFAULT_FPS


def _header_duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the duration of the file. None for raw streams, where FFmpeg only guesses from the bit rate."""
    if container.duration is None or stream.start_time is None:
        return None
    return container.duration / av.time_base


def _expected_frames(container: InputContainer, stream: VideoStream, fps: float) -> int | None:
    duration_s = _header_duration_s(container, stream)
    if duration_s is not None and stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    by_time = max(1, round(duration_s * fps)) if duration_s else None
    if container.format.name.startswith("mov") and stream.frames and by_time:
        return min(stream.frames, by_time)  # the header also counts frames that an edit list leaves out
    return stream.frames or by_time


def _states_length(stream: VideoStream, format_name: str) -> bool:
    """Return whether a header states the length. Otherwise FFmpeg infers it from the rest of the file."""
    is_fragmented = format_name.startswith("mov") and not stream.frames
    return format_name not in {"mpegts", "mpeg"} and not is_fragmented


def _upright(image: Image, picture: VideoFrame) -> Image:
    """Turn an image as the display matrix of its frame says, and mirror it if the matrix says so."""
    try:
        matrix = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # the frame has data of a kind that PyAV cannot name, such as EXIF
        return np.ascontiguousarray(np.rot90(image, round(picture.rotation / 90)))
    if not isinstance(matrix, SideData):
        return np.ascontiguousarray(image)  # rows of an odd width are padded
    # ISO/IEC 14496-12, 6.2.2: x' = a x + c y, y' = b x + d y; phones write quarter turns and mirrors
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image = image.swapaxes(0, 1)
        a, d = c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
