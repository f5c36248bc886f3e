"""The sampler: what an epoch shows follows from the recipe, the seed and the epoch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from gatecam.errors import DataError
from gatecam.training.classifier import sampler as module
from gatecam.training.classifier.recipe import Recipe
from gatecam.training.classifier.sampler import (
    DRAWN_WEIGHT,
    DRESS_SHARES,
    MASK_SHARES,
    REAL_SHARE,
    Plan,
    Sampler,
)
from gatecam.training.drawing import Dressed

TINY = Recipe(size=32, samples=10, batch=4)
ILC, UTKFACE = 12, 14  # faces of each


@pytest.fixture
def ilc(make_faces):
    """Twelve faces, far from balanced; rows 3 and 11 are suspect."""
    return make_faces([0] * 7 + [1, 2, 2, 1, 2], suspect=[row in (3, 11) for row in range(ILC)])


@pytest.fixture
def utkface(make_faces):
    """Fourteen bare faces: each cell of gender and age once, then eight young men; row 13 lacks landmarks."""
    gender, age = [0, 0, 0, 1, 1, 1] + [0] * 8, [0, 1, 2] * 2 + [0] * 8
    faces = make_faces([2] * UTKFACE, gender, age)
    faces.landmarks[13] = np.nan
    return faces


@pytest.fixture
def contest(make_faces):
    """Twenty-one pictures with every label, as the contest has: five right, one wrong, one bare a person."""
    gender, age = [0] * 7 + [1] * 14, [0] * 14 + [2] * 7
    return make_faces([0, 0, 0, 0, 0, 1, 2] * 3, gender, age)


@pytest.fixture(params=["mixed", "weighted", "plain"])
def any_sampler(request) -> str:
    return request.param


def plan_of(sets, **choices) -> tuple[Sampler, Plan]:
    sampler = Sampler(sets, replace(TINY, **choices))
    return sampler, sampler.plan(0)


def test_a_mixed_epoch_has_its_shares_whatever_the_folders_hold(ilc, utkface):
    sampler, plan = plan_of([ilc, utkface], samples=3000)
    assert len(plan.faces) == 3000
    real = plan.faces < ILC
    assert real.sum() == round(3000 * REAL_SHARE)
    of_mask = Counter(plan.states[real].tolist())
    assert [of_mask[m] / real.sum() for m in range(3)] == pytest.approx(MASK_SHARES, abs=0.05)
    others = plan.faces[~real]
    of_age = np.bincount(sampler.labels["age"][others], minlength=3)
    assert of_age / len(others) == pytest.approx([9 / 13, 2 / 13, 2 / 13], abs=0.04), (
        "as frequent as they are"
    )
    of_dress = Counter(plan.states[~real].tolist())
    assert [of_dress[m] / len(others) for m in range(3)] == pytest.approx(DRESS_SHARES, abs=0.05)


def test_masks_of_collections_that_show_one_state_are_shown_too(ilc, make_faces):
    worn_wrong, masked = make_faces([1] * 4), make_faces([0] * 3, gender=[0, 1, 1])
    _, plan = plan_of([ilc, worn_wrong, masked], samples=600)
    shown = Counter(np.digitize(plan.faces, [ILC, ILC + 4]).tolist())
    assert min(shown[i] for i in range(3)) > 20


def test_a_weighted_epoch_shows_every_combination_of_labels_alike(contest):
    sampler, plan = plan_of([contest], samples=3000, sampler="weighted", draw=False)
    columns = (sampler.labels[name][plan.faces] for name in ("mask", "gender", "age"))
    counts = Counter(zip(*columns, strict=True))
    assert len(counts) == 9
    assert [count / 3000 for count in counts.values()] == pytest.approx([1 / 9] * 9, abs=0.03)


def test_a_plain_epoch_shows_every_face_as_often_as_the_others(contest):
    _, plan = plan_of([contest], samples=42, sampler="plain", draw=False)
    assert set(Counter(plan.faces.tolist()).values()) == {2}
    _, plan = plan_of([contest], samples=0, sampler="plain", draw=False)
    assert sorted(plan.faces.tolist()) == list(range(21))


def test_masks_are_drawn_on_bare_faces_with_landmarks_alone(ilc, utkface, any_sampler):
    sampler, plan = plan_of([ilc, utkface], samples=600, sampler=any_sampler)
    assert plan.drawn.any()
    drawn = plan.faces[plan.drawn]
    assert (sampler.labels["mask"][drawn] == 2).all()
    assert (drawn != ILC + 13).all()
    as_they_are = ~plan.drawn
    assert (plan.states[as_they_are] == sampler.labels["mask"][plan.faces[as_they_are]]).all()


def test_suspect_faces_are_never_shown(ilc, utkface, any_sampler):
    _, plan = plan_of([ilc, utkface], samples=800, sampler=any_sampler)
    shown = set(plan.faces.tolist())
    assert not shown & {3, 11}
    usable = set(range(ILC + UTKFACE)) - {3, 11}
    assert shown == usable - ({ILC + 13} if any_sampler == "mixed" else set())  # it cannot be dressed


def test_nothing_is_drawn_where_that_is_not_wanted(ilc, utkface, any_sampler):
    _, plan = plan_of([ilc, utkface], samples=300, sampler=any_sampler, draw=False)
    assert not plan.drawn.any()


@pytest.fixture
def telling_crops(monkeypatch) -> None:
    """A crop becomes the red, which is the row, and the state that was drawn, or 9 for none."""

    def drawn(image, landmarks, state, rng, beard):
        return Dressed(np.concatenate([image[..., :1], np.full_like(image[..., :2], state)], 2), state, "")

    def crop(patch, spec, rng, wanted):
        red, second, _ = patch.image[60, 60]
        return torch.tensor([red, 9 if second == 150 else second]).float()[:, None, None]

    monkeypatch.setattr(module, "dress", drawn)
    monkeypatch.setattr(module, "augmented_crop", crop)


@pytest.mark.usefixtures("telling_crops")
def test_samples_carry_the_labels_of_their_faces_and_the_state_they_are_drawn_in(contest):
    sampler = Sampler([contest], replace(TINY, samples=300, batch=32))
    seen = Counter()
    for batch in sampler.epoch(0):
        for i in range(len(batch)):
            row, state = batch.crops[i, :, 0, 0].int().tolist()
            assert batch.labels["gender"][i] == contest.gender[row]
            assert batch.labels["age"][i] == contest.age[row]
            assert batch.labels["mask"][i] == (contest.mask[row] if state == 9 else state)
            less = state in (0, 1)
            assert batch.mask_weights[i] == (DRAWN_WEIGHT if less else 1)
            seen[state] += 1
    assert set(seen) == {0, 1, 2, 9}


def crops_of(sampler: Sampler, epoch: int = 0, skip: int = 0) -> torch.Tensor:
    return torch.cat([batch.crops for batch in sampler.epoch(epoch, skip)])


def test_an_epoch_is_the_same_for_the_same_seed_and_another_for_another(ilc, utkface):
    first = crops_of(Sampler([ilc, utkface], TINY))
    assert torch.equal(first, crops_of(Sampler([ilc, utkface], TINY)))
    assert not torch.equal(first, crops_of(Sampler([ilc, utkface], TINY), epoch=1))
    assert not torch.equal(first, crops_of(Sampler([ilc, utkface], replace(TINY, seed=2))))


def test_batches_are_of_even_sizes_and_have_labels_and_weights_of_one_length(ilc, utkface):
    batches = list(Sampler([ilc, utkface], TINY).epoch(0))
    assert [len(batch) for batch in batches] == [4, 3, 3]
    for batch in batches:
        assert batch.crops.shape == (len(batch), 3, 32, 32)
        assert batch.crops.isfinite().all()
        assert {len(values) for values in (*batch.labels.values(), batch.mask_weights)} == {len(batch)}
        assert batch.share == len(batch)


def test_an_epoch_goes_on_after_the_batches_that_are_done(ilc, utkface):
    sampler = Sampler([ilc, utkface], TINY)
    assert torch.equal(crops_of(sampler)[4:], crops_of(sampler, skip=1))
    assert list(sampler.epoch(0, skip=3)) == []


def test_processes_share_each_batch_between_them(ilc, utkface):
    sampler = Sampler([ilc, utkface], TINY)
    whole = list(sampler.epoch(0))
    parts = [list(sampler.epoch(0, 0, rank, 4)) for rank in range(4)]
    for step, batch in enumerate(whole):
        mine = [part[step] for part in parts]
        assert torch.equal(torch.cat([b.crops for b in mine]), batch.crops)
        assert torch.equal(torch.cat([b.labels["mask"] for b in mine]), batch.labels["mask"])
        assert {b.share for b in mine} == {len(batch) / 4}
    assert len(parts[3][2]) == 0, "a process may go without"


def test_other_faces_or_labels_have_another_fingerprint(ilc, utkface, make_faces):
    first = Sampler([ilc, utkface], TINY).fingerprint
    assert first == Sampler([ilc, utkface], TINY).fingerprint
    utkface.age[0] = 1
    assert first != Sampler([ilc, utkface], TINY).fingerprint
    assert first != Sampler([ilc], TINY).fingerprint
    for values in (ilc.boxes, ilc.landmarks, ilc.patches):
        before = Sampler([ilc], TINY).fingerprint
        values[0] = 7
        assert before != Sampler([ilc], TINY).fingerprint


def test_shown_labels_are_those_of_the_first_epoch(ilc, utkface):
    sampler = Sampler([ilc, utkface], TINY)
    batches = list(sampler.epoch(0))
    for name, values in sampler.shown_labels().items():
        assert values.tolist() == torch.cat([batch.labels[name] for batch in batches]).tolist()


def test_faces_without_labels_are_one_sentence(make_faces, any_sampler):
    with pytest.raises(DataError, match=r"^no face has a label [^\n]*\.$"):
        Sampler([make_faces([-1] * 4)], replace(TINY, sampler=any_sampler))


def test_only_suspect_faces_are_one_sentence(make_faces, any_sampler):
    with pytest.raises(DataError, match=r"^no face has a label [^\n]*\.$"):
        Sampler([make_faces([0, 1, 2], suspect=[True] * 3)], replace(TINY, sampler=any_sampler))


def test_faces_that_cannot_be_mixed_are_one_sentence(make_faces):
    two_states = [make_faces([0, 0, 1, 1])]
    with pytest.raises(DataError, match=r"^the sampler `mixed` needs [^\n]* --sampler plain\.$"):
        Sampler(two_states, TINY)
    assert len(Sampler(two_states, replace(TINY, sampler="plain")).plan(0).faces) == 10


def test_masks_alone_and_people_alone_can_be_mixed(ilc, utkface):
    for faces in (ilc, utkface):
        assert len(Sampler([faces], TINY).plan(0).faces) == 10
