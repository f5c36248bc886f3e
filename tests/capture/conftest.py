"""Builders for the tests of `gatecam.capture`: tiny videos, and a camera on 127.0.0.1."""

import http.server
import io
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest

WriteVideo = Callable[..., Path]


def level_of(index: int) -> int:
    """The grey of frame `index`: far enough apart to be told after lossy coding."""
    return 16 + 9 * (index % 24)


def write_video(
    path: Path,
    frames: int = 24,
    codec: str = "libx264",
    fps: int = 25,
    pts: list[int] | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    rotation: tuple[float, bool, bool] | None = None,
    sound_s: float = 0.0,
    noise: bool = False,
    pix_fmt: str = "yuv420p",
) -> Path:
    """A video of 64 x 48 px whose frame `i` is `level_of(i)` grey, with its top left quarter white."""
    rng = np.random.default_rng(7)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=codec_options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        stream.codec_context.time_base = Fraction(1, fps)
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
        sound = container.add_stream("mp2", rate=44100) if sound_s else None
        for index in range(frames):
            image = np.full((48, 64, 3), level_of(index), np.uint8)
            if noise:
                image = rng.integers(0, 256, image.shape, np.uint8)
            image[:24, :32] = 255
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts = pts[index] if pts else index
            picture.time_base = Fraction(1, fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 2 * round(44100 * sound_s)), np.int16), format="s16", layout="stereo"
            )
            silence.sample_rate = 44100
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
    return path


@pytest.fixture(name="write_video")
def _write_video() -> WriteVideo:
    return write_video


def jpeg(level: int) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (64, 48), (level, 0, 0)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


class MjpegServer(http.server.ThreadingHTTPServer):
    """Motion JPEG over HTTP as IP cameras send it.

    `plans` holds, for the connections to come, how many pictures each sends, and whether it then stalls
    (True) or closes (False); without a plan a connection sends pictures until the test ends.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plans: list[tuple[int, bool]] = []
        self.over = threading.Event()
        self.connections = 0
        self.url = f"http://user:secret@127.0.0.1:{self.server_port}/live?password=secret"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: MjpegServer

    def do_GET(self) -> None:
        self.server.connections += 1
        count, stalls = self.server.plans.pop(0) if self.server.plans else (100_000, False)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for index in range(count):
                picture = jpeg(200)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")
                if self.server.over.wait(0.01 if index else 0):
                    return
            if stalls:
                self.server.over.wait()
        except OSError:
            pass  # the client went away

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def mjpeg_server() -> Iterator[MjpegServer]:
    with MjpegServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()
