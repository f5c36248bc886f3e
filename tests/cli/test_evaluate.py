"""`gatecam evaluate` end to end, on a few made-up folders and an untrained network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from gatecam.vision.crops import CropSpec
from gatecam.vision.network import build_network
from gatecam.vision.weights import ModelSpec, hash_of, read_spec, save_weights
from tests.portraits import write_portraits

COUNT = 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory, astronaut) -> list[str]:
    """A folder of masks and one of people, all of one portrait."""
    root = tmp_path_factory.mktemp("data")
    write_portraits(root, astronaut, COUNT, 128, suspect=0)
    return ["--data", str(root / "masks"), "--data", str(root / "people"), "--cache", str(root / "cache")]


@pytest.fixture
def weights(tmp_path) -> Path:
    """An untrained network's weights."""
    torch.manual_seed(0)
    network = build_network("mobilefacenet", "three")
    crop = CropSpec(size=64, margin=0.3, mean=127.5, std=128.0)
    temperature = {"mask": 1.0, "gender": 1.0, "age": 1.0}
    spec = ModelSpec("tiny", network.architecture, crop, temperature)
    save_weights(tmp_path / "tiny.safetensors", network.state_dict(), spec)
    return tmp_path / "tiny.safetensors"


def test_real_and_drawn_faces_are_scored_told_and_written(gatecam, folders, weights, tmp_path):
    pytest.importorskip("matplotlib")
    words = [*folders, "--weights", weights, "--part", "all", "--json", "s.json", "--page", "s.html"]
    ended = gatecam("evaluate", *words)
    assert ended.code == 0, ended.err
    values = json.loads((tmp_path / "s.json").read_text())
    assert values["sha256"] == hash_of(weights)
    assert values["parameters"]["part"] == "all"
    masks, people, drawn = values["sets"]
    assert list(masks["heads"]) == ["mask"]
    assert masks["heads"]["mask"]["faces"] == COUNT - 1
    assert masks["heads"]["mask"]["left_out"]["doubtful label"] == 1
    assert list(people["heads"]) == ["gender", "age"]
    assert (drawn["drawn"], list(drawn["heads"])) == (True, ["mask", "gender", "age", "class"])
    assert drawn["heads"]["class"]["faces"] == 7 * COUNT
    assert {s["group"] for s in drawn["heads"]["mask"]["slices"] if s["attribute"] == "wear"} > {"right"}
    assert "macro-F1" in ended.out
    assert "7 pictures" not in ended.err
    assert (tmp_path / "s.html").read_text().startswith("<!doctype html>")


def test_the_held_out_part_is_that_of_a_split_file(gatecam, folders, weights, tmp_path):
    lines = ["collection,image,part"]
    for name in ("masks", "people"):
        lines += [f"{name},images/{i}.png,{'test' if i < 6 else 'train'}" for i in range(COUNT)]
    (tmp_path / "split.csv").write_text("\n".join(lines))
    words = [*folders, "--weights", weights, "--no-drawn", "--json", "s.json", "--split", "split.csv"]
    assert gatecam("evaluate", *words, "--part", "test").code == 0
    values = json.loads((tmp_path / "s.json").read_text())
    assert [s["heads"][h]["faces"] for s, h in zip(values["sets"], ("mask", "gender"), strict=True)] == [5, 6]
    ended = gatecam("evaluate", *words)
    assert ended.code == 2
    assert re.search(
        r"^gatecam: the part validation contains no face\. [^\n]+\.\n\Z", ended.err, re.MULTILINE
    )


def test_fitted_temperatures_are_written_to_the_spec(gatecam, folders, weights, monkeypatch):
    monkeypatch.setattr("gatecam.training.scores.report.MIN_TO_FIT", COUNT)
    before = weights.read_bytes()
    words = [*folders, "--weights", weights, "--part", "all", "--no-drawn", "--fit"]
    ended = gatecam("evaluate", *words)
    assert ended.code == 0, ended.err
    spec = read_spec(weights)
    assert spec.temperature["mask"] == 1.0  # eleven faces are too few
    assert spec.temperature["age"] != 1.0
    assert f"age: temperature {spec.temperature['age']:g} (was 1), on {COUNT} faces" in ended.out
    assert weights.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json", "missing/s.json"], "its folder does not exist"),
        (["--page", "s.html", "--json", "s.html"], "is asked for twice"),
        (["--part", "test"], "without a split file there is no test part"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_before_the_work(gatecam, folders, weights, words, said):
    ended = gatecam("evaluate", *folders, "--weights", weights, *words)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
