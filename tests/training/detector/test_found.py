"""What teachers found before a labelling was stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.errors import OutputError
from gatecam.training.detector import run_label
from gatecam.training.detector.found import Found
from gatecam.types import Box, Detection

POINTS = np.arange(10, dtype=np.float32).reshape(5, 2) / 3
FACES = [
    Detection(Box(0.1, 2, 3, 4), np.float32(0.7), POINTS),
    Detection(Box(-1, 2, 3, 4.5), 0.25, None),
]


def never() -> list[Detection]:
    raise AssertionError("it was searched already")


@pytest.fixture
def path(tmp_path) -> Path:
    found = Found(tmp_path / "found.jsonl", "stamp")
    assert found.faces(1, lambda: FACES) is FACES
    assert found.faces(2, list) == []
    found.close()
    return tmp_path / "found.jsonl"


def test_faces_come_back_as_they_were(path):
    found = Found(path, "stamp")
    first, second = found.faces(1, never)
    assert found.faces(2, never) == []
    assert (first.box, first.score) == (FACES[0].box, np.float32(0.7))
    assert np.array_equal(first.landmarks, POINTS)
    assert (second.box, second.score, second.landmarks) == (Box(-1, 2, 3, 4.5), 0.25, None)
    found.remove()
    assert not path.exists()


def test_a_line_that_a_kill_cut_is_searched_again_and_the_file_goes_on(path):
    path.write_bytes(path.read_bytes()[:-2])
    for search in (lambda: FACES, never):
        found = Found(path, "stamp")
        found.faces(1, never)
        assert len(found.faces(2, search)) == 2
        found.close()


def test_faces_of_other_pictures_are_not_taken(path):
    found = Found(path, "other")
    assert found.faces(1, list) == []
    found.close()


def test_a_full_disk_is_one_sentence(path):
    found = Found(path, "stamp")
    found.close()
    said = r"found\.jsonl: cannot be written \(No space left"
    with Path("/dev/full").open("ab", buffering=0) as found._file, pytest.raises(OutputError, match=said):
        found.faces(3, lambda: FACES)


def test_a_stopped_labelling_searches_only_the_rest(tmp_path, monkeypatch):
    people = tmp_path / "people"
    people.mkdir()
    for name in ("a", "b", "c"):
        PIL.Image.new("RGB", (8, 8)).save(people / f"{name}.png")
    lines = [f"{name}.png,30,male" for name in ("a", "b", "c")]
    (people / "people.csv").write_text("\n".join(["image,age,gender", *lines]))
    (tmp_path / "teacher.onnx").touch()
    monkeypatch.setattr(run_label, "load_teacher", lambda path: path)
    searched: list[str] = []

    def label(stop_at: str) -> None:
        def search(path: Path, teachers: object) -> list[Detection]:
            if path.stem == stop_at:
                raise KeyboardInterrupt
            searched.append(path.stem)
            return [Detection(Box(0, 0, 5, 5), 0.9, POINTS)]

        monkeypatch.setattr(run_label, "_faces", search)
        run_label.label_and_write([people], [tmp_path / "teacher.onnx"], tmp_path / "out", None)

    with pytest.raises(KeyboardInterrupt):
        label(stop_at="c")
    label(stop_at="none")
    assert searched == ["a", "b", "c"]
    written = tmp_path / "out" / "people"
    assert len((written / "faces.csv").read_text().splitlines()) == 4
    assert not (written / "found.jsonl").exists()
