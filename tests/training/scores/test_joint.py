"""Faces that are found and classified correctly, from matches and predictions that are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatecam.training.scores.joint import classify_found, joint_scores
from gatecam.training.scores.matching import LabelledFace, Match, Truth
from gatecam.types import Box, Detection, Prediction

FACE = Box(10, 10, 50, 60)
FOUND = Detection(Box(8, -4, 52, 60), 0.9)


def predicted(mask: int, gender: int = 0) -> Prediction:
    mask, gender, age = (np.eye(n, dtype=np.float32)[i] for n, i in ((3, mask), (2, gender), (3, 0)))
    return Prediction(mask, gender, age)


def picture(key: str, collection: str, *faces: tuple[int, int | None, int]):
    """Match and predictions of a picture's faces (mask state, predicted state or None if missed, gender)."""
    labelled = tuple(LabelledFace(FACE, mask, gender) for mask, _, gender in faces)
    truth = Truth(f"{key}.png", Path(f"{key}.png"), key, labelled, (), collection)
    found = tuple(None if said is None else FOUND for _, said, _ in faces)
    return Match(truth, found, ()), tuple(None if said is None else predicted(said) for _, said, _ in faces)


def test_a_missed_face_counts_as_wrong_end_to_end_alone():
    # worn right: two right, one missed. Worn wrong: one right, one taken for bare. Bare: one right.
    made = [
        picture("a", "door", (0, 0, -1), (0, 0, -1), (0, None, -1)),
        picture("b", "door", (1, 1, -1), (1, 2, -1), (2, 2, -1), (-1, 0, -1)),
    ]
    (scores,) = joint_scores(*zip(*made, strict=True)).values()
    assert list(scores) == ["mask"]
    score = scores["mask"]
    assert (score.found.count, score.found.of) == (5, 6)
    assert score.macro_f1_found.value == pytest.approx((1 + 2 / 3 + 2 / 3) / 3, abs=1e-4)
    assert score.macro_f1.value == pytest.approx((4 / 5 + 2 / 3 + 2 / 3) / 3, abs=1e-4)
    low, high = score.macro_f1.interval
    assert low <= score.macro_f1.value <= high
    assert {label: (r.count, r.of) for label, r in score.recall.items()} == {
        "correct": (2, 3),
        "incorrect": (1, 2),
        "none": (1, 1),
    }
    assert {label: r.of for label, r in score.recall_found.items()} == {
        "correct": 2,
        "incorrect": 2,
        "none": 1,
    }


def test_each_collection_has_scores_and_all_together_have():
    made = [
        picture("a", "door", (0, 0, 0), (2, 2, 1)),
        picture("a", "hall", (2, 2, 1), (2, None, 1)),
    ]
    scores = joint_scores(*zip(*made, strict=True))
    assert {name: {head: s.found.of for head, s in heads.items()} for name, heads in scores.items()} == {
        "all": {"mask": 4, "gender": 4},
        "door": {"mask": 2, "gender": 2},
        "hall": {"mask": 2, "gender": 2},
    }
    assert scores["hall"]["mask"].macro_f1.value is None  # one label alone
    assert scores["hall"]["mask"].recall["none"].share == 0.5
    assert scores["all"]["gender"].recall["female"].share == 0


def test_faces_are_cut_with_the_boxes_of_the_detector_as_in_live_operation():
    class Classifier:
        def classify(self, images, boxes):
            self.given = [image.shape for image in images], [of.tolist() for of in boxes]
            return [predicted(1) for _ in boxes[0]]

    classifier = Classifier()
    found, _ = picture("a", "door", (0, 0, 0), (0, None, 0), (1, 1, 0))
    said = classify_found(classifier, np.zeros((80, 90, 3), np.uint8), found)
    assert classifier.given == ([(80, 90, 3)], [[[8, -4, 52, 60]] * 2])
    assert [prediction is not None for prediction in said] == [True, False, True]
    nobody, _ = picture("a", "door", (0, None, 0))
    assert classify_found(classifier, np.zeros((80, 90, 3), np.uint8), nobody) == (None,)
