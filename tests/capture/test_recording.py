"""Contract: whatever the source, a `FrameSource` keeps its promises; and each path gets its reader."""

import itertools

import PIL.Image
import pytest

from gatecam.capture.camera import Cameras
from gatecam.capture.folder import ImageFolder
from gatecam.capture.recording import open_recording
from gatecam.capture.video import VideoFile
from gatecam.settings.schema import CameraConfig


class Flat:
    """Cameras as a source of single frames."""

    def __init__(self, cameras):
        self._cameras = cameras

    def __enter__(self):
        return itertools.chain.from_iterable(self._cameras.__enter__())

    def __exit__(self, *error):
        self._cameras.__exit__(*error)


@pytest.fixture(params=["video", "folder", "camera"])
def source(request, tmp_path, write_video):
    if request.param == "video":
        return VideoFile(write_video(tmp_path / "a.mp4"), camera="door")
    if request.param == "folder":
        for index in range(6):
            PIL.Image.new("L", (64, 48), index).save(tmp_path / f"{index}.png")
        return ImageFolder(tmp_path, fps=10, camera="door")
    server = request.getfixturevalue("mjpeg_server")
    return Flat(Cameras([CameraConfig(source=server.url, name="door")]))


def test_a_frame_source_gives_rgb_frames_that_count_up_in_growing_time(source):
    with source as frames:
        found = [next(frames) for _ in range(5)]
    assert [frame.camera for frame in found] == ["door"] * 5
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == "uint8" for frame in found)
    assert all(frame.image.flags.c_contiguous for frame in found)
    assert all(a.index < b.index and a.time_s < b.time_s for a, b in itertools.pairwise(found))


def test_a_frame_source_lets_the_error_of_its_user_through(source):
    def use() -> None:
        with source as frames:
            next(frames)
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        use()


def test_each_path_gets_its_reader(tmp_path):
    (tmp_path / "images.mp4").mkdir()
    for name, kind in [
        ("images.mp4", ImageFolder),
        ("a.JPG", ImageFolder),
        ("a.gif", VideoFile),
        ("a.mp4", VideoFile),
        ("none", VideoFile),
    ]:
        recording = open_recording(tmp_path / name, image_fps=5)
        assert isinstance(recording, kind), name
    assert open_recording(tmp_path / "front.door.mp4", 5).camera == "front.door"
    assert open_recording(tmp_path / "a.mp4", 5, "gate").camera == "gate"
