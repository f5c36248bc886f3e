"""Training: runs that learn, keep their best epoch, and go on as if never stopped."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gatecam.errors import DataError, MissingExtraError, ModelError, OutputError
from gatecam.training import runs
from gatecam.training.classifier import learn
from gatecam.training.classifier.learn import EpochScore, Report, Trainer, prepare
from gatecam.training.classifier.losses import Batch
from gatecam.training.classifier.recipe import Recipe
from gatecam.training.classifier.sampler import Sampler
from gatecam.training.workers import Workers
from gatecam.vision.network import FaceNetwork, build_network

TINY = Recipe(backbone="mobilefacenet", size=32, epochs=2, samples=10, batch=4)
TINIEST = replace(TINY, epochs=1, samples=4)


@pytest.fixture
def faces(make_faces):
    """Faces of every label, each of them known."""
    return [make_faces([0, 1, 2] * 4, [0, 1] * 6, [0, 1, 2, 0] * 3)]


def scores_of(*macro_f1s: float):
    """A validation that gives an epoch's head these scores, one after the other, the last one for ever."""
    left = list(macro_f1s)

    def validate(net: FaceNetwork) -> Sequence[EpochScore]:
        value = left.pop(0) if len(left) > 1 else left[0]
        return [EpochScore("mask", value, value / 2), EpochScore("age", value, value / 4)]

    return validate


def trainer_of(
    faces, recipe: Recipe, folder: Path, validate=None, start: Path | None = None, held: str = ""
) -> Trainer:
    prepare(recipe, start, folder, Workers())
    return Trainer(Sampler(faces, recipe), validate or scores_of(0.5), recipe, start, folder, Workers(), held)


def nothing(report: Report) -> None:
    """Nobody looks at the progress."""


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def alike(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


# Networks


@pytest.mark.parametrize(
    ("backbone", "heads", "precision"),
    [
        ("mobilefacenet", "three", "bf16"),
        ("resnet18", "joint18", "fp32"),
        ("mobilenet_v3_large", "three", "fp32"),
    ],
)
def test_every_network_trains_and_its_weights_are_loaded_again(faces, tmp_path, backbone, heads, precision):
    recipe = replace(TINIEST, backbone=backbone, heads=heads, precision=precision)
    trainer = trainer_of(faces, recipe, tmp_path)
    begun = {name: tensor.clone() for name, tensor in trainer._net.state_dict().items()}
    assert trainer.train(nothing)
    trained = weights_of(trainer)
    assert any(not torch.equal(trained[name], begun[name]) for name in trained if name.startswith("backbone"))
    assert any(not torch.equal(trained[name], begun[name]) for name in trained if name.startswith("heads"))
    assert alike(weights_of(trainer_of(faces, recipe, tmp_path)), trained)
    assert trainer.model.architecture == f"{backbone}/{heads}"
    assert not trainer.model.training


def test_steps_make_the_loss_of_a_batch_smaller(faces, tmp_path):
    recipe = Recipe(size=32, samples=8, batch=8, epochs=20, dropout=0.0)
    trainer = trainer_of(faces, recipe, tmp_path)
    (batch,) = Sampler(faces, recipe).epoch(0)
    losses = [float(trainer._step(batch, step)) for step in range(10)]
    assert losses[-1] < 0.7 * losses[0]


def test_weights_to_start_with_rest_while_the_new_heads_warm_up(faces, tmp_path):
    start = tmp_path / "start.safetensors"
    save_file(build_network("mobilefacenet", "three").state_dict(), start)
    trainer = trainer_of(faces, replace(TINY, samples=300, ema_decay=0.0), tmp_path / "run", start=start)
    name, head = "backbone.conv2.conv.weight", "heads.mask.weight"
    before = {n: t.clone() for n, t in trainer._net.state_dict().items()}
    (batch,) = list(trainer._sampler.epoch(0))[:1]
    moved = []
    for step in (0, learn.WARM_UP_STEPS):  # of 75 steps in an epoch, so the warm-up ends with the epoch
        trainer._step(batch, step)
        after = trainer._net.state_dict()
        moved.append([not torch.equal(after[n], before[n]) for n in (name, head)])
    assert moved == [[False, True], [True, True]]


def test_hints_train_the_backbone_and_are_not_served(faces, tmp_path):
    hints = np.random.default_rng(0).normal(size=(12, 7)).astype(np.float16)
    hints[3:] = math.nan
    recipe = replace(TINIEST, samples=12, batch=12)
    sampler = Sampler(faces, recipe, hints)
    assert sampler.fingerprint != Sampler(faces, recipe).fingerprint
    (batch,) = sampler.epoch(0)
    shown = sampler.plan(0).faces
    assert torch.equal(batch.hints.nan_to_num(9), torch.from_numpy(hints[shown]).float().nan_to_num(9))
    trainer = Trainer(sampler, scores_of(0.5), recipe, None, tmp_path, Workers())
    assert trainer._net.heads["hints"].out_features == 7
    trainer._step(batch, 0)
    assert trainer._net.heads["hints"].weight.grad.abs().sum() > 0
    assert not any("hints" in name for name in trainer._served())


def test_a_frozen_stem_keeps_its_weights_and_its_statistics(faces, tmp_path):
    trainer = trainer_of(faces, replace(TINIEST, freeze_stem=True, ema_decay=0.0), tmp_path)
    stem = {n: t.clone() for n, t in trainer._net.state_dict().items() if n.startswith("backbone.conv1.")}
    last = trainer._net.backbone.conv2.conv.weight.detach().clone()
    trainer.train(nothing)
    after = trainer._net.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in stem.items())
    assert not torch.equal(trainer._net.backbone.conv2.conv.weight, last)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_model_is_the_average_over_steps(faces, tmp_path, decay):
    recipe = replace(TINY, epochs=1, ema_decay=decay)
    trainer = trainer_of(faces, recipe, tmp_path)
    name = "backbone.conv2.conv.weight"
    averaged = None
    seen = []

    def follow(at: Report) -> None:
        nonlocal averaged
        if at.scores:
            return
        now = trainer._net.state_dict()[name].clone()
        averaged = now if averaged is None else decay * averaged + (1 - decay) * now
        seen.append(now)

    trainer.train(follow)
    assert len(seen) == 3
    assert torch.allclose(weights_of(trainer)[name].float(), averaged, atol=1e-5, rtol=1e-3)  # 16 bits
    assert torch.allclose(averaged, seen[-1], atol=1e-7) == (decay == 0)


