"""Builders for the tests of `gatecam.capture`: tiny videos, and a camera on 127.0.0.1."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.streams import MjpegServer

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
    pixel_ratio: Fraction = Fraction(0),  # not told
) -> Path:
    """A video of 64 x 48 px whose frame `i` is `level_of(i)` grey, with its top left quarter white."""
    rng = np.random.default_rng(7)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=codec_options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        stream.codec_context.time_base = Fraction(1, fps)
        stream.codec_context.sample_aspect_ratio = pixel_ratio
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


@pytest.fixture
def undecodable(tmp_path) -> Path:
    """A Matroska file whose video is of a codec that nobody knows."""
    path = write_video(tmp_path / "a.mkv", codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/ASP", b"V_SMART/ISO/ASP"))
    return path


@pytest.fixture
def mjpeg_server() -> Iterator[MjpegServer]:
    """A camera in good health, unless the test gives it plans."""
    with MjpegServer() as server:
        yield server
