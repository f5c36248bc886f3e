"""Arithmetic on boxes: what of a picture a region covers."""

from __future__ import annotations

import doctest

import pytest

from gatecam import geometry
from gatecam.geometry import region_box
from gatecam.types import Box


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(geometry).failed == 0


@pytest.mark.parametrize(
    ("region", "size", "box"),
    [
        ((0, 0, 1, 1), (640, 480), Box(0, 0, 640, 480)),
        ((0.1, 0, 0.9, 1), (640, 480), Box(64, 0, 576, 480)),
        ((0.25, 0.5, 0.75, 1), (33, 21), Box(8, 10, 25, 21)),
        ((0.9, 0.9, 1, 1), (1, 1), Box(0, 0, 1, 1)),
        ((0.5, 0.5, 0.55, 0.55), (3, 2), Box(1, 1, 2, 2)),
    ],
)
def test_a_region_is_all_whole_pixels_that_it_touches(region, size, box):
    assert region_box(region, *size) == box
