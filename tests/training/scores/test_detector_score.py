"""Recall, precision and average precision of matches that are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatecam.training.scores.detector_report import false_alarms_of, names_of
from gatecam.training.scores.detector_score import bands_of, rate, score_detections
from gatecam.training.scores.matching import LabelledFace, Match, Truth
from gatecam.types import Box, Detection


def made(
    faces: list[tuple[int, float, float | None]], false: list[tuple[float, float]] = (), key: str = "a"
) -> Match:
    """A match of faces (mask state, side, score or None where it is missed) and false ones (side, score)."""
    truth = Truth(
        f"{key}.png",
        Path(f"{key}.png"),
        key,
        tuple(LabelledFace(Box(0, 0, side, side), mask) for mask, side, _ in faces),
        (),
    )
    found = tuple(
        None if score is None else Detection(Box(0, 0, side, side), score) for _, side, score in faces
    )
    return Match(truth, found, tuple(Detection(Box(0, 0, side, side), score) for side, score in false))


def score(matches: list[Match], min_face_px: int = 32):
    return score_detections(matches, matches, min_face_px)


def test_recall_is_by_mask_state_and_by_size():
    result = score(
        [made([(0, 40, 0.9), (0, 80, None), (2, 200, 0.8)]), made([(1, 64, 0.7), (2, 32, None)], key="b")]
    )
    counts = {name: (r.count, r.of) for name, r in result.recall.items()}
    assert counts == {
        "all": (3, 5),
        "correct": (1, 2),
        "incorrect": (1, 1),
        "none": (1, 2),
        "32–64 px": (1, 2),
        "64–128 px": (1, 2),
        "from 128 px": (1, 1),
    }
    assert result.recall["correct"].share == 0.5


def test_precision_is_by_the_size_of_the_detection():
    result = score([made([(0, 40, 0.9), (0, 150, 0.9)], [(50, 0.8), (300, 0.8), (301, 0.7)])])
    assert {name: (r.count, r.of) for name, r in result.precision.items()} == {
        "all": (2, 5),
        "32–64 px": (1, 2),
        "64–128 px": (0, 0),
        "from 128 px": (1, 3),
    }
    assert result.precision["64–128 px"].share is None


def test_a_small_detection_that_finds_a_face_counts_as_of_the_smallest_size():
    face = made([(0, 32, 0.9)])
    smaller = Match(face.truth, (Detection(Box(0, 0, 30, 31), 0.9),), ())
    assert score([smaller]).precision["32–64 px"].count == 1


@pytest.mark.parametrize(
    ("smallest", "names"),
    [
        (16, ["16–32 px", "32–64 px", "64–128 px", "from 128 px"]),
        (20, ["20–32 px", "32–64 px", "64–128 px", "from 128 px"]),
        (200, ["from 200 px"]),
    ],
)
def test_sizes_begin_with_the_smallest_face(smallest, names):
    assert list(bands_of(smallest)) == names


def test_average_precision_is_the_area_below_the_best_precision_at_each_recall():
    # In order of score: right, wrong, right, right, wrong; one of four faces is never found.
    result = score([made([(0, 40, 0.9), (0, 40, 0.7), (0, 40, 0.6), (0, 40, None)], [(40, 0.8), (40, 0.5)])])
    assert result.curve.score == [0.9, 0.7, 0.6]
    assert result.curve.recall == [0.25, 0.5, 0.75]
    assert result.curve.precision == [1.0, 0.6667, 0.75]
    assert result.average_precision == pytest.approx(0.25 * 1 + 0.25 * 0.75 + 0.25 * 0.75)


def test_whole_scenes_are_drawn_anew_for_intervals():
    alike = np.repeat(np.arange(10), 20)
    hits = alike % 2 == 0
    everything = np.ones(200, bool)
    together = rate(hits, everything, alike).interval
    apart = rate(hits, everything, np.arange(200)).interval
    assert together[1] - together[0] > 3 * (apart[1] - apart[0])
    assert rate(hits, everything, alike).share == 0.5


def test_the_area_has_an_interval_that_holds_it():
    matches = [
        made([(0, 40, 0.9), (0, 40, None)], [(40, 0.95)] if i % 3 == 0 else [], str(i)) for i in range(30)
    ]
    result = score(matches)
    low, high = result.average_precision_interval
    assert low < result.average_precision < high


def test_nothing_found_is_a_score_of_nothing():
    result = score([made([(0, 40, None)])])
    assert result.recall["all"].share == 0
    assert result.precision["all"].share is None
    assert result.average_precision == 0


def test_pictures_without_a_face_count_once_however_many_detections_they_have():
    alarms = false_alarms_of([made([], [(40, 0.9), (50, 0.8)]), made([], key="b"), made([], key="c")])
    assert alarms.detections == 2
    assert (alarms.pictures.count, alarms.pictures.of) == (1, 3)


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ("gatecam-mtcnn", ["gatecam-mtcnn", "stock"]),
        ("runs/new.safetensors", ["new", "stock"]),
        ("stock.safetensors", ["stock.safetensors", "stock"]),
        ("stock", ["stock"]),
    ],
)
def test_the_stock_weights_are_compared_with_any_others(weights, names):
    assert list(names_of(weights)) == names
    assert names_of(weights)["stock"] == "stock"
