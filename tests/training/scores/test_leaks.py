"""Scores of pictures that the weights learnt from, which are told to be too good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatecam.training.data.rows import Collection, Row
from gatecam.training.runs import held_out_by
from gatecam.training.scores.leaks import leaks_of
from gatecam.training.scores.run import ClassifierScoreRequest
from gatecam.vision.weights import DetectorSpec

FACES = 1000
BY_HASH = held_out_by(None, 0)


def collection(name: str = "door") -> Collection:
    rows = [Row(Path(f"{i}.jpg"), None, 2, -1, -1, False, str(i)) for i in range(FACES)]
    return Collection(name, "a CSV of faces", Path(), rows, [])


def leaks(data: str, held_out: str = BY_HASH, **asked: Any) -> list[str]:
    words: dict[str, Any] = {"part": "validation", "split": None, "split_seed": 0, "device": "cpu", **asked}
    request = ClassifierScoreRequest(
        **words, data=[], weights="w", page=None, json_file=None, drawn=False, fit=False, cache=Path()
    )
    spec = DetectorSpec("w", "cascade", data=[data], scores={"held_out": held_out})
    return leaks_of(request, [collection()], [spec])


@pytest.mark.parametrize(
    ("data", "held_out", "asked"),
    [
        ("door (a CSV of faces): 800 faces", BY_HASH, {"part": "all"}),
        ("door (a CSV of faces): 800 faces", BY_HASH, {"part": "train"}),
        ("door (a CSV of faces): 800 faces", BY_HASH, {"split_seed": 1}),
        ("door (a CSV of faces): 800 faces", "split file split.csv", {}),
        ("door: 900 pictures", BY_HASH, {}),  # a tenth was held out, and a fifth is scored
        ("door (a CSV with boxes): 5,414 faces", BY_HASH, {}),  # the table was longer
    ],
)
def test_pictures_that_weights_may_have_learnt_from_are_told(data, held_out, asked):
    (leak,) = leaks(data, held_out, **asked)
    assert leak.startswith("w learnt from a collection called door. ")
    assert leak.endswith(f"Held out was: {held_out}.")


@pytest.mark.parametrize(
    "data",
    ["door (a CSV of faces): 800 faces", "door: 790 pictures", "doors: 900 pictures", "door: 0 pictures"],
)
def test_pictures_that_were_held_out_are_not_told(data):
    assert leaks(data) == []


def test_a_split_file_is_recognized_by_its_content(tmp_path):
    split = tmp_path / "split.csv"
    lines = ["collection,image,part", *(f"door,{i}.jpg,{'test' if i % 2 else 'train'}" for i in range(FACES))]
    split.write_text("\n".join(lines))
    learnt = held_out_by(split, 0)
    asked = {"split": split, "part": "test"}
    assert leaks("door: 500 pictures", learnt, **asked) == []
    split.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert len(leaks("door: 500 pictures", learnt, **asked)) == 1
