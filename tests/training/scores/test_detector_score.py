"""Recall, precision and average precision of matches that are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatecam.training.scores.detector_report import false_alarms_of, names_of
from gatecam.training.scores.detector_score import bands_of, precise_score, rate, score_detections
from gatecam.training.scores.groups import Gap, poses_of
from gatecam.training.scores.matching import LabelledFace, Match, Truth
from gatecam.types import Box, Detection

FACE = Box(0, 0, 40, 40)


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
        "mask: correct": (1, 2),
        "mask: incorrect": (1, 1),
        "mask: none": (1, 2),
        "size: 32–64 px": (1, 2),
        "size: 64–128 px": (1, 2),
        "size: from 128 px": (1, 1),
    }
    assert result.recall["mask: correct"].share == 0.5


def test_precision_is_by_the_size_of_the_detection():
    result = score([made([(0, 40, 0.9), (0, 150, 0.9)], [(50, 0.8), (300, 0.8), (301, 0.7)])])
    assert {name: (r.count, r.of) for name, r in result.precision.items()} == {
        "all": (2, 5),
        "size: 32–64 px": (1, 2),
        "size: 64–128 px": (0, 0),
        "size: from 128 px": (1, 3),
    }
    assert result.precision["size: 64–128 px"].share is None


def test_a_small_detection_that_finds_a_face_counts_as_of_the_smallest_size():
    face = made([(0, 32, 0.9)])
    smaller = Match(face.truth, (Detection(Box(0, 0, 30, 31), 0.9),), ())
    assert score([smaller]).precision["size: 32–64 px"].count == 1


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
    ("right", "score"),
    [
        pytest.param(
            [*[1] * 30, 0, *[1] * 19, 0, 1], 0.5, id="49 of 50 is precise enough and 50 of 52 is not"
        ),
        pytest.param([0, *[1] * 48], None, id="48 of 49 is not precise enough"),
        pytest.param([1, 1, 0, 1], 0.98, id="the first false detection is too many"),
        pytest.param([], None, id="nothing is found"),
    ],
)
def test_the_lowest_score_with_a_precision_of_098_is_chosen(right, score):
    scores = [(1 - (n + 1) / 100, is_face) for n, is_face in enumerate(right)]  # 0.99, 0.98 …
    faces = [(0, 40, s) for s, is_face in scores if is_face]
    matches = [made(faces, [(40, s) for s, is_face in scores if not is_face])]
    assert precise_score(matches) == pytest.approx(score)


def test_recall_at_a_precision_is_of_all_faces():
    # Three of five faces come before the first false detection, and one after it.
    faces = [(0, 40, 0.9), (2, 40, 0.8), (2, 40, 0.7), (2, 40, 0.5), (2, 40, None)]
    result = score([made(faces, [(40, 0.6)])])
    assert result.precise.score == 0.7
    assert (result.precise.recall["all"].count, result.precise.recall["all"].of) == (3, 5)
    assert (result.precise.recall["mask: none"].count, result.precise.precision.of) == (2, 3)
    assert result.recall["all"].count == 4
    assert score([made([(0, 40, 0.5)], [(40, 0.6)])]).precise is None


def test_detections_of_one_score_count_together():
    assert precise_score([made([(0, 40, 0.9), (0, 40, 0.8)], [(40, 0.8)])]) == 0.9


def test_recall_is_by_all_that_is_known_of_faces():
    turned = ((0, 0), (10, 0), (9, 6), (3, 11), (8, 11))
    faces = (
        LabelledFace(FACE, 2, 1, 0, "black", landmarks=turned),
        LabelledFace(FACE, 0, 0, 2, "white", "surgical, under_nose"),
        LabelledFace(FACE, -1),
    )
    found = Detection(FACE, 0.9)
    here = Match(Truth("a.png", Path("a.png"), "a", faces, (), "door"), (found, None, found), ())
    there = Match(Truth("a.png", Path("a.png"), "a", faces[2:], (), "hall"), (found,), ())
    recall = score([here, there]).recall
    groups = {name: (r.count, r.of) for name, r in recall.items() if r.of and "size" not in name}
    assert groups == {
        "all": (3, 4),
        "mask: correct": (0, 1),
        "mask: none": (1, 1),
        "cover: surgical": (0, 1),
        "wear: under nose": (0, 1),
        "head pose: turned": (1, 1),
        "gender: female": (1, 1),
        "gender: male": (0, 1),
        "age: <30": (1, 1),
        "age: >=60": (0, 1),
        "race: black": (1, 1),
        "race: white": (0, 1),
        "set: door": (2, 3),
        "set: hall": (1, 1),
    }


def test_the_widest_gap_is_between_groups_that_are_large_enough():
    faces = (
        [("black", n < 90) for n in range(100)] + [("white", n < 97) for n in range(100)] + [("asian", False)]
    )
    labelled = tuple(LabelledFace(FACE, 2, race=race) for race, _ in faces)
    found = tuple(Detection(FACE, 0.9) if hit else None for _, hit in faces)
    result = score([Match(Truth("a.png", Path("a.png"), "a", labelled, ()), found, ())])
    assert result.gaps == result.precise.gaps == [Gap("race", 0.07, "white", "black")]


@pytest.mark.parametrize(
    ("nose_x", "pose"),
    [
        (0.5, "frontal"),
        (0.66, "frontal"),
        (0.68, "turned"),
        (0.01, "turned"),
        (1.01, "profile"),
        (np.nan, ""),
    ],
)
def test_the_head_pose_comes_from_the_nose_between_the_eyes(nose_x, pose):
    upright = np.array([(0, 0), (1, 0), (nose_x, 0.5), (0.2, 1), (0.8, 1)], np.float32)
    lying = upright[:, ::-1] * 40 + 3
    in_one_point = np.zeros((5, 2), np.float32)
    assert poses_of(np.stack([upright, lying, in_one_point])).tolist() == [pose, pose, "profile"]


@pytest.mark.parametrize(
    ("weights", "teachers", "names"),
    [
        ("gatecam-mtcnn", [], ["gatecam-mtcnn", "stock"]),
        ("runs/new.safetensors", ["a/yunet.onnx", "b/yunet.onnx"], ["new", "stock", "yunet", "b/yunet.onnx"]),
        ("stock.safetensors", [], ["stock.safetensors", "stock"]),
        ("stock", ["stock.onnx"], ["stock", "stock.onnx"]),
    ],
)
def test_the_stock_weights_and_teachers_are_compared_with_any_others(weights, teachers, names):
    named = names_of(weights, [Path(teacher) for teacher in teachers])
    assert list(named) == names
    assert named["stock"] == "stock"
