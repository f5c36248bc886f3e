"""Write frames with their true times as an H.264 video that browsers play."""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
import PIL.Image
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import ImageOps

from gatecam.errors import OutputError
from gatecam.runtime.cores import usable_cores
from gatecam.runtime.files import Replacement
from gatecam.types import Image

TICKS_PER_S = 60_000  # whole ticks at 24, 25, 29.97, 30, 50 and 60 frames/s. MPEG-4 allows up to 65535.
FORMATS = {".mp4": "mp4", ".mkv": "matroska"}
MAX_PAUSE_S = 3600.0  # MP4 holds no frame longer than 2**31 ticks, which is under ten hours
MAX_FPS = 240.0
BT709 = 1  # ITU-T H.273, the code of BT.709 for primaries, transfer and matrix

log = logging.getLogger(__name__)


def require_video_name(path: Path) -> None:
    """Check that a file name has the suffix of a video format.

    Raises:
        OutputError: the suffix is neither .mp4 nor .mkv.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: expected a video name that ends in .mp4 or .mkv: choose one of these.")


class VideoWriter:
    """Records RGB pictures as a video while its context is open.

    Leaving the context always finishes the file, even after an error. The video is written under a temporary
    name next to `path` and renamed at the end, so a file at `path` is always complete. If there was no frame,
    no file remains.

    The pictures keep their times, counted from the first one, but a pause longer than an hour is shortened to
    an hour. Odd sides are padded by one pixel. A later picture of another size is letterboxed into the first
    one's size.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """Prepare a video at `path` (.mp4 or .mkv). The last frame is shown for 1 / `fps` seconds.

        Raises:
            OutputError: the suffix is neither .mp4 nor .mkv.
        """
        require_video_name(path)
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps: expected a number above 0, got {fps}")
        self._path = path
        self._new: Replacement | None = None
        self._fps = min(fps, MAX_FPS)  # players do not show an even shorter last frame
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size = (0, 0)  # width, height of the first picture
        self._start_s = 0.0
        self._latest_s = 0.0
        self._ticks = -1  # of the latest frame

    def __enter__(self) -> VideoWriter:
        """Create the temporary file.

        Raises:
            OutputError: the folder is missing or not writable, or `path` is not a regular file.
        """
        self._new = Replacement(self._path)
        options = {"movflags": "+faststart"} if self._path.suffix.lower() == ".mp4" else {}
        try:
            self._container = av.open(
                # Absolute, because FFmpeg takes `name:` at the start of a relative path for a protocol.
                str(self._new.part.absolute()),
                "w",
                format=FORMATS[self._path.suffix.lower()],
                options=options,
            )
        except (av.FFmpegError, OSError) as error:
            self._new.discard()
            raise self._cannot_write(error) from error
        return self

    def write(self, image: Image, time_s: float) -> None:
        """Add a picture, (H, W, 3) uint8 RGB, that is shown from `time_s` until the next one.

        Raises:
            OutputError: the file cannot be written, for example because the disk is full.
        """
        if self._container is None:
            raise RuntimeError("write: expected to be called within the `with` block")
        try:
            if self._stream is None:
                self._size = (image.shape[1], image.shape[0])
                self._start_s = self._latest_s = time_s
                self._stream = self._add_stream(self._container)
            frame = av.VideoFrame.from_ndarray(self._fit(image), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            frame.pts, frame.time_base = self._tick(time_s), Fraction(1, TICKS_PER_S)
            frame.duration = round(TICKS_PER_S / self._fps)
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._cannot_write(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file and rename it. If the block already failed, only log a failure here."""
        try:
            self._finish()
        except OutputError as failure:
            if kind is None:
                raise
            if not isinstance(error, OutputError):
                log.warning("%s", failure)

    def _add_stream(self, container: OutputContainer) -> VideoStream:
        """Add a video stream with its encoder: x264 if PyAV includes it, otherwise MPEG-4."""
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        options = {"preset": "veryfast", "crf": "23"} if codec == "libx264" else {"qmin": "2", "qmax": "5"}
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = (side + side % 2 for side in self._size)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS_PER_S)
        context.thread_count = usable_cores()  # FFmpeg itself ignores a container's CPU quota
        context.max_b_frames = 0  # with uneven times, B-frames make the MP4 index end before the last frames
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = ColorRange.MPEG
        return stream

    def _tick(self, time_s: float) -> int:
        """Return the time since the first frame in ticks, always later than the previous frame."""
        self._start_s += max(0.0, time_s - self._latest_s - MAX_PAUSE_S)
        self._latest_s = time_s
        self._ticks = max(self._ticks + 1, round((time_s - self._start_s) * TICKS_PER_S))
        return self._ticks

    def _fit(self, image: Image) -> Image:
        """Return the picture in the size of the first one, with even sides."""
        width, height = self._size
        if image.shape[:2] != (height, width):
            image = np.asarray(ImageOps.pad(PIL.Image.fromarray(image), self._size))
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return np.ascontiguousarray(image)

    def _finish(self) -> None:
        """Flush the encoder, write the index and rename the file. On failure delete the temporary file."""
        container, self._container = self._container, None
        if container is None or self._new is None:
            return
        try:
            try:
                if self._stream is not None:
                    container.mux(self._stream.encode(None))
            finally:
                container.close()
            if self._stream is None:
                self._new.discard()
            else:
                self._new.finish()
        except (av.FFmpegError, OSError) as error:
            self._new.discard()
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or error
        return OutputError(
            f"{self._path}: the video cannot be written ({reason}): "
            "choose a folder that exists, is yours and has space."
        )
