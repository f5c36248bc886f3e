"""`gatecam train-detector` end to end on made-up folders: weights with their spec, stopping, going on."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from gatecam.settings.schema import DetectorConfig
from gatecam.training.detector import stages as detector_stages
from gatecam.training.detector.loading import Pictures
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.run import DetectorTrainRequest, train_and_save
from gatecam.training.detector.run_label import label_and_write
from gatecam.vision.detector.build import build_detector, load_detector
from gatecam.vision.detector.cascade import CascadeDetector
from gatecam.vision.detector.sizes import ARCHITECTURE
from gatecam.vision.device import Backend
from tests.portraits import write_portraits

RECIPE = DetectorRecipe(
    p_steps=2, r_steps=2, o_steps=2, rounds=1, windows=2, scenes=3, portraits=4, mined_face_px=60
)
CHOICES = ["--p-steps=2", "--r-steps=2", "--o-steps=2", "--rounds=1", "--windows=2", "--scenes=3"]
CHOICES += ["--portraits=4", "--mined-face-px=60"]


@pytest.fixture(scope="module")
def root(tmp_path_factory, astronaut) -> Path:
    """Holds a folder of boxed faces, one of people, and one without faces; the faces are labelled."""
    root = tmp_path_factory.mktemp("data")
    write_portraits(root, astronaut, 12, 96, suspect=1)
    (root / "none" / "below").mkdir(parents=True)
    PIL.Image.fromarray(astronaut[300:420, :200]).save(root / "none" / "below" / "a.png")
    (root / "none" / "broken.png").write_bytes(b"no picture")
    label_and_write([root / "masks", root / "people"], [], root / "labelled", None)
    return root


@pytest.fixture(scope="module")
def data(root) -> list[str]:
    """Words that name the folders."""
    labelled = root / "labelled"
    words = ["--data", labelled / "masks", "--data", labelled / "people", "--no-faces", root / "none"]
    return [*map(str, words)]


@pytest.fixture(scope="module")
def whole(root) -> Path:
    """The weights that a run of `CHOICES` ends with when nothing stops it."""
    out = root / "whole.safetensors"
    folders = [root / "labelled" / "masks", root / "labelled" / "people"]
    pictures = Pictures(folders, [root / "none"], None, 0)
    assert train_and_save(DetectorTrainRequest(pictures, None, root / "whole", out), RECIPE)
    return out


def test_training_leaves_weights_and_a_spec_that_says_how_they_came(whole):
    _, spec = load_detector(whole)
    assert (spec.name, spec.architecture) == ("whole", ARCHITECTURE)
    assert spec.scores["recipe"]["precision"] in ("bf16", "fp32"), "what was chosen"
    assert spec.scores["recipe"] | {"precision": "auto"} == asdict(RECIPE)
    assert spec.scores["held_out"] == "hash of keys, seed 0"
    assert set(spec.scores["after_stages"]) == {"P", "R", "O"}
    assert set(spec.scores["thresholds_before_shift"]) == {"pnet", "rnet", "onet"}
    assert set(spec.scores["validation"]["onet"]) == {"recall", "precision", "average_precision"}
    assert [line.split(":")[0] for line in spec.data] == ["masks", "people", "no faces"]
    assert spec.data[2] == "no faces: 1 pictures"
    detector = build_detector(DetectorConfig(weights=str(whole)), Backend("cpu"))
    assert isinstance(detector, CascadeDetector)
    assert detector.detect([np.zeros((96, 96, 3), np.uint8)]) is not None


def test_the_words_make_the_recipe_and_a_finished_run_only_scores_again(whole, data, gatecam):
    before = whole.read_bytes(), json.loads(whole.with_suffix(".json").read_text()) | {"made": {}}
    ended = gatecam("train-detector", *data, *CHOICES, "--run-dir", whole.parent / "whole", "--out", whole)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["P-Net", "R-Net", "O-Net", "weights", "spec"]
    assert "average precision" in lines[2]
    made = json.loads(whole.with_suffix(".json").read_text())
    assert made["made"]["command"].startswith("gatecam train-detector")
    assert (whole.read_bytes(), made | {"made": {}}) == before
    assert "train:" not in ended.err
    assert "no faces: " in ended.err
    assert "broken.png: picture cannot be read" in ended.err


def test_the_start_is_mixed_into_what_was_learnt_from_it(whole, data, gatecam, tmp_path):
    nets = []
    for share in ("0", "0.25"):
        out = tmp_path / f"w{share}.safetensors"
        words = ("--init", whole, "--run-dir", tmp_path / "run", "--out", out, "--start-share", share)
        assert gatecam("train-detector", *data, *CHOICES, *words).code == 0
        nets.append(load_detector(out)[0].state_dict())
    start, learnt, mixed = load_detector(whole)[0].state_dict(), *nets
    for name in ("onet.trunk.0.0.weight", "onet.trunk.5.0.bias", "onet.dense.1.weight"):
        assert not torch.equal(learnt[name], start[name])
        assert torch.allclose(mixed[name], 0.75 * learnt[name] + 0.25 * start[name], atol=1e-6)
    assert torch.equal(mixed["rnet.trunk.0.0.weight"], learnt["rnet.trunk.0.0.weight"])


def test_a_signal_ends_a_run_that_the_same_command_continues(whole, data, gatecam, tmp_path, monkeypatch):
    words = ["train-detector", *data, *CHOICES]
    words += ["--run-dir", tmp_path / "run", "--out", tmp_path / "w.safetensors"]
    step, taken = detector_stages.Learner.step, []

    def interrupted(self, batch, at):
        taken.append(at)
        if len(taken) == 3:
            signal.raise_signal(signal.SIGTERM)
        return step(self, batch, at)

    with monkeypatch.context() as patch:
        patch.setattr(detector_stages.Learner, "step", interrupted)
        ended = gatecam(*words)
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "gatecam: stopped. Run the same command again to continue."
    assert not (tmp_path / "w.safetensors").exists()
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["state"]
    assert (state["stage"], state["step"]) == (1, 1)
    assert gatecam(*words).code == 0
    assert (tmp_path / "w.safetensors").read_bytes() == whole.read_bytes()


def test_what_cannot_work_is_told_before_the_pictures_are_searched(root, data, gatecam, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "w.safetensors").write_text("")
    for words, told in (
        (("--out", tmp_path / "missing" / "w.safetensors"), "its folder does not exist"),
        (("--init", tmp_path / "w.safetensors"), "is read, so it cannot be written"),
        (("--portraits", "0"), "no face is left to learn from"),
        (("--run-dir", tmp_path / "file"), "cannot be written to"),
        (("--init", tmp_path / "none.safetensors"), "none."),
        (("--precision", "fp16"), "expected auto, bf16, fp32"),
        (("--start-share", "0.5"), "give --init"),
        (("--no-faces", tmp_path / "empty"), "holds no picture"),
        (("--split", tmp_path / "none.csv"), "there is no such file"),
    ):
        defaults = ("--out", tmp_path / "w.safetensors", "--run-dir", tmp_path / "run")
        ended = gatecam("train-detector", *data, *defaults, *words)
        assert ended.code == 2, words
        assert ended.out == ""
        assert told in ended.err.splitlines()[-1]


def test_pictures_that_are_not_labelled_are_one_sentence(root, gatecam, tmp_path):
    ended = gatecam("train-detector", "--data", root / "people", "--run-dir", tmp_path / "run")
    assert ended.code == 2
    assert "people: its faces have no boxes. Run `gatecam data label` on it" in ended.err


def test_a_split_without_faces_to_validate_is_one_sentence(root, gatecam, tmp_path):
    lines = [f"masks,../../masks/images/{i}.png,train" for i in range(12)]
    (tmp_path / "split.csv").write_text("\n".join(["collection,image,part", *lines]))
    words = ["--split", tmp_path / "split.csv", "--run-dir", tmp_path / "run"]
    ended = gatecam("train-detector", "--data", root / "labelled" / "masks", *words)
    assert ended.code == 2
    assert "the validation part has no face of 32 px or more: add pictures" in ended.err.splitlines()[-1]
