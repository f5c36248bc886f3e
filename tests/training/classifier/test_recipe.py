"""A recipe holds only choices that there are."""

from __future__ import annotations

import pytest

from gatecam.errors import DataError
from gatecam.training.classifier.recipe import Recipe


@pytest.mark.parametrize(
    ("choice", "value"),
    [
        ("heads", "four"),
        ("sampler", "even"),
        ("loss", "hinge"),
        ("precision", "fp8"),
        ("augmentations", ("flip", "fold")),
    ],
)
def test_a_choice_that_is_none_is_one_sentence(choice, value):
    with pytest.raises(DataError, match=r"^\w+: expected [^\n]*; got '[^\n]*'\.$"):
        Recipe(**{choice: value})
