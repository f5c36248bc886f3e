"""The live camera: newest frame, drops, reconnects, and one sentence when it is not there."""

import threading
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from gatecam.capture.camera import Camera, cameras_seen, redacted
from gatecam.config import CameraConfig
from gatecam.errors import CameraError

URL = "http://user:secret@127.0.0.1/live"


class FakeCapture:
    """A device that gives the pictures it holds, then ends, or hangs until it is released."""

    made: ClassVar[list["FakeCapture"]] = []

    def __init__(self, pictures, hangs=False) -> None:
        self.made.append(self)
        self.pictures = list(pictures)
        self.hangs = hangs
        self.ended = threading.Event()
        self.released = threading.Event()

    def grab(self) -> bool:
        if not self.pictures:
            self.ended.set()
            if self.hangs:
                self.released.wait(10)
            return False
        return True

    def retrieve(self):
        picture = self.pictures.pop(0)
        return picture is not None, picture

    def release(self) -> None:
        self.released.set()


@pytest.fixture(autouse=True)
def _release_what_hangs(monkeypatch):
    monkeypatch.setattr("gatecam.capture.camera.CLOSE_S", 0.05)
    yield
    for capture in FakeCapture.made:
        capture.released.set()
    FakeCapture.made.clear()


def picture(blue=0, green=0, red=0):
    return np.full((4, 6, 3), (blue, green, red), np.uint8)


def camera_of(*captures, on_state=lambda text: None, **settings) -> Camera:
    queue = list(captures)
    config = CameraConfig(source=URL, **{"open_timeout_s": 0.5, "read_timeout_s": 0.5, **settings})
    return Camera(config, on_state, open_capture=lambda _: queue.pop(0) if queue else FakeCapture([]))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (picture(red=200), (200, 0, 0)),
        (np.full((4, 6), 50, np.uint8), (50, 50, 50)),
        (np.full((4, 6, 1), 50, np.uint8), (50, 50, 50)),
        (np.full((4, 6, 4), (1, 2, 3, 255), np.uint8), (3, 2, 1)),
    ],
    ids=["bgr", "grey", "one channel", "bgra"],
)
def test_every_kind_of_picture_becomes_rgb(image, expected):
    with camera_of(FakeCapture([image], hangs=True)) as frames:
        frame = next(frames)
    assert frame.image.shape == (4, 6, 3)
    assert (frame.image == expected).all()


def test_only_the_newest_frame_comes_and_the_others_are_counted():
    capture = FakeCapture([picture(red=level) for level in range(5)], hangs=True)
    camera = camera_of(capture)
    with camera as frames:
        assert capture.ended.wait(5)
        frame = next(frames)
        assert (frame.index, int(frame.image[0, 0, 0])) == (4, 4)
        assert camera.dropped == 4


def test_no_frame_comes_twice_and_stop_ends_the_iteration():
    capture = FakeCapture([picture()], hangs=True)
    camera = camera_of(capture)
    with camera as frames:
        next(frames)
        timer = threading.Timer(0.05, camera.stop)
        timer.start()
        assert list(frames) == []


def test_a_damaged_picture_is_passed_over():
    with camera_of(FakeCapture([None, None, picture(red=9)], hangs=True)) as frames:
        assert int(next(frames).image[0, 0, 0]) == 9


def test_a_lost_camera_is_told_reconnected_and_goes_on_counting():
    states = []
    captures = [FakeCapture([picture(red=1)]), FakeCapture([]), FakeCapture([picture(red=2)], hangs=True)]
    camera = camera_of(*captures, on_state=states.append)
    with camera as frames:
        assert [next(frames).index, next(frames).index] == [0, 1]
        assert states == ["camera entrance lost: reconnecting", "camera entrance is back"]
    assert all(capture.released.is_set() for capture in captures[:2])


def test_a_camera_that_stalls_is_told_as_lost():
    states, told = [], threading.Event()

    def on_state(text):
        states.append(text)
        told.set()
        camera.stop()

    capture = FakeCapture([picture()], hangs=True)
    camera = camera_of(capture, on_state=on_state)
    with camera as frames:
        assert len(list(frames)) == 1
        capture.released.set()
    assert told.is_set()
    assert states == ["camera entrance lost: reconnecting"]


def test_a_camera_that_hangs_while_opening_is_given_up():
    with pytest.raises(CameraError, match="gives no picture"), camera_of(FakeCapture([], hangs=True)):
        pass


def test_an_error_in_the_reader_comes_up_in_the_iteration():
    def fail(config):
        raise OSError("driver")

    with pytest.raises(OSError, match="driver"), Camera(CameraConfig(source=URL), open_capture=fail):
        pass


def test_a_device_that_gives_nothing_is_refused_at_once_and_its_password_kept(capfd):
    config = CameraConfig(source="http://user:secret@127.0.0.1:9/live?pwd=secret")
    with pytest.raises(CameraError, match="check the address") as caught, Camera(config):
        pass
    assert "secret" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("/dev/video-none", "no such camera"),
        ("99", "/dev/video99: there is no such camera"),
        ("door.mp4", "gatecam replay"),
        ("ftp://user:secret@host/a", "expected an index"),
    ],
)
def test_what_cannot_be_a_camera_is_refused_in_a_sentence(source, sentence, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(CameraError, match=sentence) as caught, Camera(CameraConfig(source=source)):
        pass
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("0", "0"),
        ("rtsp://10.0.0.5:554/live", "rtsp://10.0.0.5:554/live"),
        ("rtsp://user:p@ss/w?rd@10.0.0.5/live", "rtsp://***@10.0.0.5/live"),
        ("user:password@host", "***@host"),
        ("http://host/a?user=me&pwd=secret", "http://host/a?***"),
    ],
)
def test_no_password_is_left_in_a_redacted_address(source, expected):
    assert redacted(source) == expected


def test_motion_jpeg_over_http_is_read_reconnected_and_silent(mjpeg_server, capfd):
    mjpeg_server.plans = [(20, False), (20, True)]
    states = []
    config = CameraConfig(source=mjpeg_server.url, read_timeout_s=0.5)
    camera = Camera(config, on_state=states.append)
    with camera as frames:
        for frame in frames:
            assert np.abs(frame.image[0, 0].astype(int) - (200, 0, 0)).max() < 8
            if mjpeg_server.connections == 3 and len(states) == 4:
                camera.stop()
    assert states == ["camera entrance lost: reconnecting", "camera entrance is back"] * 2
    assert frame.index > 20
    assert capfd.readouterr() == ("", "")


def test_cameras_are_listed_with_their_names(tmp_path: Path):
    listed = tmp_path / "sys/class/video4linux"
    for device, index, name in [
        ("video10", "0", "Dome"),
        ("video2", "0", "HD Webcam"),
        ("video3", "1", "meta"),
    ]:
        (listed / device).mkdir(parents=True)
        (listed / device / "index").write_text(index + "\n")
        (listed / device / "name").write_text(name + "\n")
    (tmp_path / "dev/v4l/by-id").mkdir(parents=True)
    for device in ("video2", "video10"):
        (tmp_path / "dev" / device).touch()
    stable = tmp_path / "dev/v4l/by-id/usb-HD-index0"
    stable.symlink_to("../../video2")
    assert cameras_seen(tmp_path) == [f"{stable} (HD Webcam)", f"{tmp_path}/dev/video10 (Dome)"]
    assert cameras_seen(tmp_path / "elsewhere") == []
