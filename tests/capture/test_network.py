"""Cameras that are no Motion JPEG over HTTP: RTSP by each transport, MPEG-TS, killed and back."""

from __future__ import annotations

import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatecam.capture.camera import Camera, Cameras
from gatecam.errors import CameraError
from gatecam.settings.schema import CameraConfig
from gatecam.types import CameraCondition
from tests.streams import free_port

LIMIT_S = 30.0
BACK_S = 5.0
SYSTEM_PYTHON = "/usr/bin/python3"
RTSP_SERVER = Path(__file__).parents[1] / "rtsp_server.py"
FFMPEG = "ffmpeg -nostdin -loglevel quiet -re -f lavfi -i"
NOISE = "testsrc=size=320x240:rate=30,noise=alls=8:allf=t"


def has_rtsp_server() -> bool:
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True).returncode == 0
    except OSError:
        return False


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    """A server, killed at the end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            if command[0] == SYSTEM_PYTHON:
                assert process.stdout.readline() == b"listening\n"
            yield
        finally:
            process.kill()


def until(camera: Camera, kind: CameraCondition) -> float:
    """How long it took until the camera was so."""
    begun_s = time.monotonic()
    while camera.state.kind is not kind:
        assert time.monotonic() - begun_s < LIMIT_S, camera.state
        poll = select.poll()
        for fileno in camera.filenos():
            poll.register(fileno, select.POLLIN)
        poll.poll(20)
        camera.tick(time.monotonic())
    return time.monotonic() - begun_s


def comes_back(command: list[str], source: str) -> None:
    """A camera is seen, killed, noticed, and seen again in time."""
    camera = Camera(CameraConfig(source=source))
    try:
        with running(command):
            until(camera, CameraCondition.OPEN)
            assert camera.take().image.shape == (240, 320, 3)
        assert until(camera, CameraCondition.LOST) < 3
        time.sleep(1.0)  # off for a while
        with running(command):
            assert until(camera, CameraCondition.OPEN) < BACK_S
    finally:
        camera.close()


needs_rtsp_server = pytest.mark.skipif(
    not has_rtsp_server(), reason="needs GStreamer's RTSP server for the system's Python"
)


def rtsp_server(port: int, transport: str = "any", method: str = "none") -> list[str]:
    return [SYSTEM_PYTHON, str(RTSP_SERVER), str(port), transport, method]


@pytest.mark.slow
@needs_rtsp_server
def test_an_rtsp_camera_that_is_killed_comes_back():
    port = free_port()
    comes_back(rtsp_server(port), f"rtsp://127.0.0.1:{port}/live")


@needs_rtsp_server
@pytest.mark.parametrize(("transport", "method"), [("udp", "digest"), ("tcp", "basic")])
def test_an_rtsp_camera_of_one_transport_wants_its_password_and_is_never_lost(transport, method):
    port, states = free_port(), []
    with running(rtsp_server(port, transport, method)):
        config = CameraConfig(source=f"rtsp://cam:p%40ss:w%23rd%2F1%3F@127.0.0.1:{port}/live")
        with Cameras([config], lambda name, state: states.append(state.kind)) as frames:
            assert any(frame.image.shape == (240, 320, 3) for new in frames for frame in new)
        assert CameraCondition.LOST not in states
        wrong = config.model_copy(update={"source": f"rtsp://cam:wrong@127.0.0.1:{port}/live"})
        with pytest.raises(CameraError, match="check the address, user and password"), Cameras([wrong]):
            pass


@needs_rtsp_server
def test_the_setting_of_the_transport_rules_out_the_other_one():
    port = free_port()
    with running(rtsp_server(port, "udp")):
        config = CameraConfig(source=f"rtsp://127.0.0.1:{port}/live", rtsp_transport="tcp")
        with pytest.raises(CameraError, match="gives no picture"), Cameras([config]):
            pass


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize(
    ("codec", "where", "source"),
    [
        ("mpeg2video", "-listen 1 http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/"),
        ("libx264", "tcp://127.0.0.1:{port}?listen=1", "tcp://127.0.0.1:{port}"),
        ("libx264", "udp://127.0.0.1:{port}?pkt_size=1316", "udp://127.0.0.1:{port}"),
    ],
)
def test_an_mpeg_ts_stream_that_is_killed_comes_back(codec, where, source):
    port = free_port()
    coding = f"-c:v {codec} -b:v 2M -g 30 -tune zerolatency" if codec == "libx264" else f"-c:v {codec} -g 30"
    words = [*FFMPEG.split(), NOISE, *coding.split(), "-f", "mpegts", *where.format(port=port).split()]
    comes_back(words, source.format(port=port))
