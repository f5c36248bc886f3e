"""What USB cameras and network streams give, and how their end is told."""

from __future__ import annotations

import itertools

import av
import cv2
import numpy as np
import pytest
from av.packet import Packet
from av.video.reformatter import VideoReformatter

from gatecam.capture import sources
from gatecam.capture.reading import Method, SourceSettings
from gatecam.capture.sources import OtherMethodError, device_shots, shots
from gatecam.errors import CameraError
from tests.streams import MjpegServer, Viewer, jpeg, noise, part


class FakeCapture:
    """A device that gives the pictures it holds, then ends; an exception among them is raised."""

    def __init__(self, *pictures) -> None:
        self.pictures = list(pictures)
        self.is_released = False

    def grab(self) -> bool:
        return bool(self.pictures)

    def retrieve(self):
        picture = self.pictures.pop(0)
        if isinstance(picture, Exception):
            raise picture
        return picture is not None, picture

    def release(self) -> None:
        self.is_released = True


def images_of(found, count):
    """The next pictures, damaged ones left out."""
    return list(itertools.islice((shot.image for shot in found if shot.image is not None), count))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((4, 6, 3), (0, 0, 200), np.uint8), (200, 0, 0)),
        (np.full((4, 6), 50, np.uint8), (50, 50, 50)),
        (np.full((4, 6, 1), 50, np.uint8), (50, 50, 50)),
        (np.full((4, 6, 4), (1, 2, 3, 255), np.uint8), (3, 2, 1)),
    ],
    ids=["bgr", "grey", "one channel", "bgra"],
)
def test_every_kind_of_picture_of_a_device_becomes_rgb(image, expected):
    (shot,) = itertools.islice(device_shots(FakeCapture(image)), 1)
    assert shot.image.shape == (4, 6, 3)
    assert (shot.image == expected).all()


def test_damaged_pictures_of_a_device_are_none_and_its_end_frees_it():
    good = np.zeros((2, 2, 3), np.uint8)
    huge = np.broadcast_to(np.uint8(0), (7680 * 4320, 2, 3))
    capture = FakeCapture(good, None, cv2.error("corrupt"), huge, good)
    found = device_shots(capture)
    assert [next(found).image is not None for _ in range(5)] == [True, False, False, False, True]
    with pytest.raises(CameraError, match="plugged in"):
        next(found)
    assert capture.is_released


def test_a_usb_camera_is_asked_for_motion_jpeg_size_and_rate(monkeypatch):
    asked = []

    class Device(FakeCapture):
        def __init__(self, *where) -> None:
            super().__init__()
            asked.append(where)

        def set(self, prop, value) -> None:
            asked.append((prop, value))

    monkeypatch.setattr(sources.cv2, "VideoCapture", Device)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(CameraError):
        next(shots(SourceSettings("/dev/v4l/by-id/usb-HD-index0", 1280, 720, 25.0, 1.0), 1.0, Method.DEVICE))
    assert asked == [
        ("/dev/v4l/by-id/usb-HD-index0", cv2.CAP_V4L2),
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),  # before the size, or it is not kept
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 25.0),
    ]


def stream(server, method=Method.DEMUXED):
    return shots(SourceSettings(server.url, 640, 480, 30.0, 0.5), 1.0, method)


def test_pictures_of_a_stream_are_rgb_of_their_own_size_whatever_they_are():
    sizes = [(64, 48), (320, 240), (1, 1), (63, 47)]

    def plan(viewer: Viewer) -> None:
        for size in sizes:
            for mode in ("RGB", "L", "CMYK"):
                viewer.pictures(1, jpeg(200, *size, mode=mode), period_s=0)

    with MjpegServer(plan=plan) as server:
        found = images_of(stream(server), 12)
    assert [image.shape for image in found] == [(h, w, 3) for w, h in sizes for _ in range(3)]
    assert all(image.dtype == np.uint8 for image in found)
    assert np.abs(found[0].astype(int) - (200, 0, 0)).max() < 8
    assert np.abs(found[1].astype(int) - 200).max() < 8


@pytest.mark.parametrize(("ratio", "shape"), [((2, 1), (48, 128, 3)), ((1, 2), (96, 64, 3))])
def test_pictures_of_oblong_pixels_are_squared(ratio, shape, write_video, tmp_path):
    option = {"codec_options": {"tune": "zerolatency", "aspect": f"{ratio[0]}:{ratio[1]}"}}
    film = write_video(tmp_path / "clip.ts", **option).read_bytes()
    with MjpegServer(plan=lambda viewer: viewer.send(film), head=b"HTTP/1.0 200 OK\r\n\r\n") as server:
        assert {image.shape for image in images_of(stream(server), 3)} == {shape}


def test_a_stream_that_nothing_can_decode_is_told(undecodable):
    film = undecodable.read_bytes()
    server = MjpegServer(plan=lambda viewer: viewer.send(film), head=b"HTTP/1.0 200 OK\r\n\r\n")
    with server, pytest.raises(CameraError, match="sends video in a format for which there is no decoder"):
        list(stream(server))


