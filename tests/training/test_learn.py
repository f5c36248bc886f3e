"""Training: balanced batches, a loss that knows what is unknown, and runs that go on as if never stopped."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from gatecam.errors import DataError, ModelError
from gatecam.training import learn
from gatecam.training.learn import (
    CROP,
    DRAWN_MASK_WEIGHT,
    DRESS_SHARES,
    MASK_SHARES,
    SMOOTHING,
    Batch,
    Recipe,
    Report,
    Sampler,
    Trainer,
    fit_temperature,
    heads_loss,
    start_model,
)
from gatecam.vision.backbone import HEADS, MobileFaceNet
from gatecam.vision.weights import find_weights, read_spec

CPU = torch.device("cpu")
TINY = Recipe(epochs=2, samples=10, batch=4)
TINIEST = Recipe(epochs=1, samples=4, batch=4)


def test_the_shipped_weights_were_trained_on_this_crop():
    assert read_spec(find_weights("gatecam-faces")).crop == CROP


@pytest.fixture
def ilc(make_faces):
    """Twelve faces, far from balanced; rows 3 and 11 are suspect."""
    return make_faces([0] * 8 + [1, 2, 2, 1], suspect=[row in (3, 11) for row in range(12)])


@pytest.fixture
def utkface(make_faces):
    """Fourteen bare faces: each cell of gender and age once, young men nine times; row 13 lacks landmarks."""
    gender, age = [0, 0, 0, 1, 1, 1] + [0] * 8, [0, 1, 2] * 2 + [0] * 8
    faces = make_faces([2] * 14, gender, age)
    faces.landmarks[13] = np.nan
    return faces


def nothing(report: Report) -> None:
    """Nobody looks at the progress."""


# Sampler


@pytest.fixture
def rows_as_crops(monkeypatch) -> None:
    """A crop becomes the number of its row: the red of its picture's corner, which no mask reaches."""

    def row_of(patch, spec, rng):
        return torch.full((3, 2, 2), float(patch.image[0, 0, 0]))

    monkeypatch.setattr(learn, "augmented_crop", row_of)


def drawn(sampler: Sampler, epoch: int = 0) -> list[tuple[bool, int, int, int, int]]:
    """Every sample of an epoch: whether it is ILC's, its row, and its mask, gender and age label."""
    samples = []
    for batch in sampler.epoch(epoch):
        rows = batch.crops[:, 0, 0, 0].int().tolist()
        real = (batch.mask_weights == 1).tolist()
        labels = (batch.labels[name].tolist() for name in HEADS)
        samples += list(zip(real, rows, *labels, strict=True))
    return samples


@pytest.mark.usefixtures("rows_as_crops")
def test_samples_are_balanced_whatever_the_folders_hold(ilc, utkface):
    recipe = Recipe(samples=1500, ilc_share=0.4)
    samples = drawn(Sampler(ilc, utkface, recipe))
    assert len(samples) == 1500
    real = [sample for sample in samples if sample[0]]
    dressed = [sample for sample in samples if not sample[0]]
    assert len(real) == 600
    of_mask = Counter(mask for _, _, mask, _, _ in real)
    assert [of_mask[m] / 600 for m in range(3)] == pytest.approx(MASK_SHARES, abs=0.07)
    of_cell = Counter((gender, age) for *_, gender, age in dressed)
    assert len(of_cell) == 6
    assert [count / 900 for count in of_cell.values()] == pytest.approx([1 / 6] * 6, abs=0.05)
    of_dress = Counter(mask for _, _, mask, _, _ in dressed)
    assert [of_dress[m] / 900 for m in range(3)] == pytest.approx(DRESS_SHARES, abs=0.06)


