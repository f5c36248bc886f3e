"""One network's turn: it learns, and its average follows it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from gatecam.training.detector.candidates import Crops
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.stages import Learner, Stage
from gatecam.vision.detector.networks import RNet
from gatecam.vision.detector.sizes import R_SIZE

CPU = torch.device("cpu")
RECIPE = DetectorRecipe(precision="fp32", learning_rate=1e-3)


def batch() -> Crops:
    """Dark crops are faces and bright ones none."""
    faces = torch.arange(12) % 2
    pixels = torch.rand(12, 3, R_SIZE, R_SIZE, generator=torch.Generator().manual_seed(0)) - faces.view(
        -1, 1, 1, 1
    )
    return Crops(
        pixels,
        faces.float(),
        torch.full((12, 4), 0.1),
        faces.bool(),
        torch.zeros(12, 10),
        torch.zeros(12, dtype=torch.bool),
    )


def learner(recipe: DetectorRecipe = RECIPE, learnt: bool = False, steps: int = 40) -> Learner:
    torch.manual_seed(1)
    return Learner(RNet(), recipe, Stage("rnet", 1, steps), learnt, CPU)


def test_steps_make_the_loss_of_a_batch_smaller():
    rnet = learner()
    losses = [rnet.step(batch(), step) for step in range(20)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(("decay", "kept"), [(0.998, [2 / 11, 3 / 12]), (0.15, [0.15, 0.15])])
def test_the_average_forgets_its_first_steps_sooner(decay, kept):
    rnet = learner(replace(RECIPE, ema_decay=decay))
    expected = None
    for step in range(3):
        rnet.step(batch(), step)
        now = rnet.state()["net"]["trunk.0.1.running_mean"].clone()
        expected = now if expected is None else kept[step - 1] * expected + (1 - kept[step - 1]) * now
        average = rnet.average.module.trunk[0][1].running_mean
        assert torch.allclose(average, expected, atol=1e-6)


def test_a_network_that_has_learnt_before_moves_half_as_fast():
    fast, slow = learner(), learner(learnt=True)
    for rnet in (fast, slow):
        rnet.step(batch(), 10)
    assert slow.rate == pytest.approx(fast.rate / 2)


def test_biases_and_norms_are_not_decayed():
    groups = learner()._optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [RECIPE.weight_decay, 0]
    assert all(p.ndim > 1 for p in groups[0]["params"])
    assert all(p.ndim <= 1 for p in groups[1]["params"])


def test_a_restored_learner_goes_on_alike():
    whole = learner()
    for step in range(4):
        whole.step(batch(), step)
    half = learner()
    half.step(batch(), 0)
    half.step(batch(), 1)
    state = copy.deepcopy(half.state())  # as if written and read
    resumed = learner()
    resumed.restore(state)
    losses = [(resumed.step(batch(), step), half.step(batch(), step)) for step in (2, 3)]
    assert all(mine == other for mine, other in losses)
    for name, tensor in whole.average.state_dict().items():
        assert torch.equal(tensor, resumed.average.state_dict()[name])
