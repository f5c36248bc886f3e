"""Scores against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatecam.errors import DataError
from gatecam.labels import HEADS, class_id
from gatecam.training.classifier.augment import patch_of, plain_crop
from gatecam.training.scores.score import BATCH, CLASS_LABELS, class_logits, logits_of, score_head, scored
from gatecam.vision.crops import CropSpec
from gatecam.vision.network import build_network

CROP = CropSpec(size=64, margin=0.3, mean=127.5, std=128.0)
# true 0 0 0 0 | 1 1 1 | 2; predicted 0 0 0 1 | 1 1 2 | 2
TRUE, PREDICTED = np.array([0, 0, 0, 0, 1, 1, 1, 2]), [0, 0, 0, 1, 1, 1, 2, 2]


def logits_for(predicted: list[int], width: int, sure: float = 2.0) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(predicted), width).float() * sure


def test_a_score_is_what_is_worked_out_by_hand():
    score = score_head("mask", logits_for(PREDICTED, 3), TRUE)
    assert (score.head, score.faces) == ("mask", 8)
    assert score.micro_f1 == 0.75
    assert score.recall == {"correct": 0.75, "incorrect": 0.6667, "none": 1.0}
    assert score.precision == {"correct": 1.0, "incorrect": 0.6667, "none": 0.5}
    # F1: 2 * 0.75 / 1.75, 2/3, 2 * 0.5 / 1.5
    assert score.macro_f1 == round((6 / 7 + 2 / 3 + 2 / 3) / 3, 4)
    assert score.confusion == [[3, 1, 0], [0, 2, 1], [0, 0, 1]]
    stated = np.exp(2) / (np.exp(2) + 2)
    assert score.ece == pytest.approx(abs(0.75 - stated), abs=1e-4)


def test_the_temperature_changes_only_the_calibration():
    cold, hot = (score_head("mask", logits_for(PREDICTED, 3) / t, TRUE) for t in (1.0, 5.0))
    assert (cold.macro_f1, cold.confusion) == (hot.macro_f1, hot.confusion)
    stated = np.exp(0.4) / (np.exp(0.4) + 2)
    assert hot.ece == pytest.approx(0.75 - stated, abs=1e-4)


@pytest.mark.parametrize(
    ("head", "names"), [("gender", ["male", "female"]), ("age", ["<30", "30-59", ">=60"])]
)
def test_each_head_is_scored_by_its_own_labels(head, names):
    labels = np.arange(len(names))
    score = score_head(head, logits_for(labels.tolist(), len(names)), labels)
    assert list(score.recall) == list(score.precision) == names
    assert score.macro_f1 == score.micro_f1 == 1.0


def test_a_label_without_faces_has_no_recall_and_no_say_in_macro_f1():
    score = score_head("mask", logits_for([0, 0, 2], 3), np.array([0, 0, 2]))
    assert score.recall == {"correct": 1.0, "incorrect": None, "none": 1.0}
    assert score.support == {"correct": 2, "incorrect": 0, "none": 1}
    assert score.macro_f1 == 1.0


def test_a_class_is_that_of_the_likeliest_labels_of_the_heads():
    logits = {name: torch.randn(50, width) for name, width in HEADS.items()}
    parts = [logits[name].argmax(1) for name in ("mask", "gender", "age")]
    joint = class_logits(logits, {"mask": 0.5, "gender": 1.0, "age": 3.0})
    expected = [class_id(int(m), int(g), int(a)) for m, g, a in zip(*parts, strict=True)]
    assert joint.argmax(1).tolist() == expected
    assert torch.allclose(joint.exp().sum(1), torch.ones(50))
    assert CLASS_LABELS[0] == "correct male <30"
    assert CLASS_LABELS[17] == "none female >=60"


def test_only_clear_and_large_enough_faces_are_scored(make_faces):
    faces = make_faces([0, 1, 2, 0], suspect=[False, True, False, False])
    faces.face_px[:] = (32, 100, 31.9, 200)
    assert scored(faces).images.tolist() == ["0.png", "3.png"]


@torch.inference_mode()
def test_logits_of_many_faces_are_those_of_each_face(make_faces):
    torch.manual_seed(0)
    model = build_network("mobilefacenet", "three").eval()
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
    with pytest.raises(DataError, match=r"^there are no held-out faces to score\. [^\n]*\.$"):
        logits_of(build_network("mobilefacenet", "three").eval(), none, CROP, lambda *_: None)