def test_class_weights_and_focal_loss_reach_the_training(faces, tmp_path):
    plain = trainer_of(faces, TINIEST, tmp_path / "a")
    (batch,) = Sampler(faces, TINIEST).epoch(0)
    expected = float(plain._step(batch, 0))
    for i, choice in enumerate(({"class_weights": True}, {"loss": "focal"})):
        other = trainer_of(faces, replace(TINIEST, **choice), tmp_path / str(i))
        assert float(other._step(batch, 0)) != pytest.approx(expected, rel=1e-4)


def test_a_loss_that_is_no_number_ends_in_one_sentence(faces, tmp_path):
    trainer = trainer_of(faces, TINIEST, tmp_path)
    trainer._net.heads["mask"].weight.data.fill_(math.nan)
    with pytest.raises(DataError, match=r"^the loss is no longer a finite number: [^\n]*\.$"):
        trainer.train(nothing)
    assert not (tmp_path / "checkpoint.pt").exists()


# Epochs


def test_the_model_is_that_of_the_best_epoch(faces, tmp_path):
    kept = []
    recipe = replace(TINY, epochs=3)
    scores = scores_of(0.2, 0.6, 0.5)

    def validate(net: FaceNetwork) -> Sequence[EpochScore]:
        kept.append({name: tensor.clone() for name, tensor in net.state_dict().items()})
        return scores(net)

    trainer = trainer_of(faces, recipe, tmp_path, validate)
    trainer.train(nothing)
    assert trainer.best_epoch == 2
    assert alike(weights_of(trainer), kept[1])
    assert not alike(kept[1], kept[2])


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (0, 5)])
def test_a_run_ends_after_epochs_without_a_better_score(faces, tmp_path, patience, epochs):
    recipe = replace(TINIEST, epochs=5, patience=patience)
    trainer = trainer_of(faces, recipe, tmp_path, scores_of(0.3, 0.4, 0.4, 0.4, 0.4))
    assert trainer.train(nothing)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == epochs
    assert trainer.best_epoch == 2


