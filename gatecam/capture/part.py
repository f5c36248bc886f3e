"""Cut videos at key frames, and read the frames from one cut to another as a replay would read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from gatecam.capture.video import VideoFile

SEEKS_BACK_S = 10


class CannotCutError(Exception):
    """A video cannot be read in parts, so it must be read whole."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A key frame at which a video can be cut: its time in units of its stream, and its place in bytes."""

    pts: int
    position: int


def find_cuts(path: Path, times_s: Sequence[float]) -> list[Cut]:
    """Return the last key frames before the given times, without repeats and without the file's start.

    A file without an index of its frames has none.

    Raises:
        SourceError: nothing can be read from `path`.
    """
    finder = _Finder(path)
    with finder:
        return finder.cuts(times_s)


class _Finder(VideoFile):
    """Finds the key frames of a video."""

    def cuts(self, times_s: Sequence[float]) -> list[Cut]:
        """Return what `find_cuts` returns. The file is open."""
        container = self._container
        assert container is not None, "the file is open"
        stream = container.streams.video[0]
        found: dict[int, Cut] = {}
        if container.format.name == "gif" or stream.start_time is None or stream.time_base is None:
            return []
        for time_s in times_s:
            with suppress(FFmpegError):
                at = stream.start_time + int(time_s / stream.time_base)
                container.seek(at, stream=stream)
                packet = next((one for one in container.demux(stream) if one.is_keyframe), None)
                if packet is not None and packet.pts is not None and packet.pos is not None:
                    found[packet.pts] = Cut(packet.pts, packet.pos)
        return [found[pts] for pts in sorted(found) if pts > stream.start_time]


class SteadyClock:
    """Tells the times of a part as `MendingClock` tells those of the whole file.

    Raises `CannotCutError` for a file whose times need repair, because repairs depend on all earlier frames.
    """

    def __init__(self) -> None:
        self.period_s = 0.0
        self.origin_s: float | None = None
        self._last_s = -1.0

    def tell(self, pts_s: float | None) -> float:
        """Return the time of the next frame."""
        if pts_s is None:
            raise CannotCutError("a frame has no time")
        if self.origin_s is None:
            self.origin_s = pts_s
        time_s = pts_s - self.origin_s
        if time_s <= self._last_s:
            raise CannotCutError("the times go back")
        self._last_s = time_s
        return time_s


class VideoPart(VideoFile):
    """Reads the frames of a video from one cut up to another. Indices count from the first frame of the part.

    Args:
        path: the video.
        camera: the camera name in the frames.
        start: the cut where the part begins, or None for the start of the file.
        end: the cut before which it ends, or None for the end of the file.
        runs_up: whether to decode from the key frame before `start`, so that frames come out as in a replay
            that has not been cut there.
    """

    def __init__(self, path: Path, camera: str, start: Cut | None, end: Cut | None, runs_up: bool) -> None:
        super().__init__(path, camera)
        self._start, self._end, self._runs_up = start, end, runs_up
        self._clock = self._steady = SteadyClock()
        self._positions = {cut.pts: cut.position for cut in (start, end) if cut is not None}

    def _pictures(self, stream: VideoStream) -> Iterator[VideoFrame]:
        pictures = super()._pictures(stream)
        if self._start is not None:
            first = next(pictures, None)
            if first is None or first.pts is None or stream.time_base is None:
                raise CannotCutError("the first frame has no time")
            self._steady.origin_s = float(first.pts * (first.time_base or stream.time_base))
            pictures.close()  # type: ignore[attr-defined]
            pictures = self._from(self._start, stream)
        for picture in pictures:
            if picture.pts is None:
                raise CannotCutError("a frame has no time")
            if self._end is not None and picture.pts >= self._end.pts:
                if picture.pts != self._end.pts or self._end.pts in self._positions:
                    raise CannotCutError("the part ends elsewhere")
                return
            yield picture
        if self._end is not None:
            raise CannotCutError("the part does not end")

    def _from(self, start: Cut, stream: VideoStream) -> Iterator[VideoFrame]:
        """Yield the pictures from a cut on. Some formats seek too far, so a second try seeks further back."""
        for back_s in (0, SEEKS_BACK_S):
            self._seek(start.pts - self._runs_up - int(back_s / (stream.time_base or 1)), stream)
            pictures = super()._pictures(stream)
            first = next((one for one in pictures if one.pts is not None and one.pts >= start.pts), None)
            if first is not None and first.pts == start.pts and start.pts not in self._positions:
                yield first
                yield from pictures
                return
        raise CannotCutError("the part begins elsewhere")

    def _seek(self, pts: int, stream: VideoStream) -> None:
        with self._lock:
            if self._container is not None:
                self._container.seek(pts, stream=stream)
                self._begin_losses(self._container, stream)

    def _decode(self, packet: Packet[Stream], stream: VideoStream) -> list[VideoFrame]:
        if packet.stream is stream and packet.pts is not None and packet.is_keyframe:
            at = self._positions.get(packet.pts)
            if at is not None and at == packet.pos:
                del self._positions[packet.pts]  # the cut has been found where it was
        return super()._decode(packet, stream)
