"""What commands that learn or score are given: faces from the cache the second time, and problems told."""

from __future__ import annotations

import PIL.Image
import pytest

from gatecam.errors import DataError
from gatecam.training.data import patches as data
from gatecam.training.data.loading import SHOWN, load_all, tell_problems
from gatecam.training.data.rows import Problem


@pytest.fixture
def folder(tmp_path, astronaut):
    """One face, and one picture that cannot be read."""
    images = tmp_path / "faces" / "images"
    images.mkdir(parents=True)
    PIL.Image.fromarray(astronaut[45:180, 157:292]).resize((64, 64)).save(images / "a.png")
    (images / "b.png").write_bytes(b"x")
    (tmp_path / "faces" / "people.csv").write_text(
        "image,age,gender,group\na.png,40,male,1\nb.png,40,male,2\n"
    )
    return tmp_path / "faces"


def test_faces_are_cut_once_and_their_problems_told_each_time(folder, tmp_path, monkeypatch, capsys):
    ((collection, faces),) = load_all([folder], tmp_path / "cache")
    assert (collection.name, len(faces)) == ("faces", 1)
    told = (
        "gatecam: faces: images/b.png: picture cannot be read: not a picture in a format that gatecam reads"
    )
    assert told in capsys.readouterr().err
    monkeypatch.setattr(data, "_cut_all", None)
    ((_, again),) = load_all([folder], tmp_path / "cache")
    assert again.rows.tolist() == [0]
    assert told in capsys.readouterr().err


def test_pictures_without_labels_are_refused_before_any_is_read(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_cut_all", None)
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "info.csv").write_text("ImageID\na.jpg\n")
    with pytest.raises(DataError, match=r"eval: its pictures have no labels to train or score with\. .*\.$"):
        load_all([folder, tmp_path / "eval"], tmp_path / "cache")


def test_of_many_like_problems_the_first_are_told(capsys):
    tell_problems(
        "made", [Problem(f"f:{i}", f"age is not valid: {i}", "left unknown") for i in range(SHOWN + 5)]
    )
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "gatecam: made: f:0: age is not valid: 0; left unknown"
    assert len(lines) == SHOWN + 1
    assert lines[-1].startswith("gatecam: made: 5 more: age is not valid (")
