"""`gatecam data synthesize` on a made-up collection."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest


@pytest.fixture
def collection(tmp_path, astronaut):
    """Two pictures: one of a face, one of nothing."""
    images = tmp_path / "faces" / "images"
    images.mkdir(parents=True)
    PIL.Image.fromarray(astronaut[40:200, 145:305]).save(images / "face.png")
    PIL.Image.fromarray(np.full((120, 120, 3), 90, np.uint8)).save(images / "nothing.png")
    lines = ["image,age,gender,race", "face.png,45,female,white", "nothing.png,30,male,black"]
    (tmp_path / "faces" / "people.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "faces"


def test_people_lists_and_a_sheet_are_written_and_the_rest_is_told(gatecam, collection, tmp_path):
    ended = gatecam("data", "synthesize", collection, "--out", "drawn", "--sheet", "sheet.jpg", "--seed", 1)
    assert ended.code == 0, ended.err
    assert "1 people, 7 pictures: drawn" in ended.out
    assert "nothing.png: face is not found; left out" in ended.err
    assert len(list((tmp_path / "drawn").rglob("*_female_White_45/*.jpg"))) == 7
    with PIL.Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.width > 7 * 400


def test_words_that_cannot_work_are_refused_before_the_work(gatecam, collection, tmp_path):
    for words, said in (
        (("--out", "no/drawn"), "its folder does not exist"),
        (("--out", "drawn", "--sheet", "no/sheet.jpg"), "its folder does not exist"),
        (("--out", "drawn", "--sheet", "sheet.txt"), "its name must end with .jpg"),
        (("--out", collection), "is not empty"),
    ):
        ended = gatecam("data", "synthesize", collection, *words)
        assert ended.code == 2
        assert said in ended.err
        assert "Traceback" not in ended.err
    assert not (tmp_path / "drawn").exists()
