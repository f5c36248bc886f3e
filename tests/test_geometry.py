"""Arithmetic on boxes: what a region covers, and which face belongs to which track."""

from __future__ import annotations

import doctest

import pytest

from gatecam import geometry
from gatecam.geometry import pair_faces, region_box
from gatecam.types import Box, Expected


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


@pytest.mark.parametrize(
    ("tracks", "faces", "pairs"),
    [
        ([], [Box(0, 0, 40, 40)], {}),
        ([Expected(Box(0, 0, 40, 40), True)], [Box(200, 0, 240, 40)], {}),
        ([Expected(Box(0, 0, 40, 40), True)], [Box(5, 5, 20, 20)], {}),
        ([Expected(Box(0, 0, 40, 40), True)], [Box(16, 0, 56, 40), Box(4, 0, 44, 40)], {0: 1}),
        ([Expected(Box(0, 0, 40, 40), False, None, s) for s in (0.5, 0.03)], [Box(0, 0, 40, 40)], {1: 0}),
    ],
    ids=["no track", "too far", "too small", "the nearer face", "the track seen last"],
)
def test_each_face_belongs_to_at_most_one_track(tracks, faces, pairs):
    assert pair_faces(tracks, faces) == pairs
