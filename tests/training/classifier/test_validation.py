"""Validation: each head on the faces that can tell of it."""

from __future__ import annotations

import pytest
import torch

from gatecam.errors import DataError
from gatecam.training.classifier.recipe import Recipe
from gatecam.training.classifier.validation import Validation

CROP = Recipe(size=32).crop


class SaysAlways(torch.nn.Module):
    """Gives every face the same labels."""

    def __init__(self, mask: int, gender: int, age: int) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self._said = {"mask": (mask, 3), "gender": (gender, 2), "age": (age, 3)}

    def forward(self, x):
        return {head: torch.eye(width)[[label] * len(x)] for head, (label, width) in self._said.items()}


def test_each_head_is_scored_on_the_faces_that_have_its_label(make_faces):
    ilc = make_faces([0, 0, 0, 1])
    utkface = make_faces([2, 2, 2], [0, 1, -1], [0, 0, 1])
    scores = {s.head: s for s in Validation([ilc, utkface], CROP)(SaysAlways(0, 1, 0))}
    assert scores["mask"].micro_f1 == 0.75, "bare faces alone tell nothing of masks"
    assert scores["mask"].macro_f1 == pytest.approx((6 / 7 + 0) / 2, abs=1e-4)
    assert scores["gender"].micro_f1 == 0.5
    assert scores["age"].micro_f1 == pytest.approx(2 / 3, abs=1e-4)


def test_small_and_suspect_faces_do_not_count(make_faces):
    faces = make_faces([0, 1, 0, 1], suspect=[False, False, True, True])
    small = make_faces([1, 1, 0], face_px=31)
    (score,) = Validation([faces, small], CROP)(SaysAlways(0, 0, 0))
    assert (score.head, score.micro_f1) == ("mask", 0.5)


def test_a_label_of_a_few_faces_does_not_choose_the_epoch(make_faces):
    faces = make_faces([0] * 20 + [1] * 2 + [2] * 18)
    (score,) = Validation([faces], CROP)(SaysAlways(0, 0, 0))
    assert score.macro_f1 == pytest.approx((2 / 3 + 0) / 2, abs=1e-4), "of worn correctly and bare"


@pytest.mark.parametrize("lacking", ["labels", "size", "states", "faces"])
def test_faces_that_no_head_can_be_scored_on_are_one_sentence(make_faces, lacking):
    sets = {
        "labels": [make_faces([-1, -1])],
        "size": [make_faces([0, 1, 2], face_px=20)],
        "states": [make_faces([0, 0])],
        "faces": [],
    }[lacking]
    with pytest.raises(DataError, match=r"^no head can be scored: [^\n]*\.$"):
        Validation(sets, CROP)
