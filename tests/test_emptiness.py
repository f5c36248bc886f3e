"""The pictures without a face: the same from the same seed, all different, of the sizes that are promised."""

from __future__ import annotations

import numpy as np

from tests.emptiness import SIZES, draw_empty


def test_the_same_seed_draws_the_same_pictures() -> None:
    first, second = (np.random.default_rng(3) for _ in range(2))
    for _ in range(4):
        np.testing.assert_array_equal(draw_empty(first), draw_empty(second))


def test_pictures_differ_and_fill_their_range_of_brightness() -> None:
    rng = np.random.default_rng(0)
    pictures = [draw_empty(rng) for _ in range(24)]
    assert {picture.shape[1::-1] for picture in pictures} == set(SIZES)
    assert all(picture.dtype == np.uint8 and picture.std() > 10 for picture in pictures)
    assert len({picture[:200:20, :200:20].tobytes() for picture in pictures}) == len(pictures)