def test_each_epoch_leaves_its_figures_in_the_log_and_for_tensorboard(faces, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reports: list[Report] = []
    trainer_of(faces, TINY, tmp_path, scores_of(0.4, 0.8)).train(reports.append)
    ends = [at for at in reports if at.scores]
    assert [(at.epoch, at.epochs, at.step, at.steps) for at in ends] == [(0, 2, 3, 3), (1, 2, 3, 3)]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert [line["loss"] for line in lines] == [round(at.loss, 4) for at in ends]
    assert [line["age"] for line in lines] == [[0.4, 0.1], [0.8, 0.2]]
    board = EventAccumulator(str(tmp_path)).Reload()
    for name, expected in (
        ("loss", [at.loss for at in ends]),
        ("macro_f1/mask", [0.4, 0.8]),
        ("micro_f1/mask", [0.2, 0.4]),
        ("micro_f1/age", [0.1, 0.2]),
    ):
        figures = board.Scalars(name)
        assert [figure.step for figure in figures] == [1, 2]
        assert [figure.value for figure in figures] == pytest.approx(expected)


# Going on


class KilledError(Exception):
    """Ends a run as a kill would."""


def kill_at(epoch: int, step: int):
    def report(at: Report) -> None:
        if (at.epoch, at.step) == (epoch, step) and not at.scores:
            raise KilledError

    return report


@pytest.fixture
def saving_each_step(monkeypatch) -> None:
    monkeypatch.setattr(learn, "SAVE_EVERY_S", -1.0)


@pytest.mark.usefixtures("saving_each_step")
@pytest.mark.parametrize("killed", [(0, 2), (1, 3)])
def test_a_killed_run_ends_as_if_it_had_not_been_killed(faces, tmp_path, killed):
    whole = trainer_of(faces, TINY, tmp_path / "whole", scores_of(0.4, 0.5))
    whole.train(nothing)
    with pytest.raises(KilledError):
        trainer_of(faces, TINY, tmp_path / "killed", scores_of(0.4, 0.5)).train(kill_at(*killed))
    torch.rand(7)  # the random numbers of another process are elsewhere
    resumed = trainer_of(faces, TINY, tmp_path / "killed", scores_of(*(0.4, 0.5)[killed[0] :]))
    reports: list[Report] = []
    assert resumed.train(reports.append)
    epoch, step = killed
    assert (reports[0].epoch, reports[0].step) == (epoch, step), "the batch in hand is not lost either"
    assert alike(weights_of(resumed), weights_of(whole))
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    losses = [[json.loads(line)["loss"] for line in log] for log in logs]
    assert losses[0] == losses[1]


def test_a_stopped_run_writes_a_checkpoint_and_goes_on_from_it(faces, tmp_path):
    whole = trainer_of(faces, TINY, tmp_path / "whole")
    whole.train(nothing)
    stopped = trainer_of(faces, TINY, tmp_path / "stopped")

    def stop_in_epoch_2(at: Report) -> None:
        if at.epoch == 1:
            stopped.stop()

    assert not stopped.train(stop_in_epoch_2)
    resumed = trainer_of(faces, TINY, tmp_path / "stopped")
    assert resumed.batches == (5, 6)
    assert resumed.train(nothing)
    assert alike(weights_of(resumed), weights_of(whole))


def test_a_run_killed_while_it_ends_an_epoch_shows_that_epoch_once(faces, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def killed(self) -> None:
        raise KilledError

    trainer = trainer_of(faces, TINY, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save", killed)
        with pytest.raises(KilledError):
            trainer.train(nothing)
    trainer_of(faces, TINY, tmp_path).train(nothing)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert [figure.step for figure in EventAccumulator(str(tmp_path)).Reload().Scalars("loss")] == [1, 2]


def test_a_finished_run_trains_no_more(faces, tmp_path):
    first = trainer_of(faces, TINIEST, tmp_path)
    first.train(nothing)
    files = sorted(tmp_path.iterdir())
    again = trainer_of(faces, TINIEST, tmp_path)
    reports: list[Report] = []
    assert again.train(reports.append)
    assert reports == []
    assert alike(weights_of(again), weights_of(first))
    assert sorted(tmp_path.iterdir()) == files


def other_recipe(faces, start):
    return faces, replace(TINIEST, seed=2), None


def other_faces(faces, start):
    return [faces[0].take(np.arange(11))], TINIEST, None


def other_start(faces, start):
    return faces, TINIEST, start


def test_a_run_with_other_held_out_faces_is_not_continued(faces, tmp_path):
    trainer_of(faces, TINIEST, tmp_path / "run", held="a").train(nothing)
    with pytest.raises(DataError, match=r"checkpoint\.pt: made with another recipe, [^\n]*\.$"):
        trainer_of(faces, TINIEST, tmp_path / "run", held="b")


@pytest.mark.parametrize("change", [other_recipe, other_faces, other_start])
def test_a_run_of_something_else_is_not_continued(faces, tmp_path, start, change):
    trainer_of(faces, TINIEST, tmp_path / "run").train(nothing)
    faces, recipe, begun_with = change(faces, start)
    with pytest.raises(DataError, match=r"checkpoint\.pt: made with another recipe, [^\n]*\.$"):
        trainer_of(faces, recipe, tmp_path / "run", start=begun_with)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_told_in_one_sentence(faces, tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"checkpoint\.pt: not a checkpoint [^\n]*\.$"):
        trainer_of(faces, TINIEST, tmp_path)


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), RuntimeError("PytorchStreamWriter failed")]
)
@pytest.mark.usefixtures("saving_each_step")
def test_a_full_disk_is_one_sentence_and_leaves_the_checkpoint_before(faces, tmp_path, monkeypatch, failure):
    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half a checkp")
        raise failure

    trainer = trainer_of(faces, TINY, tmp_path)

    def fill_the_disk(at: Report) -> None:
        if at.step == 2:
            monkeypatch.setattr(learn.torch, "save", full)

    with pytest.raises(OutputError, match=r"cannot be written to \([^\n]*\)\. Free some space, [^\n]*\.$"):
        trainer.train(fill_the_disk)
    assert not (tmp_path / runs.PART).exists()
    assert trainer_of(faces, TINY, tmp_path).batches == (1, 6)


