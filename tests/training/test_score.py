"""Scores against values worked out by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from gatecam.errors import DataError, MissingExtraError
from gatecam.training.augment import plain_crop
from gatecam.training.learn import CROP, patch_of
from gatecam.training.score import BATCH, calibration_error, logits_of, score_head, scored
from gatecam.vision.backbone import HEADS, MobileFaceNet

# true 0 0 0 0 | 1 1 1 | 2; predicted 0 0 0 1 | 1 1 2 | 2
TRUE, PREDICTED = np.array([0, 0, 0, 0, 1, 1, 1, 2]), [0, 0, 0, 1, 1, 1, 2, 2]


def logits_for(predicted: list[int], width: int, sure: float = 2.0) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(predicted), width).float() * sure


def test_a_score_is_what_is_worked_out_by_hand():
    score = score_head("mask", logits_for(PREDICTED, 3), TRUE, 1.0)
    assert (score.head, score.faces) == ("mask", 8)
    assert score.accuracy == 0.75
    assert score.recall == {"correct": 0.75, "incorrect": 0.6667, "none": 1.0}
    assert score.precision == {"correct": 1.0, "incorrect": 0.6667, "none": 0.5}
    # F1: 2 * 0.75 / 1.75, 2/3, 2 * 0.5 / 1.5
    assert score.macro_f1 == round((6 / 7 + 2 / 3 + 2 / 3) / 3, 4)
    assert score.confusion == [[3, 1, 0], [0, 2, 1], [0, 0, 1]]
    stated = np.exp(2) / (np.exp(2) + 2)
    assert score.ece == pytest.approx(abs(0.75 - stated), abs=1e-4)


def test_the_temperature_changes_only_the_calibration():
    cold, hot = (score_head("mask", logits_for(PREDICTED, 3), TRUE, t) for t in (1.0, 5.0))
    assert (cold.macro_f1, cold.confusion) == (hot.macro_f1, hot.confusion)
    stated = np.exp(0.4) / (np.exp(0.4) + 2)
    assert hot.ece == pytest.approx(0.75 - stated, abs=1e-4)


@pytest.mark.parametrize(
    ("head", "names"), [("gender", ["male", "female"]), ("age", ["<30", "30-59", ">=60"])]
)
def test_each_head_is_scored_by_its_own_labels(head, names):
    labels = np.arange(len(names))
    score = score_head(head, logits_for(labels.tolist(), len(names)), labels, 1.0)
    assert list(score.recall) == list(score.precision) == names
    assert score.macro_f1 == score.accuracy == 1.0


def test_a_label_that_never_occurs_counts_as_missed():
    score = score_head("mask", logits_for([0, 0, 2], 3), np.array([0, 0, 2]), 1.0)
    assert score.recall == {"correct": 1.0, "incorrect": 0.0, "none": 1.0}
    assert score.macro_f1 == 0.6667


def test_scoring_without_its_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingExtraError, match=r"gatecam\[train\]"):
        score_head("mask", logits_for(PREDICTED, 3), TRUE, 1.0)


def test_sure_and_always_right_is_perfectly_calibrated():
    probabilities = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    assert calibration_error(probabilities, np.array([0, 1, 2, 1])) == 0


def test_sure_and_right_half_the_time_is_overconfident_by_half():
    probabilities = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    assert calibration_error(probabilities, np.array([0, 1, 0, 1])) == pytest.approx(0.5)


def test_nine_of_ten_at_nine_tenths_is_calibrated():
    probabilities = np.tile(np.array([[0.9, 0.1]], np.float32), (10, 1))
    labels = np.array([0] * 9 + [1])
    assert calibration_error(probabilities, labels) == pytest.approx(0, abs=1e-6)


def test_bins_are_weighed_by_their_faces():
    # Of four faces three say 0.95 and are right twice, one says 0.55 and is wrong.
    probabilities = np.array([[0.95, 0.05]] * 3 + [[0.55, 0.45]], np.float32)
    labels = np.array([0, 0, 1, 1])
    expected = 3 / 4 * (0.95 - 2 / 3) + 1 / 4 * 0.55
    assert calibration_error(probabilities, labels) == pytest.approx(expected, abs=1e-6)


def test_errors_of_two_bins_do_not_cancel_and_those_of_one_do():
    probabilities = np.array([[0.9, 0.1]] * 2 + [[0.6, 0.4]] * 2, np.float32)
    labels = np.array([0, 1, 0, 0])  # 0.9 is right half the time, 0.6 always
    assert calibration_error(probabilities, labels) == pytest.approx(0.4, abs=1e-6)
    assert calibration_error(probabilities, labels, bins=1) == pytest.approx(0, abs=1e-6)


def test_only_clear_and_large_enough_faces_are_scored(make_faces):
    faces = make_faces([0, 1, 2, 0], suspect=[False, True, False, False])
    faces.face_px[:] = (32, 100, 31.9, 200)
    assert scored(faces).images.tolist() == ["0.png", "3.png"]


@torch.inference_mode()
def test_logits_of_many_faces_are_those_of_each_face(make_faces):
    torch.manual_seed(0)
    model = MobileFaceNet().eval()
    count = BATCH + 3
    faces = make_faces([0] * count)
    calls = []
    logits = logits_of(model, faces, CROP, lambda *at: calls.append(at))
    assert calls == [(BATCH, count), (count, count)]
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        n: (count, w) for n, w in HEADS.items()
    }
    for row in (0, BATCH - 1, BATCH, count - 1):
        alone = model(plain_crop(patch_of(faces, row), CROP)[None])
        for name in HEADS:
            assert torch.allclose(logits[name][row], alone[name][0], atol=1e-5)


def test_no_faces_to_score_are_one_sentence(make_faces):
    none = make_faces([0]).take(np.array([False]))
    with pytest.raises(DataError, match=r"^no faces are held out to score: [^\n]*\.$"):
        logits_of(MobileFaceNet().eval(), none, CROP, lambda *_: None)
