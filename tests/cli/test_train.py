"""`gatecam train` end to end on made-up folders: weights with their spec, going on, several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from typer.main import get_command

from gatecam.cli.main import app
from gatecam.training.classifier import learn
from gatecam.training.classifier.recipe import AUGMENTATIONS, Recipe
from gatecam.training.classifier.run import TrainRequest, train_and_save
from gatecam.vision.classifier import load_classifier
from gatecam.vision.network import build_network
from gatecam.vision.weights import read_spec
from tests.portraits import write_portraits

COUNT = 20
RECIPE = Recipe(
    backbone="mobilefacenet",  # whose last features are not of one pixel, so its batch norms are calm
    size=32,
    epochs=2,
    samples=11,
    batch=4,
    ema_decay=0.5,
    precision="fp32",
    learning_rate=3e-4,
)
CHOICES = ["--size=32", "--epochs=2", "--samples=11", "--batch=4", "--ema=0.5", "--precision=fp32"]
CHOICES += ["--learning-rate=3e-4", "--backbone=mobilefacenet"]
DYING_GATECAM = Path(__file__).with_name("dying_gatecam.py")
FROM_HERE = {**os.environ, "PYTHONPATH": os.getcwd()}


@pytest.fixture(scope="module")
def root(tmp_path_factory, astronaut) -> Path:
    """Holds a folder of masks and one of people, all of one portrait."""
    root = tmp_path_factory.mktemp("data")
    write_portraits(root, astronaut, COUNT, 96)
    return root


@pytest.fixture(scope="module")
def data(root) -> list[str]:
    """Words that name the folders."""
    return ["--data", str(root / "masks"), "--data", str(root / "people"), "--cache", str(root / "cache")]


@pytest.fixture(scope="module")
def whole(root) -> Path:
    """The weights that a run of `CHOICES` ends with when nothing stops it."""
    out = root / "whole.safetensors"
    folders = [root / "masks", root / "people"]
    assert train_and_save(TrainRequest(folders, None, 0, None, root / "whole", out, root / "cache"), RECIPE)
    return out


def test_training_leaves_weights_and_a_spec_that_says_how_they_came(whole):
    network, spec = load_classifier(str(whole))
    assert network.architecture == "mobilefacenet/three"
    assert spec.crop == RECIPE.crop
    assert spec.scores["recipe"] == {**asdict(RECIPE), "augmentations": list(AUGMENTATIONS)}
    assert spec.scores["best_epoch"] in (1, 2)
    assert set(spec.scores["masks"]) == {"mask"}
    assert set(spec.scores["people"]) == {"gender", "age"}
    assert [line.split(" ")[0] for line in spec.data] == ["masks", "people"]
    lines = (whole.parent / "whole" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_the_words_make_the_recipe_and_a_finished_run_only_scores_again(whole, data, gatecam):
    before = whole.read_bytes(), json.loads(whole.with_suffix(".json").read_text()) | {"made": {}}
    ended = gatecam("train", *data, *CHOICES, "--run-dir", whole.parent / "whole", "--out", whole)
    assert ended.code == 0, ended.err
    assert "macro-F1" in ended.out
    assert f"weights: {whole}" in ended.out
    made = json.loads(whole.with_suffix(".json").read_text())
    assert made["made"]["command"].startswith("gatecam train ")
    assert (whole.read_bytes(), made | {"made": {}}) == before
    assert "train:" not in ended.err


def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(whole, data, gatecam, tmp_path):
    words = ["train", *data, *CHOICES, "--run-dir", str(tmp_path / "run"), "--out", "w.safetensors"]
    command = [sys.executable, str(DYING_GATECAM), *words]
    killed = subprocess.run(command, cwd=tmp_path, env=FROM_HERE, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (tmp_path / "w.safetensors").exists()
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["state"]["step"] == 2
    ended = gatecam(*words)
    assert ended.code == 0, ended.err
    assert (tmp_path / "w.safetensors").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_the_same_command_continues(
    whole, data, gatecam, tmp_path, monkeypatch, number
):
    words = ["train", *data, *CHOICES, "--run-dir", tmp_path / "run", "--out", tmp_path / "w.safetensors"]
    step = learn.Trainer._step

    def interrupted(self, batch, at):
        if at == 1:
            signal.raise_signal(number)
        return step(self, batch, at)

    with monkeypatch.context() as patch:
        patch.setattr(learn.Trainer, "_step", interrupted)
        ended = gatecam(*words)
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "gatecam: stopped. Run the same command again to continue."
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["state"]["step"] == 2
    assert gatecam(*words).code == 0
    assert (tmp_path / "w.safetensors").read_bytes() == whole.read_bytes()


def test_two_processes_of_torchrun_train_what_one_does(whole, root, data, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [
        "-m",
        "gatecam",
        "train",
        *data,
        *CHOICES,
        "--run-dir",
        str(tmp_path / "run"),
        "--out",
        "w.safetensors",
    ]
    ended = subprocess.run(
        [*torchrun, *words], cwd=tmp_path, env=FROM_HERE, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("weights:") == 1, "the first process alone writes and prints"
    one, two = (
        torch.load(p / "checkpoint.pt", weights_only=True) for p in (root / "whole", tmp_path / "run")
    )
    losses = [[line["loss"] for line in run["state"]["history"]] for run in (one, two)]
    # half of each batch a process: processors with wide registers add in another order
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)
    torch.manual_seed(RECIPE.seed)
    begun = build_network("mobilefacenet", "three").state_dict()
    moved, apart = (
        (joined(one["net"]) - joined(begun)).norm(),
        (joined(one["net"]) - joined(two["net"])).norm(),
    )
    assert apart < 0.005 * moved, "all but what Adam makes of gradients that are nothing but rounding"


def joined(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """The weights and statistics of a network, without the head that training alone has."""
    return torch.cat(
        [t.flatten() for n, t in tensors.items() if t.is_floating_point() and "heads.years" not in n]
    )


def test_what_cannot_work_is_told_before_the_faces_are_cut(data, gatecam, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "w.json").write_text("a published network, where the spec would be written")
    for words, told in (
        (("--out", tmp_path / "missing" / "w.safetensors"), "its folder does not exist"),
        (("--out", tmp_path / "faces.json"), "ends in .safetensors"),
        (("--init", tmp_path / "w.json"), "w.json: is read, so it cannot be written"),
        (("--teacher", tmp_path / "w.json"), "w.json: is read, so it cannot be written"),
        (("--teacher", tmp_path / "file"), "not the face network of TensorFlow.js"),
        (("--freeze-stem",), "give --init"),
        (("--backbone", "resnet29", "--size", "64"), "--size 64 is too small for resnet29"),
        (("--run-dir", tmp_path / "file"), "cannot be written to"),
        (("--init", tmp_path / "none.safetensors"), "there is no such file"),
        (("--backbone", "resnet"), "no such backbone"),
        (("--augment", "flip,fold"), "expected border"),
    ):
        defaults = ("--out", tmp_path / "w.safetensors", "--run-dir", tmp_path / "run")
        ended = gatecam("train", *data, *defaults, *words, "--cache", tmp_path / "cache")
        assert ended.code == 2
        assert ended.out == ""
        assert len(ended.err.splitlines()) == 1
        assert told in ended.err
        assert not (tmp_path / "cache").exists()


def test_the_augmentations_of_the_words_are_those_of_the_recipe():
    from gatecam.cli import train

    assert tuple(train.AUGMENTATIONS.split(",")) == AUGMENTATIONS


def test_torchrun_takes_no_word_of_train_for_its_own():
    from torch.distributed.run import get_args_parser

    theirs = [word for action in get_args_parser()._actions for word in action.option_strings]
    ours = [word for option in get_command(app).commands["train"].params for word in option.opts]
    assert "--run-dir" in ours
    assert [word for word in ours if any(other.startswith(word) for other in theirs)] == []


def test_the_spec_of_a_run_with_a_split_names_it(whole):
    assert read_spec(whole).scores["held_out"] == "hash of keys, seed 0"