@pytest.mark.usefixtures("rows_as_crops")
def test_samples_carry_the_labels_of_their_rows(ilc, utkface):
    for real, row, mask, gender, age in drawn(Sampler(ilc, utkface, Recipe(samples=400))):
        if real:
            assert (mask, gender, age) == (ilc.mask[row], -1, -1)
            assert not ilc.suspect[row]
        else:
            assert (gender, age) == (utkface.gender[row], utkface.age[row])
            assert row != 13, "a face without landmarks cannot be dressed"


@pytest.mark.usefixtures("rows_as_crops")
def test_every_usable_face_is_drawn_sooner_or_later(ilc, utkface):
    samples = drawn(Sampler(ilc, utkface, Recipe(samples=800)))
    assert {row for real, row, *_ in samples if real} == set(range(12)) - {3, 11}
    assert {row for real, row, *_ in samples if not real} == set(range(13))


@pytest.mark.usefixtures("rows_as_crops")
def test_an_epoch_is_the_same_for_the_same_seed_and_another_for_another(ilc, utkface):
    recipe = Recipe(samples=60, batch=16)
    first = drawn(Sampler(ilc, utkface, recipe), epoch=1)
    assert first == drawn(Sampler(ilc, utkface, recipe), epoch=1)
    assert first != drawn(Sampler(ilc, utkface, recipe), epoch=2)
    assert first != drawn(Sampler(ilc, utkface, replace(recipe, seed=2)), epoch=1)


def test_batches_have_crops_labels_and_weights_of_one_length(ilc, utkface):
    batches = list(Sampler(ilc, utkface, TINY).epoch(0))
    assert [len(batch.crops) for batch in batches] == [4, 4, 2]
    for batch in batches:
        count = len(batch.crops)
        assert batch.crops.shape == (count, 3, CROP.size, CROP.size)
        assert batch.crops.isfinite().all()
        assert all(batch.labels[name].shape == (count,) for name in HEADS)
        assert set(batch.mask_weights.tolist()) <= set(torch.tensor([1.0, DRAWN_MASK_WEIGHT]).tolist())


def test_the_crops_of_an_epoch_do_not_depend_on_the_threads(ilc, utkface):
    sampler = Sampler(ilc, utkface, TINY)
    first, second = (torch.cat([batch.crops for batch in sampler.epoch(0)]) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("lacking", ["incorrect masks", "usable incorrect masks", "a cell", "landmarks"])
def test_faces_that_cannot_be_balanced_are_one_sentence(make_faces, ilc, utkface, lacking):
    if lacking == "incorrect masks":
        ilc = ilc.take(ilc.mask != 1)
    elif lacking == "usable incorrect masks":
        ilc.suspect[ilc.mask == 1] = True
    elif lacking == "a cell":
        utkface = utkface.take(utkface.age != 2)
    else:
        utkface.landmarks[4] = np.nan
    with pytest.raises(DataError, match=r"^the training pictures lack [^\n]*\.$"):
        Sampler(ilc, utkface, TINY)


# Loss and calibration


def batch_of(mask: list[int], gender: list[int], age: list[int], weights: list[float]) -> Batch:
    labels = {"mask": torch.tensor(mask), "gender": torch.tensor(gender), "age": torch.tensor(age)}
    return Batch(torch.zeros(len(mask), 3, 1, 1), labels, torch.tensor(weights))


def random_logits(count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {name: torch.randn(count, width, generator=generator) for name, width in HEADS.items()}


def test_the_loss_is_the_sum_of_the_heads_smoothed_cross_entropies():
    logits = random_logits(2)
    batch = batch_of([0, 2], [1, 0], [2, 1], [1.0, 1.0])
    expected = 0.0
    for name in HEADS:
        log_p = logits[name].log_softmax(1)
        right = -log_p[[0, 1], batch.labels[name]]
        expected += float(((1 - SMOOTHING[name]) * right - SMOOTHING[name] * log_p.mean(1)).mean())
    assert float(heads_loss(logits, batch, CPU)) == pytest.approx(expected, abs=1e-5)


def test_an_unknown_label_adds_nothing_and_gives_no_gradient():
    logits = {name: values.requires_grad_() for name, values in random_logits(3).items()}
    batch = batch_of([0, 1, 2], [-1, 0, 1], [-1, 2, -1], [1.0, 1.0, 1.0])
    loss = heads_loss(logits, batch, CPU)
    loss.backward()
    known = {
        name: F.cross_entropy(
            logits[name].detach(),
            batch.labels[name],
            label_smoothing=SMOOTHING[name],
            ignore_index=-1,
            reduction="sum",
        )
        for name in HEADS
    }
    assert float(loss.detach()) == pytest.approx(float(sum(known.values())) / 3, abs=1e-5)
    for name in HEADS:
        gradient = logits[name].grad.abs().sum(1)
        assert ((gradient == 0) == (batch.labels[name] == -1)).all()


def test_a_drawn_mask_has_less_say_in_the_mask_head_only():
    logits = random_logits(1)
    full = float(heads_loss(logits, batch_of([1], [-1], [-1], [1.0]), CPU))
    drawn_ = float(heads_loss(logits, batch_of([1], [-1], [-1], [DRAWN_MASK_WEIGHT]), CPU))
    assert drawn_ == pytest.approx(DRAWN_MASK_WEIGHT * full, rel=1e-5)
    with_gender = float(heads_loss(logits, batch_of([-1], [1], [-1], [DRAWN_MASK_WEIGHT]), CPU))
    assert with_gender == pytest.approx(float(heads_loss(logits, batch_of([-1], [1], [-1], [1.0]), CPU)))


def test_a_batch_without_a_known_label_has_no_loss():
    assert float(heads_loss(random_logits(2), batch_of([-1] * 2, [-1] * 2, [-1] * 2, [1.0] * 2), CPU)) == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 3.0])
