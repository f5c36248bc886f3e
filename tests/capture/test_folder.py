"""A folder of pictures as a video."""

import PIL.Image
import pytest

from gatecam.capture.folder import ImageFolder
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
