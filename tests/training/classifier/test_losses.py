"""The loss: what is known of a face teaches, what is unknown does not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gatecam.labels import CLASS_COUNT, HEADS, class_id
from gatecam.training.classifier.losses import (
    FOCAL_GAMMA,
    HINTS_WEIGHT,
    YEARS_BINS,
    YEARS_WEIGHT,
    Batch,
    HeadsLoss,
    inverse_frequencies,
    joint_labels,
    years_loss,
)


def batch_of(
    mask: list[int], gender: list[int], age: list[int], trust: float = 1.0, years: list[int] | None = None
) -> Batch:
    lists = {"mask": mask, "gender": gender, "age": age, "years": years or [-1] * len(mask)}
    labels = {name: torch.tensor(values) for name, values in lists.items()}
    return Batch(torch.zeros(len(mask), 3, 1, 1), labels, torch.full((len(mask),), trust), len(mask))


def random_logits(count: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {name: torch.randn(count, width, generator=generator) for name, width in HEADS.items()}


def joint_logits(count: int) -> dict[str, Tensor]:
    """Of joint18, with the marginals as the network computes them."""
    joint = torch.randn(count, CLASS_COUNT, generator=torch.Generator().manual_seed(3), requires_grad=True)
    cube = joint.unflatten(1, tuple(HEADS.values()))
    return {
        "joint": joint,
        "mask": cube.logsumexp((2, 3)),
        "gender": cube.logsumexp((1, 3)),
        "age": cube.logsumexp((1, 2)),
    }


def plain(smoothing: float = 0.0, loss: str = "cross-entropy") -> HeadsLoss:
    return HeadsLoss(loss, smoothing, {})


def test_the_loss_is_the_sum_of_the_heads_smoothed_cross_entropies():
    logits, batch = random_logits(2), batch_of([0, 2], [1, 0], [2, 1])
    expected = 0.0
    for name in HEADS:
        log_p = logits[name].log_softmax(1)
        expected += float((0.9 * -log_p[[0, 1], batch.labels[name]] - 0.1 * log_p.mean(1)).mean())
    assert float(plain(0.1)(logits, batch)) == pytest.approx(expected, abs=1e-5)


def test_focal_loss_weighs_a_face_by_how_wrong_it_is():
    logits, batch = random_logits(2), batch_of([0, 2], [-1, -1], [-1, -1])
    right = logits["mask"].softmax(1)[[0, 1], [0, 2]]
    expected = float((-((1 - right) ** FOCAL_GAMMA) * right.log()).mean())
    assert float(plain(loss="focal")(logits, batch)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", ["cross-entropy", "focal"])
def test_an_unknown_label_adds_nothing_and_gives_no_gradient(loss):
    logits = {name: values.requires_grad_() for name, values in random_logits(3).items()}
    logits["years"] = torch.randn(3, YEARS_BINS, requires_grad=True)
    batch = batch_of([0, 1, 2], [-1, 0, 1], [-1, 2, -1], years=[-1, 44, -1])
    plain(0.05, loss)(logits, batch).backward()
    for name, values in logits.items():
        assert ((values.grad.abs().sum(1) == 0) == (batch.labels[name] == -1)).all(), name


@pytest.mark.parametrize("make_logits", [random_logits, joint_logits])
def test_a_batch_without_a_known_label_has_no_loss(make_logits):
    loss = plain()(make_logits(2), batch_of([-1] * 2, [-1] * 2, [-1] * 2))
    assert float(loss.detach()) == 0


def test_a_drawn_mask_has_less_say_in_the_mask_head_alone():
    logits = random_logits(1)
    of_mask = [float(plain()(logits, batch_of([1], [-1], [-1], trust))) for trust in (0.5, 1.0)]
    assert of_mask[0] == pytest.approx(0.5 * of_mask[1], rel=1e-5)
    of_gender = [float(plain()(logits, batch_of([-1], [1], [-1], trust))) for trust in (0.5, 1.0)]
    assert of_gender[0] == of_gender[1] > 0


def test_a_wholly_labelled_face_teaches_joint18_its_class_and_nothing_besides():
    logits = joint_logits(2)
    batch = batch_of([0, 2], [1, 0], [2, 1])
    classes = torch.tensor([class_id(0, 1, 2), class_id(2, 0, 1)])
    expected = F.cross_entropy(logits["joint"].detach(), classes)
    assert float(plain()(logits, batch).detach()) == pytest.approx(float(expected), abs=1e-5)


def test_a_partly_labelled_face_teaches_joint18_the_marginals():
    logits = joint_logits(1)
    loss = plain()(logits, batch_of([1], [-1], [-1]))
    expected = F.cross_entropy(logits["mask"].detach(), torch.tensor([1]))
    assert float(loss.detach()) == pytest.approx(float(expected), abs=1e-5)
    loss.backward()
    pushed_up = (logits["joint"].grad[0] < 0).nonzero()[:, 0].tolist()
    assert pushed_up == [class_id(1, gender, age) for gender in range(2) for age in range(3)]


def test_joint18_learns_masks_from_faces_whose_people_are_unknown():
    batch = batch_of([0, 1, 2] * 2, [-1] * 6, [-1] * 6)
    joint = torch.zeros(6, CLASS_COUNT, requires_grad=True)
    optimizer = torch.optim.SGD([joint], 30.0)
    for _ in range(20):
        cube = joint.unflatten(1, tuple(HEADS.values()))
        sums = {name: cube.logsumexp([d for d in (1, 2, 3) if d != i]) for i, name in enumerate(HEADS, 1)}
        loss = plain()({"joint": joint, **sums}, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    probabilities = joint.detach().softmax(1).unflatten(1, tuple(HEADS.values()))
    assert (probabilities.sum((2, 3))[range(6), batch.labels["mask"]] > 0.9).all()
    assert torch.allclose(probabilities.sum((1, 3)), torch.tensor(0.5), atol=1e-3), "genders stay open"


def test_the_joint_label_is_unknown_where_a_part_is():
    batch = batch_of([0, 2, 1], [0, 1, -1], [0, 2, 1])
    assert joint_labels(batch.labels).tolist() == [0, 17, -1]


def test_neighbouring_ages_teach_nearly_the_same():
    logits = torch.randn(1, YEARS_BINS, generator=torch.Generator().manual_seed(4))
    of_29, of_31, of_70 = (float(years_loss(logits, torch.tensor([years]))) for years in (29, 31, 70))
    assert abs(of_29 - of_31) < 0.5 * abs(of_29 - of_70)
    sure = torch.full((1, YEARS_BINS), -9.0)
    sure[0, 29 // 5] = 9
    assert float(years_loss(sure, torch.tensor([29]))) < float(years_loss(sure, torch.tensor([45])))


def test_the_years_head_has_its_say():
    logits = random_logits(1) | {"years": torch.randn(1, YEARS_BINS)}
    alone = float(plain()(logits, batch_of([-1], [-1], [-1], years=[33])))
    assert alone == pytest.approx(YEARS_WEIGHT * float(years_loss(logits["years"], torch.tensor([33]))))


def test_rare_labels_weigh_more_and_faces_one_on_average():
    labels = {
        "mask": np.array([0] * 6 + [1] + [2] * 2 + [-1]),
        "gender": np.array([0, 1] * 5),
        "age": np.zeros(10, np.int64),
    }
    weights = inverse_frequencies(labels)
    for name, count in HEADS.items():
        known = labels[name][labels[name] != -1]
        assert weights[name].shape == (count,)
        assert float(weights[name][known].mean()) == pytest.approx(1, abs=1e-6), name
    assert weights["mask"][1] == pytest.approx(6 * float(weights["mask"][0]))
    assert weights["joint"].shape == (CLASS_COUNT,)
    assert (weights["age"] > 0).all(), "a face of a band that was not seen must still count"


def test_class_weights_multiply_the_losses():
    logits = random_logits(2)
    weights = {"mask": torch.tensor([1.0, 3.0, 0.5])}
    one = [float(plain()(logits, batch_of(masks, [-1] * 2, [-1] * 2))) for masks in ([0, -1], [-1, 1])]
    both = HeadsLoss("cross-entropy", 0.0, weights)(logits, batch_of([0, 1], [-1] * 2, [-1] * 2))
    assert float(both) == pytest.approx(one[0] + 3 * one[1], abs=1e-5)


def test_features_that_a_teacher_sees_teach_and_unknown_ones_do_not():
    logits, batch = random_logits(3), batch_of([0, 2, 1], [1, 0, 1], [2, 1, 0])
    without = float(plain()(logits, batch))
    logits["hints"] = torch.tensor([[1.0, 2.0], [0.5, 0.0], [7.0, 7.0]], requires_grad=True)
    taught = replace(batch, hints=torch.tensor([[1.0, 0.0], [0.5, 0.0], [math.nan, math.nan]]))
    loss = plain()(logits, taught)
    assert loss.item() == pytest.approx(without + HINTS_WEIGHT * (2.0 + 0.0 + 0.0) / 3, abs=1e-5)
    loss.backward()
    gradient = logits["hints"].grad
    assert gradient[0, 1] > 0
    assert gradient[2].tolist() == [0, 0], "no gradient and no NaN"