@pytest.mark.parametrize("method", [Method.DEMUXED, Method.JPEGS])
def test_a_picture_over_the_limit_is_refused_before_it_is_decoded(method, monkeypatch):
    monkeypatch.setitem(sources.LIMITS, "max_pixels", str(64 * 48))

    def plan(viewer: Viewer) -> None:
        for level in (40, 80, 120):
            viewer.pictures(1, jpeg(250, 64, 49), period_s=0)
            viewer.pictures(1, jpeg(level), period_s=0)

    with MjpegServer(plan=plan) as server:
        found = images_of(stream(server, method), 3)
    assert [image.shape for image in found] == [(48, 64, 3)] * 3


def test_half_a_picture_is_passed_over():
    def plan(viewer: Viewer) -> None:
        for _ in range(5):
            viewer.pictures(1, period_s=0)
            viewer.send(part(jpeg()[:300]))
        viewer.pictures()

    with MjpegServer(plan=plan) as server:
        assert len(images_of(stream(server), 20)) == 20
        assert server.connections == 1


def garbage_between(viewer: Viewer) -> None:
    for seed in itertools.count():
        viewer.pictures(1, period_s=0.01)
        viewer.send(noise(3000, seed))


def test_garbage_between_pictures_is_told_and_can_be_passed_over():
    with MjpegServer(plan=garbage_between) as server:
        with pytest.raises(OtherMethodError, match="garbage"):
            list(stream(server))
        assert len(images_of(stream(server, Method.JPEGS), 50)) == 50


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Viewer.hang, "gives no picture"),
        (lambda viewer: viewer.send(part(b"")), "gives no picture|ended"),
        (lambda viewer: viewer.pictures(5, period_s=0), "ended its stream"),
        (lambda viewer: (viewer.pictures(5), viewer.hang()), "sends nothing any more"),
        (lambda viewer: (viewer.pictures(5), viewer.send(part(jpeg())[:200]), viewer.hang()), "nothing any"),
        (lambda viewer: (viewer.pictures(5), viewer.drip(part(jpeg()), 0.1)), "sends nothing any more"),
    ],
    ids=["hangs", "nothing", "ends", "hangs later", "hangs in a picture", "drips"],
)
def test_the_end_of_a_stream_is_told_without_its_address(plan, said):
    with MjpegServer(plan=plan) as server, pytest.raises(CameraError, match=said) as caught:
        list(stream(server))
    assert "secret" not in str(caught.value)


def test_garbage_alone_is_no_stream():
    def plan(viewer: Viewer) -> None:
        for seed in range(1000):
            viewer.send(noise(10_000, seed))

    with MjpegServer(plan=plan) as server:
        for method in (Method.DEMUXED, Method.JPEGS):
            with pytest.raises(CameraError):
                list(stream(server, method))


def test_no_more_pictures_come_than_are_wanted(monkeypatch):
    """Thirty a second, a little early or late, and a pause."""
    times = [i / 30 + (0.004 if i % 3 else -0.004) + (2.0 if i >= 60 else 0) for i in range(120)]
    monkeypatch.setattr(sources, "monotonic", iter(times).__next__)
    capture = FakeCapture(*[np.zeros((2, 2, 3), np.uint8)] * len(times))
    found = list(itertools.islice(device_shots(capture, 10.0), len(times)))
    assert [shot.time_s for shot in found] == times
    assert all((shot.image is None) == shot.is_left_out for shot in found)
    taken = [shot.time_s for shot in found if not shot.is_left_out]
    assert 39 <= len(taken) <= 42
    assert all(sum(start <= at < start + 1 for at in taken) <= 11 for start in taken)


def test_a_stream_has_pictures_left_out_too():
    with MjpegServer() as server:
        settings = SourceSettings(server.url, 640, 480, 30.0, 0.5, max_fps=10.0)
        found = list(itertools.islice(shots(settings, 1.0, Method.DEMUXED), 30))
    assert sum(shot.image is not None for shot in found) <= 12
    assert sum(shot.is_left_out for shot in found) >= 18


@pytest.mark.parametrize("name", ["mjpeg", "h264"])
def test_jpegs_that_are_left_out_are_not_even_decoded(name):
    """Other pictures need those before them."""

    class Decoder:
        times = 0
        sample_aspect_ratio = None

        def decode(self, packet):
            self.times += 1
            return [av.VideoFrame(16, 16, "rgb24")]

    decoder, cap, converter = Decoder(), sources._Cap(8.0), VideoReformatter()
    decoder.name = name
    found = [sources._decoded(Packet(b"-"), decoder, converter, cap, i / 32)[0] for i in range(32)]
    left_out = sum(shot.is_left_out for shot in found)
    assert 22 <= left_out <= 24
    assert decoder.times == (32 - left_out if name == "mjpeg" else 32)
