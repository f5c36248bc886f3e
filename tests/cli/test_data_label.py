"""`gatecam data label`: pictures and videos become collections with boxes and landmarks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from gatecam.training.data.layouts import open_collection


@pytest.fixture
def collection(astronaut, tmp_path) -> Path:
    folder = tmp_path / "people"
    folder.mkdir()
    PIL.Image.fromarray(astronaut[55:180, 170:285]).save(folder / "face.png")
    PIL.Image.fromarray(astronaut[300:420, :200]).save(folder / "none.png")
    (folder / "people.csv").write_text(
        "image,age,gender,race\nface.png,35,female,white\nnone.png,20,male,x\n"
    )
    return folder


def test_the_command_writes_a_collection_and_does_its_work_once(collection, gatecam, tmp_path, monkeypatch):
    monkeypatch.chdir(collection)  # so the pictures have no folder in their paths
    words = ["data", "label", ".", "--out", tmp_path / "out"]
    ended = gatecam(*words, "--page", tmp_path / "page.html")
    assert ended.code == 0, ended.err
    assert "people/faces.csv: 0 agreed, 0 labelled, 1 placed" in ended.out
    assert "none.png: no teacher finds a face; left out" in ended.err
    (row,) = open_collection(tmp_path / "out" / "people").rows
    assert (row.mask, row.gender, row.years, row.race, row.suspect) == (2, 1, 35, "white", False)
    assert row.box is not None
    assert abs(row.box.x1 - 10) < 12, "in px of the picture, not of its border"
    assert row.landmarks is not None
    assert row.landmarks[0] == pytest.approx((34, 48), abs=7)
    assert "Placed: 1" in (tmp_path / "page.html").read_text()
    assert "is up to date" in gatecam(*words).out
    PIL.Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(collection / "face.png")
    assert "0 placed" in gatecam(*words).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "."), "people: is read, so it cannot be written"),
        (("--out", "out", "--page", "no/page.html"), "no/page.html: its folder does not exist"),
    ],
)
def test_what_cannot_work_is_told_before_the_pictures_are_labelled(collection, gatecam, words, said):
    ended = gatecam("data", "label", collection, *words)
    assert ended.code == 2
    assert said in ended.err
    assert [path.name for path in collection.glob("*.csv")] == ["people.csv"]


def test_frames_of_a_video_are_labelled_as_one_scene_until_it_changes(astronaut, gatecam, tmp_path):
    video = tmp_path / "door.avi"

    def record(left: int) -> None:
        writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (256, 256))
        for _ in range(3):
            writer.write(cv2.cvtColor(astronaut[:256, left : left + 256], cv2.COLOR_RGB2BGR))
        writer.release()

    record(96)
    words = ("data", "label", video, "--out", tmp_path / "out")
    ended = gatecam(*words)
    assert ended.code == 0, ended.err
    rows = open_collection(tmp_path / "out" / "door").rows
    assert len(rows) == 3
    assert {(row.key, row.mask, row.gender) for row in rows} == {("door", -1, -1)}
    assert "is up to date" in gatecam(*words).out
    record(60)
    assert "3 added" in gatecam(*words).out
