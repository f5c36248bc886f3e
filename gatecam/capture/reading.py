"""Say what a reader process is to read, by which methods, and what it reports to people.

gatecam imports this without FFmpeg, which only the reader process needs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import IntEnum

from gatecam.runtime.addresses import is_url

NO_STREAM = "gives no picture; check the address, user and password, and that the camera is on"
NO_DEVICE = "gives no picture; check that it is plugged in and that no other program uses it"
NO_VIDEO = "sends no video; give the address of its video stream"
NO_DECODER = "sends video in a format for which there is no decoder; set the camera to H.264"
STALLED = "sends nothing any more"
ENDED = "ended its stream"
UNFIT = "sends only what cannot be shown: damaged pictures, or larger ones than 7680 x 4320"
GARBLED = "sends garbage between its pictures"

UNKNOWN_ERROR = 3  # exit code of a reader that has reported an unexpected error


class Method(IntEnum):
    """Lists the ways to read a camera."""

    DEVICE = 1  # OpenCV
    DEMUXED = 2  # FFmpeg understands the stream's container; RTSP uses TCP, or UDP if the camera refuses TCP
    JPEGS = 3  # JPEG pictures are searched for in whatever the stream sends
    UDP = 4  # like `DEMUXED`, but RTSP only over UDP, for a camera that accepts TCP and then sends nothing


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Says where a camera is, which format a USB camera should use, and how long a stream may be silent.

    At most `max_fps` frames a second are used, None means all. `rtsp_transport` is tcp, udp, or auto for
    both. With `other_hosts` the camera may redirect to other addresses.
    """

    source: str
    width: int
    height: int
    fps: float
    read_timeout_s: float
    max_fps: float | None = None
    rtsp_transport: str = "auto"
    other_hosts: bool = False

    def methods(self) -> tuple[Method, ...]:
        """Return the methods that may read the camera, most likely first."""
        scheme = self.source.partition("://")[0].lower()
        if not is_url(self.source):
            return (Method.DEVICE,)
        if scheme == "rtsp":  # FFmpeg reads rtsps only over TCP
            return {"tcp": (Method.DEMUXED,), "udp": (Method.UDP,)}.get(
                self.rtsp_transport, (Method.DEMUXED, Method.UDP)
            )
        return (Method.DEMUXED, Method.JPEGS) if scheme in ("http", "https") else (Method.DEMUXED,)


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """Holds what the process needs: its camera, time limits and connections.

    `longest_open_s` is the longest time an earlier reader took to the first frame, 0 if there was none.
    `method` is the method by which that reader got frames, or 0. Frames are numbered from `first_index`.
    """

    source: SourceSettings
    open_timeout_s: float
    longest_open_s: float
    first_index: int
    memory_fd: int
    bell_fd: int
    method: int = 0

    def to_json(self) -> bytes:
        """Return the settings as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> ReaderSettings:
        """Return the settings that `to_json` wrote."""
        values = json.loads(line)
        return cls(**{**values, "source": SourceSettings(**values["source"])})