def test_fitting_recovers_a_known_temperature(temperature):
    rng = np.random.default_rng(6)
    honest = rng.normal(0, 1.5, (6000, 3))
    probabilities = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    labels = (probabilities.cumsum(1) < rng.random((6000, 1))).sum(1)
    stated = torch.from_numpy(honest * temperature).float()
    assert fit_temperature(stated, labels) == pytest.approx(temperature, rel=0.08)


# Runs


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


class StoppedError(Exception):
    """Ends a run as a kill would."""


def stop_at(epoch: int, step: int):
    def report(at: Report) -> None:
        if (at.epoch, at.step) == (epoch, step):
            raise StoppedError

    return report


def test_a_stopped_run_ends_as_if_it_had_not_been_stopped(ilc, utkface, tmp_path):
    sampler = Sampler(ilc, utkface, TINY)
    whole = Trainer(sampler, TINY, None, tmp_path / "whole")
    whole.train(nothing)
    with pytest.raises(StoppedError):
        Trainer(sampler, TINY, None, tmp_path / "stopped").train(stop_at(epoch=1, step=2))
    torch.rand(7)  # the random numbers of another process are elsewhere
    resumed = Trainer(sampler, TINY, None, tmp_path / "stopped")
    reports: list[Report] = []
    resumed.train(reports.append)
    assert [(at.epoch, at.step, at.steps) for at in reports] == [(1, 1, 3), (1, 2, 3), (1, 3, 3)]
    expected = weights_of(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights_of(resumed).items())
    begun = start_model(TINY, None).state_dict()
    assert any(not torch.equal(tensor, begun[name]) for name, tensor in expected.items())


def test_a_finished_run_trains_no_more(ilc, utkface, tmp_path):
    sampler = Sampler(ilc, utkface, TINIEST)
    first = Trainer(sampler, TINIEST, None, tmp_path)
    first.train(nothing)
    again = Trainer(sampler, TINIEST, None, tmp_path)
    reports: list[Report] = []
    again.train(reports.append)
    assert reports == []
    expected = weights_of(first)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights_of(again).items())


