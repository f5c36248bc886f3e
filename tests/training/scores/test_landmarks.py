"""How far landmarks move under drawn masks, with detectors that follow a script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from gatecam.settings.schema import DetectorConfig
from gatecam.training.data.rows import Row
from gatecam.training.scores.landmarks import _by_state, _error, score_landmarks
from gatecam.types import Box, Detection
from gatecam.vision.detector.stock import StockDetector

CPU = torch.device("cpu")


def test_the_error_is_in_parts_of_the_eye_distance(frontal):
    true = frontal(eye_px=50)
    off = Detection(Box(0, 0, 200, 200), 0.9, true + np.float32([3, 4]))
    assert _error(true, [off]) == pytest.approx(5 / 50)


def test_only_a_detection_around_eyes_and_mouth_is_of_the_face(frontal):
    true = frontal(eye_px=50, x=100, y=80)
    elsewhere = Detection(Box(200, 0, 300, 100), 0.99, true)
    mouth_only = Detection(Box(60, 100, 140, 180), 0.98, true)
    assert np.isnan(_error(true, [elsewhere, mouth_only]))
    around = Detection(Box(60, 40, 140, 180), 0.7, true + 5)
    assert _error(true, [elsewhere, mouth_only, around]) > 0


def test_states_are_scored_apart_and_missed_faces_have_no_error():
    nan = float("nan")
    scores = _by_state([(0, "a", 0.1), (0, "b", 0.3), (0, "c", nan), (2, "a", nan)])
    assert list(scores) == ["correct", "none"]
    assert (scores["correct"].found.count, scores["correct"].found.of) == (2, 3)
    assert scores["correct"].error == pytest.approx(0.2)
    assert scores["none"].error is None


def test_masks_are_drawn_and_landmarks_found_under_them(tmp_path, astronaut):
    rows = []
    for i in range(3):
        path = tmp_path / f"{i}.png"
        face = astronaut[25 + 5 * i : 205 + 5 * i, 135:315]
        PIL.Image.fromarray(face).resize((128, 128)).save(path)
        rows.append(Row(path, None, 2, 1, 1, False, str(i)))
    rows.append(Row(tmp_path / "none.png", None, 2, 1, 1, False, "none"))
    stock = StockDetector(DetectorConfig(min_face_px=32), CPU)

    class Blind:
        def detect(self, images, hints=None):
            return [[] for _ in images]

    problems = []
    scores = score_landmarks({"stock": stock, "blind": Blind()}, rows, problems, lambda *_: None)
    assert [problem.where for problem in problems] == [str(Path(tmp_path / "none.png"))]
    assert {state: s.found.of for state, s in scores["stock"].items()} == {
        "correct": 3,
        "incorrect": 3,
        "none": 3,
    }
    assert scores["stock"]["none"].found.count == 3
    assert scores["stock"]["none"].error < 0.05  # the same picture, but searched from another size on
    assert scores["blind"]["none"].found.count == 0
