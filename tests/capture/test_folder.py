"""A folder of pictures as a video."""

import os

import numpy as np
import PIL.Image
import pytest

from gatecam.capture.folder import ImageFolder
from gatecam.capture.recording import open_recording
from gatecam.errors import SourceError


def fill(folder, names):
    for level, name in enumerate(names):
        PIL.Image.new("L", (8 + level, 6), level).save(folder / name)
    return folder


def test_pictures_come_in_natural_order_at_the_given_rate(tmp_path):
    folder = ImageFolder(fill(tmp_path, ["1.png", "10.png", "2.png"]), fps=4)
    with folder as frames:
        assert folder.expected_frames == 3
        found = [(f.index, f.time_s, int(f.image[0, 0, 0]), f.image.shape) for f in frames]
    assert found == [(0, 0, 0, (6, 8, 3)), (1, 0.25, 2, (6, 10, 3)), (2, 0.5, 1, (6, 9, 3))]
    assert folder.loss is None
    assert folder.camera == tmp_path.name


def test_unreadable_pictures_are_skipped_named_and_leave_a_gap_in_time(tmp_path):
    fill(tmp_path, ["1.png", "9.png"])
    for name in ("2.png", "3.png", "4.png", "5.png"):
        (tmp_path / name).write_bytes(b"broken")
    folder = ImageFolder(tmp_path, fps=10, camera="door")
    with folder as frames:
        assert [(f.camera, f.index, f.time_s) for f in frames] == [("door", 0, 0), ("door", 1, 0.5)]
    assert folder.loss == "4 pictures could not be read: 2.png, 3.png, 4.png and 1 more"


def test_a_single_picture_is_a_folder_of_one(tmp_path):
    fill(tmp_path, ["a.png"])
    with ImageFolder(tmp_path / "a.png", fps=10) as frames:
        assert [frame.camera for frame in frames] == ["a"]


def test_what_holds_no_picture_is_refused(tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"broken")
    for path, sentence in [
        (tmp_path, "holds no picture"),
        (tmp_path / "none", "no such file or folder"),
        (broken, "no picture in it can be read"),
        (broken / "a.png", "not a picture"),
    ]:
        with pytest.raises(SourceError, match=sentence), ImageFolder(path, fps=10):
            pass


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.avif"])
def test_an_animated_picture_is_replayed_frame_by_frame_at_its_pace(tmp_path, name):
    frames = [PIL.Image.new("RGB", (64, 48), (40 * i, 0, 0)) for i in range(4)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=[100, 300, 100, 100])
    with open_recording(tmp_path / name, image_fps=10) as read:
        found = list(read)
    assert [round(frame.time_s, 3) for frame in found] == [0, 0.1, 0.4, 0.5]
    assert np.abs([int(frame.image[..., 0].mean()) - 40 * i for i, frame in enumerate(found)]).max() < 8


def test_an_animation_that_is_cut_short_is_replayed_so_far_and_told(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), np.uint8)
    frames = [PIL.Image.fromarray(one) for one in noise]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-20_000])
    recording = open_recording(tmp_path / "a.png", image_fps=10)
    with recording as read:
        count = len(list(read))
    assert count in (1, 2, 3)
    assert recording.loss == f"the file is damaged after frame {count}"


def test_files_that_are_no_pictures_are_named_once(tmp_path):
    PIL.Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    for name in ("notes.txt", "b.pdf", "c.doc", "d.mp4", "faces.csv", ".hidden", "Thumbs.db"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    recording = open_recording(tmp_path, image_fps=10)
    with recording as read:
        assert len(list(read)) == 1
    assert recording.loss == "5 files that are no pictures were left out: b.pdf, c.doc, d.mp4 and 2 more"


def test_what_is_no_file_is_told_in_its_own_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(SourceError, match="is a pipe"), open_recording(tmp_path / "pipe.jpg", image_fps=10):
        pass