def test_a_run_of_another_recipe_is_not_continued(ilc, utkface, tmp_path):
    Trainer(Sampler(ilc, utkface, TINIEST), TINIEST, None, tmp_path).train(nothing)
    other = replace(TINIEST, seed=2)
    with pytest.raises(DataError, match=r"checkpoint\.pt: made with another recipe; [^\n]*\.$"):
        Trainer(Sampler(ilc, utkface, other), other, None, tmp_path).train(nothing)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_told_in_one_sentence(ilc, utkface, tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"checkpoint\.pt: not a checkpoint [^\n]*\.$"):
        Trainer(Sampler(ilc, utkface, TINIEST), TINIEST, None, tmp_path).train(nothing)


def test_each_epoch_leaves_a_checkpoint_and_a_line(ilc, utkface, tmp_path):
    reports: list[Report] = []
    trainer = Trainer(Sampler(ilc, utkface, TINY), TINY, None, tmp_path / "runs" / "a")
    trainer.train(reports.append)
    lines = [json.loads(line) for line in (tmp_path / "runs" / "a" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert [line["loss"] for line in lines] == [round(at.loss, 4) for at in reports if at.step == at.steps]
    assert all(math.isfinite(line["loss"]) for line in lines)
    assert {path.name for path in (tmp_path / "runs" / "a").iterdir()} == {"checkpoint.pt", "log.jsonl"}


def test_the_model_of_a_run_is_averaged_and_ready_for_use(ilc, utkface, tmp_path):
    recipe = replace(TINY, epochs=1)
    trainer = Trainer(Sampler(ilc, utkface, recipe), recipe, None, tmp_path)
    trainer.train(nothing)
    last, averaged = trainer._net.state_dict(), trainer.model.state_dict()
    assert not trainer.model.training
    assert any(not torch.equal(last[name], averaged[name]) for name in last)


def test_steps_make_the_loss_of_a_batch_smaller(ilc, utkface, tmp_path):
    recipe = Recipe(samples=8, batch=8, epochs=20, dropout=0.0)
    trainer = Trainer(Sampler(ilc, utkface, recipe), recipe, None, tmp_path)
    (batch,) = Sampler(ilc, utkface, recipe).epoch(0)
    losses = [trainer._step(batch, step) for step in range(10)]
    assert losses[-1] < 0.7 * losses[0]


# Where a run starts


@pytest.fixture
def start(tmp_path) -> Path:
    """Backbone weights as shared ones are: without heads, with layers that are not used."""
    torch.manual_seed(9)
    tensors = {n: t for n, t in MobileFaceNet().state_dict().items() if not n.startswith("heads.")}
    path = tmp_path / "start.safetensors"
    save_file({**tensors, "linear1.conv.weight": torch.zeros(2)}, path)
    return path


def test_a_run_starts_from_given_weights_with_new_heads(start):
    started = start_model(Recipe(), start).state_dict()
    torch.manual_seed(9)
    given = MobileFaceNet().state_dict()
    for name, tensor in started.items():
        assert torch.equal(tensor, given[name]) != name.startswith("heads."), name


def test_a_start_is_the_same_for_the_same_seed():
    first, second = (start_model(Recipe(), None).state_dict() for _ in range(2))
    other = start_model(Recipe(seed=2), None).state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["conv1.conv.weight"], other["conv1.conv.weight"])


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "lacking", "other shapes"])
def test_a_start_that_does_not_fit_is_one_sentence(tmp_path, start, kind):
    path = tmp_path / "other.safetensors"
    if kind == "folder":
        path.mkdir()
    elif kind in ("text", "empty"):
        path.write_text("no weights" if kind == "text" else "")
    elif kind == "lacking":
        save_file({"conv1.conv.weight": torch.zeros(64, 3, 3, 3)}, path)
    elif kind == "other shapes":
        save_file({"conv1.conv.weight": torch.zeros(2, 3, 3, 3)}, path)
    with pytest.raises(ModelError, match=r"other\.safetensors: [^\n]*\.$"):
        start_model(Recipe(), path)
