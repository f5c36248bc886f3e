"""Live cameras end to end: newest frame, drops, states, restarts, and one sentence when one is not there."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from gatecam.capture.camera import Camera, Cameras
from gatecam.errors import CameraError
from gatecam.settings.schema import CameraConfig
from gatecam.types import CameraCondition, CameraState, Frame
from tests.streams import BOUNDARY, MjpegServer, Viewer, jpeg, noise, part

LIMIT_S = 20.0  # for anything that a test waits for
HANGS = (sys.executable, "-c", "import threading; threading.Event().wait()")
CRASHES = (sys.executable, "-c", "import os; os.abort()")


def camera_at(source: str, name: str = "entrance", **settings) -> CameraConfig:
    return CameraConfig(source=source, name=name, **settings)


class Told:
    """The states that were told, by camera."""

    def __init__(self) -> None:
        self.states: list[tuple[str, CameraState]] = []

    def __call__(self, name: str, state: CameraState) -> None:
        self.states.append((name, state))

    def kinds(self, name: str = "entrance") -> list[str]:
        return [str(state.kind) for camera, state in self.states if camera == name]


def frames_until(frames: Iterator[list[Frame]], is_over: Callable[[], object]) -> list[Frame]:
    """All frames that come until something holds."""
    found: list[Frame] = []
    deadline_s = time.monotonic() + LIMIT_S
    for new in frames:
        found += new
        if is_over():
            return found
        assert time.monotonic() < deadline_s, f"nothing of it within {LIMIT_S} s"
    pytest.fail("the iteration ended by itself")


def reader_pid(camera: Camera) -> int:
    return camera._reader._process.pid


@pytest.fixture
def tick() -> Iterator[Callable[..., None]]:
    """Ticks cameras of their own until something holds."""
    ticked: list[Camera] = []

    def until(camera: Camera, is_over: Callable[[], object]) -> None:
        ticked.append(camera)
        deadline_s = time.monotonic() + LIMIT_S
        while not is_over():
            assert time.monotonic() < deadline_s, f"nothing of it within {LIMIT_S} s: {camera.state}"
            poll = select.poll()
            for fileno in camera.filenos():
                poll.register(fileno, select.POLLIN)
            poll.poll(20)
            camera.tick(time.monotonic())

    yield until
    for camera in ticked:
        camera.close()


def test_a_stream_gives_rgb_frames_and_nothing_on_the_terminal(mjpeg_server, capfd):
    told = Told()
    cameras = Cameras([camera_at(mjpeg_server.url)], told)
    with cameras as frames:
        found: list[Frame] = []
        while len(found) < 10:
            found += next(frames)
    assert np.abs(found[0].image[0, 0].astype(int) - (200, 0, 0)).max() < 8
    assert {frame.camera for frame in found} == {"entrance"}
    assert told.kinds() == ["open"]
    assert capfd.readouterr() == ("", "")


def test_frames_that_nobody_took_are_counted_and_only_the_newest_comes(tick):
    def plan(viewer: Viewer) -> None:
        viewer.pictures(5, period_s=0.01)
        viewer.pictures(1, jpeg(90), 0.01)
        viewer.hang()

    with MjpegServer(plan=plan) as server:
        camera = Camera(camera_at(server.url))
        tick(camera, lambda: camera._seen_index == 5)
        frame = camera.take()
    assert (frame.index, camera.dropped) == (5, 5)
    assert abs(int(frame.image[0, 0, 0]) - 90) < 8
    assert camera.take() is None


def test_stop_ends_the_iteration_while_nothing_comes():
    with MjpegServer(plan=lambda viewer: (viewer.pictures(5), viewer.hang())) as server:
        cameras = Cameras([camera_at(server.url)])
        with cameras as frames:
            frames_until(frames, lambda: cameras.cameras[0]._taken_index >= 3)
            threading.Timer(0.3, cameras.stop).start()
            assert sum(len(new) for new in frames) <= 1


def test_an_item_without_frames_comes_while_a_camera_is_silent():
    with MjpegServer(plan=lambda viewer: (viewer.pictures(5), viewer.hang())) as server:
        cameras = Cameras([camera_at(server.url)])
        with cameras as frames:
            frames_until(frames, lambda: cameras.cameras[0]._taken_index >= 3)
            assert [len(next(frames)) for _ in range(4)][-2:] == [0, 0]


def test_a_camera_that_is_not_there_is_refused_in_a_sentence_without_its_password(capfd):
    config = camera_at("http://user:1/secret@127.0.0.1:9/user/secret/live?pwd=secret")
    with (
        pytest.raises(CameraError, match=r"gives no picture; check the .* as %23") as caught,
        Cameras([config]),
    ):
        pass
    assert "secret" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_accepts_and_says_nothing_is_refused_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = camera_at(f"http://127.0.0.1:{silent.getsockname()[1]}/", open_timeout_s=1.5)
        with pytest.raises(CameraError, match="gives no picture"), Cameras([config]):
            pass


def odd_parts(boundary: bytes, kind: bytes, first: bytes) -> Callable[[Viewer], None]:
    """Return the plan of a camera whose parts FFmpeg does not take for Motion JPEG."""
    rest = b"Content-Type: " + kind + b"\r\n\r\n" + jpeg() + b"\r\n"

    def plan(viewer: Viewer) -> None:
        viewer.send(first + rest)
        while True:
            viewer.send(boundary + rest)
            viewer.wait(0.03)

    return plan


ODD = {
    "no boundary before the first part": odd_parts(BOUNDARY, b"image/jpeg", b""),
    "boundary without dashes": odd_parts(b"frame\r\n", b"image/jpeg", b"frame\r\n"),
    "type image/jpg": odd_parts(BOUNDARY, b"image/jpg", BOUNDARY),
}


def test_trying_the_second_reading_method_is_no_failure_among_several_cameras():
    with ExitStack() as stack:
        servers = {name: stack.enter_context(MjpegServer(plan=plan)) for name, plan in ODD.items()}
        told = Told()
        cameras = Cameras([camera_at(server.url, name) for name, server in servers.items()], told)
        with cameras as frames:
            frames_until(frames, lambda: all(camera._taken_index >= 3 for camera in cameras.cameras))
        assert all(told.kinds(name)[-1] == "open" and "lost" not in told.kinds(name) for name in ODD)


def test_the_reading_method_of_an_only_camera_is_remembered_by_its_next_reader():
    with MjpegServer(plan=ODD["type image/jpg"]) as server:
        cameras = Cameras([camera_at(server.url)])
        with cameras as frames:
            camera = cameras.cameras[0]
            frames_until(frames, lambda: camera.state.sees)
            assert server.connections == 2
            os.kill(reader_pid(camera), signal.SIGKILL)
            frames_until(frames, lambda: camera.restarts == 1 and camera._reader and camera._taken_index > 40)
    assert server.connections == 3


@pytest.mark.parametrize("source", ["/dev/video-none", "99", "door.mp4"])
def test_what_cannot_be_a_camera_is_refused_before_a_process_starts(source, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    config = camera_at("0").model_copy(update={"source": source})  # as --camera gives it
    with pytest.raises(CameraError, match=r"no such camera|expected an index"):
        Cameras([config], command=("/nonexistent",)).__enter__()


def test_a_service_waits_for_a_camera_that_is_not_there_and_finds_it():
    with MjpegServer() as server:
        pass  # its port is known now, and closed
    told = Told()
    with Cameras([camera_at(server.url)], told, wait=True) as frames:
        frames_until(frames, lambda: told.kinds()[-1] == "lost")
        with server:
            assert frames_until(frames, lambda: told.kinds()[-1] == "open")
    assert "check the address" in told.states[-2][1].reason


def test_one_camera_that_fails_leaves_the_other_alone(mjpeg_server):
    told = Told()
    configs = [
        camera_at("http://127.0.0.1:9/", "yard"),
        camera_at(mjpeg_server.url),
        camera_at("/dev/video-none", "roof"),
    ]
    names, ends = ("yard", "entrance", "roof"), [["lost"], ["open"], ["lost"]]
    cameras = Cameras(configs, told)
    with cameras as frames:
        found = frames_until(frames, lambda: [told.kinds(name)[-1:] for name in names] == ends)
        found += frames_until(frames, lambda: cameras.cameras[1]._taken_index > 30)
    assert {frame.camera for frame in found} == {"entrance"}
    assert [told.kinds(name)[-1:] for name in names] == ends
    assert "there is no such camera" in cameras.cameras[2].state.reason


def test_all_cameras_with_news_come_at_once_and_none_twice():
    with MjpegServer() as one, MjpegServer() as other:
        cameras = Cameras([camera_at(one.url, "a"), camera_at(other.url, "b")])
        with cameras as frames:
            frames_until(frames, lambda: all(camera.state.sees for camera in cameras.cameras))
            for camera in cameras.cameras:
                seen = camera._seen_index
                while camera._seen_index < seen + 2:
                    camera.tick(time.monotonic())
            assert [frame.camera for frame in next(frames)] == ["a", "b"]


def test_a_stream_that_ends_and_returns_goes_on_counting(tick):
    with MjpegServer(lambda viewer: viewer.pictures(5)) as server:
        camera = Camera(camera_at(server.url))
        tick(camera, lambda: server.connections == 2 and camera._seen_index > 10)
        assert (camera.state.kind, camera.restarts) == (CameraCondition.OPEN, 0)
        assert camera.take().index > 10


def test_a_camera_is_lost_since_its_last_picture_and_says_why(tick):
    with MjpegServer() as server:
        camera = Camera(camera_at(server.url, read_timeout_s=0.5))
        tick(camera, lambda: camera.state.sees)
        server.kill()
        tick(camera, lambda: camera.state.kind is CameraCondition.LOST)
        assert camera.state.since_s == camera.last_frame_s
        tick(camera, lambda: "check the address" in camera.state.reason)
        assert camera.state.since_s == camera.last_frame_s
        server.start()
        tick(camera, lambda: camera.state.sees)


def test_what_the_reader_says_of_a_picture_makes_the_camera_blind(tick, mjpeg_server):
    says_dark = (
        "from gatecam.capture import reader; from gatecam.capture.reader import *;"
        "reader.Sight = lambda: type('Dark', (), {'look': lambda self, image, time_s: 'dark'})(); main()"
    )
    camera = Camera(camera_at(mjpeg_server.url), (sys.executable, "-c", says_dark))
    tick(camera, lambda: camera._seen_index > 1)
    assert (camera.state.kind, camera.state.reason) == (CameraCondition.BLIND, "dark")
    assert camera.take() is not None


def test_a_reader_that_is_killed_is_replaced(tick, mjpeg_server):
    camera = Camera(camera_at(mjpeg_server.url))
    tick(camera, lambda: camera.state.sees)
    seen = camera._seen_index
    first = reader_pid(camera)
    os.kill(first, signal.SIGKILL)
    tick(camera, lambda: camera._seen_index > seen + 2)
    assert camera.restarts == 1
    assert reader_pid(camera) != first
    assert camera.take().index > seen + 2


def test_a_reader_that_starts_slowly_gets_more_time_the_next_time(tick, mjpeg_server, monkeypatch):
    camera = Camera(camera_at(mjpeg_server.url))
    tick(camera, lambda: camera.state.sees)
    monkeypatch.setattr("gatecam.capture.process.RESTART_S", 0.05)
    os.kill(reader_pid(camera), signal.SIGKILL)
    tick(camera, lambda: camera.restarts)
    seen = camera._seen_index
    tick(camera, lambda: camera._seen_index > seen)


def test_a_reader_may_load_longer_than_its_camera_may_take_to_open():
    camera = Camera(camera_at("http://127.0.0.1:9/", open_timeout_s=0.5), HANGS)
    camera.tick(1000.0)
    assert camera.deadline_s == 1010.0
    camera.close()


def test_a_reader_that_is_stopped_is_noticed_within_3_s_and_replaced(tick, mjpeg_server):
    camera = Camera(camera_at(mjpeg_server.url))
    tick(camera, lambda: camera.state.sees)
    first = reader_pid(camera)
    os.kill(first, signal.SIGSTOP)
    stopped_s = time.monotonic()
    tick(camera, lambda: camera.state.kind is CameraCondition.LOST)
    assert time.monotonic() - stopped_s < 3
    tick(camera, lambda: camera.restarts == 1)
    assert time.monotonic() - stopped_s < 4
    assert "hung, so its reader was ended" in camera.state.reason
    tick(camera, lambda: camera.state.sees)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (HANGS, "hung, so its reader was ended"),
        (CRASHES, "crashed its reader (signal 6)"),
        (("/nonexistent",), "gets no reader (No such file or directory)"),
    ],
)
def test_a_reader_that_never_gets_to_work_is_told_and_tried_again(tick, command, said, monkeypatch):
    monkeypatch.setattr("gatecam.capture.process.START_S", 0.5)
    camera = Camera(camera_at("http://127.0.0.1:9/", open_timeout_s=0.5), command)
    tick(camera, lambda: camera.state.kind is CameraCondition.LOST)
    assert camera.state.reason == f"camera entrance (http://127.0.0.1:9/) {said}."
    since_s = camera.state.since_s
    if command[0] != "/nonexistent":
        tick(camera, lambda: camera.restarts == 2)
    assert camera.state.since_s == since_s


def test_an_unknown_error_in_a_reader_is_told(tick, mjpeg_server):
    fails = (
        "from gatecam.capture import reader; from gatecam.capture.reader import *;"
        "reader.Sight = lambda: type('Bad', (), {'look': lambda self, image, time_s: 1 // 0})(); main()"
    )
    camera = Camera(camera_at(mjpeg_server.url), (sys.executable, "-c", fails))
    tick(camera, lambda: camera.state.kind is CameraCondition.LOST)
    assert "stopped its reader (ZeroDivisionError: " in camera.state.reason


def test_a_password_is_not_on_the_command_line(tick, mjpeg_server):
    camera = Camera(camera_at(mjpeg_server.url))
    tick(camera, lambda: camera.state.sees)
    assert b"secret" not in Path(f"/proc/{reader_pid(camera)}/cmdline").read_bytes()


def test_restarts_leave_no_open_files_behind(tick):
    camera = Camera(camera_at("http://127.0.0.1:9/", open_timeout_s=10), CRASHES)
    tick(camera, lambda: camera.restarts == 1)
    before = len(os.listdir("/proc/self/fd"))
    tick(camera, lambda: camera.restarts == 3)
    camera.close()
    assert len(os.listdir("/proc/self/fd")) <= before


PARENT = """
import os, sys, threading
from gatecam.capture.camera import Cameras
from gatecam.settings.schema import CameraConfig
cameras = Cameras([CameraConfig(source=sys.argv[1])])
with cameras as frames:
    next(frames)
    print(cameras.cameras[0]._reader._process.pid, flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize("reader_state", ["runs", "hangs", "is stopped"])
def test_a_reader_ends_when_gatecam_is_killed(reader_state):
    plan = Viewer.pictures if reader_state == "runs" else lambda viewer: (viewer.pictures(5), viewer.hang())
    with MjpegServer(plan=plan) as server:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, server.url],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        reader = os.pidfd_open(int(parent.stdout.readline()))
        if reader_state == "is stopped":
            signal.pidfd_send_signal(reader, signal.SIGSTOP)
        parent.kill()
        parent.communicate(timeout=10)
        ended, _, _ = select.select([reader], [], [], 1.0)  # readable once the process has ended
        os.close(reader)
    assert ended


def test_garbage_half_pictures_and_changing_sizes_hold_up_nothing(tick):
    def plan(viewer: Viewer) -> None:
        for seed in range(1000):
            viewer.pictures(1, jpeg(200, 64 + seed % 7, 48))
            viewer.send(part(jpeg()[:400]))
            viewer.send(part(jpeg())[:500])
            viewer.send(noise(2000, seed))

    with MjpegServer(plan=plan) as server:
        camera = Camera(camera_at(server.url))
        sizes = set()

        def sees_many() -> bool:
            if (frame := camera.take()) is not None:
                sizes.add(frame.image.shape)
            return camera._seen_index > 60

        tick(camera, sees_many)
        assert camera.state.sees
        assert camera.restarts == 0
        assert server.connections < 5
        assert len(sizes) > 3