# What is refused before the work


def test_fp16_without_a_gpu_is_one_sentence(tmp_path):
    workers = Workers(device=torch.device("cpu"))
    with pytest.raises(DataError, match=r"^precision fp16 needs a CUDA device; [^\n]*\.$"):
        prepare(replace(TINIEST, precision="fp16"), None, tmp_path, workers)


def test_an_unknown_backbone_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match=r"^resnet: no such backbone; [^\n]*\.$"):
        prepare(replace(TINIEST, backbone="resnet"), None, tmp_path, Workers())


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/run: cannot be written to \([^\n]*\.$"):
        prepare(TINIEST, None, tmp_path / "file" / "run", Workers())


def test_training_without_tensorboard_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"gatecam\[train\]"):
        prepare(TINIEST, None, tmp_path, Workers())


# Where a run starts


@pytest.fixture
def start(tmp_path) -> Path:
    """Backbone weights as shared ones are: without heads, with layers that are not used."""
    torch.manual_seed(9)
    tensors = build_network("mobilefacenet", "three").backbone.state_dict()
    path = tmp_path / "start.safetensors"
    save_file({**tensors, "linear1.conv.weight": torch.zeros(2)}, path)
    return path


def test_a_run_starts_from_given_weights_with_new_heads(faces, tmp_path, start):
    begun = trainer_of(faces, TINIEST, tmp_path, start=start)._net.state_dict()
    torch.manual_seed(9)
    given = build_network("mobilefacenet", "three").state_dict()
    kernels = [name for name, tensor in given.items() if tensor.dim() > 1 and name.startswith("backbone.")]
    assert all(torch.equal(given[name], begun[name]) for name in kernels)
    assert not torch.equal(begun["heads.mask.weight"], given["heads.mask.weight"])


def test_a_start_is_the_same_for_the_same_seed(faces, tmp_path):
    nets = [
        trainer_of(faces, replace(TINIEST, seed=seed), tmp_path / str(i))._net.state_dict()
        for i, seed in enumerate((1, 1, 2))
    ]
    assert alike(nets[0], nets[1])
    assert not alike(nets[0], nets[2])


def test_a_start_that_is_missing_is_told_before_the_work(tmp_path):
    with pytest.raises(ModelError, match=r"none\.safetensors: cannot be read [^\n]*\.$"):
        prepare(TINIEST, tmp_path / "none.safetensors", tmp_path, Workers())


def test_a_batch_knows_its_size():
    assert len(Batch(torch.zeros(3, 3, 1, 1), {}, torch.ones(3), 3)) == 3


def test_a_convolution_without_stride_gives_the_same_outputs_and_gradients():
    torch.manual_seed(0)
    net = build_network("mobilefacenet", "three").eval()
    crops = torch.randn(2, 3, 63, 64)
    results = []
    for hasten in (False, True):
        if hasten:
            learn._hasten(net)
        net.zero_grad()
        logits = net(crops)["mask"]
        logits.square().sum().backward()
        results.append((logits.detach(), net.backbone.blocks[0].conv[3].weight.grad.clone()))
    assert {conv.stride for conv in net.modules() if isinstance(conv, torch.nn.Conv2d)} == {(1, 1), (2, 2)}
    assert all(
        conv.stride == (1, 1)
        for conv in net.modules()
        if isinstance(conv, torch.nn.Conv2d) and conv.groups > 1
    )
    for plain, quick in zip(*results, strict=True):
        assert torch.allclose(plain, quick, rtol=1e-3, atol=1e-5)


def test_a_network_is_compiled_only_if_asked_and_computes_through_it(faces, tmp_path, monkeypatch):
    calls = []

    def compiled(module):
        return lambda crops: calls.append(len(crops)) or module(crops)

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setenv("CXX", sys.executable)  # any program that is there
    trainer_of(faces, TINIEST, tmp_path / "plain").train(nothing)
    assert calls == []
    trainer_of(faces, replace(TINIEST, compiled=True), tmp_path / "compiled").train(nothing)
    assert calls


def test_compiling_without_a_compiler_is_one_sentence_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    with pytest.raises(DataError, match=r"^--compile needs a C\+\+ compiler: .*\.$"):
        prepare(replace(TINIEST, compiled=True), None, tmp_path / "run", Workers())
