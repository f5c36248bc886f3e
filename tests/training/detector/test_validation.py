"""Validating a cascade, mining in it, and where its thresholds are put."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gatecam.settings.schema import DetectorConfig
from gatecam.training.detector import validation as detector_validation
from gatecam.training.detector.mining import Miner
from gatecam.training.detector.validation import (
    SLACK,
    HeldOut,
    _kept_threshold,
    set_operating_point,
    validate,
)
from gatecam.training.scores.matching import LabelledFace, Truth
from gatecam.types import Box, Detection
from gatecam.vision.detector.networks import Networks
from gatecam.vision.on_torch import cascade_on
from tests.training.portrait_scenes import empty_scene_of

CPU = torch.device("cpu")
FACE = Box(40, 40, 100, 100)


def truth(*faces: Box, ignored: tuple[Box, ...] = ()) -> Truth:
    return Truth("a.png", Path("a.png"), "a", tuple(LabelledFace(face, 2) for face in faces), ignored)


def nothing(done: int, total: int) -> None:
    """Nobody looks at the progress."""


@pytest.fixture
def shouting() -> Networks:
    """Networks that take everything for a face, the box being the square that they are shown."""
    torch.manual_seed(0)
    networks = Networks().eval()
    with torch.no_grad():
        for network in networks.children():
            network.head.weight.zero_()
            network.head.bias.zero_()
            network.head.bias[0] = 3.0
    return networks


@pytest.fixture
def held_out() -> HeldOut:
    image = np.full((160, 160, 3), 127, np.uint8)
    return HeldOut([replace(empty_scene_of(), image=image)] * 2, [truth(FACE), truth()])


# Thresholds


def test_the_threshold_keeps_the_share_of_the_faces_that_have_a_candidate():
    scores = np.linspace(0.001, 1, 1000).astype(np.float32)
    threshold = _kept_threshold(np.concatenate([scores, np.zeros(500, np.float32)]), 0.6)
    assert (scores >= threshold).mean() == pytest.approx(0.998, abs=0.0011)
    assert _kept_threshold(np.zeros(5, np.float32), 0.6) == 0.6


def test_the_networks_scores_are_shifted_to_the_default_thresholds(shouting, held_out, monkeypatch):
    monkeypatch.setattr(detector_validation, "_kept_threshold", lambda scores, otherwise: 0.25)
    monkeypatch.setattr(detector_validation, "precise_score", lambda matches: 0.9)
    before = set_operating_point(shouting, held_out, CPU, nothing)
    assert before == {"pnet": 0.25, "rnet": 0.25, "onet": 0.9}
    config = DetectorConfig()
    for network, old, new in (
        (shouting.pnet, 0.25, config.pnet_threshold),
        (shouting.rnet, 0.25, config.rnet_threshold),
        (shouting.onet, 0.9, config.onet_threshold),
    ):
        shifted = 3.0 + math.log(new / (1 - new)) - math.log(old / (1 - old)) + SLACK
        assert float(network.head.bias[0].detach()) == pytest.approx(shifted, abs=1e-5)
        assert network.head.bias[1:].abs().sum() == 0


def test_a_face_on_the_threshold_is_still_found_after_the_shift(shouting, held_out):
    with torch.no_grad():
        shouting.pnet.head.bias[0] = -1.0
        shouting.rnet.head.bias[0] = -2.0
    assert validate(shouting, "rnet", held_out, CPU, nothing)["recall"] == 0
    before = set_operating_point(shouting, held_out, CPU, nothing)
    assert before["pnet"] == pytest.approx(1 / (1 + math.e), abs=1e-3)
    assert before["rnet"] == pytest.approx(1 / (1 + math.e**2), abs=1e-3)
    figures = validate(shouting, "rnet", held_out, CPU, nothing)
    assert figures["recall"] == 1


# Figures


def test_candidates_and_the_faces_they_hold_are_counted(shouting, held_out):
    ticks = []
    figures = validate(shouting, "pnet", held_out, CPU, lambda done, total: ticks.append((done, total)))
    assert figures["recall"] == 1
    assert figures["candidates"] > 5
    assert ticks == [(1, 2), (2, 2)]
    with torch.no_grad():
        shouting.rnet.head.bias[0] = -9.0
    assert validate(shouting, "rnet", held_out, CPU, nothing) == {"recall": 0, "candidates": 0}


def test_faces_are_scored_as_evaluation_does(shouting, held_out, monkeypatch):
    said = {0.7: [Detection(FACE, 0.9, None)], 0.02: [Detection(FACE, 0.9, None)] * 2}

    class Sure:
        def __init__(self, config, networks) -> None:
            self._found = said[config.onet_threshold]

        def detect(self, images):
            return [self._found for _ in images]

    monkeypatch.setattr(detector_validation, "CascadeDetector", Sure)
    figures = validate(shouting, "onet", held_out, CPU, nothing)
    assert figures == {"recall": 1, "precision": 0.5, "average_precision": pytest.approx(1)}


# Mining


def test_what_is_handed_on_is_what_the_next_network_is_asked(shouting):
    image = np.full((160, 160, 3), 127, np.uint8)
    miner = Miner(DetectorConfig(min_face_px=32), cascade_on(CPU, shouting))
    proposed, refined = (miner.candidates(image, after) for after in ("pnet", "rnet"))
    assert proposed.shape[1] == 5
    assert 0 < len(refined) <= len(proposed)
    with torch.no_grad():
        shouting.rnet.head.bias[0] = -2.0
    judged = miner.scored_by(image, "rnet")
    assert np.array_equal(judged[:, :4], proposed[:, :4])
    assert judged[:, 4] == pytest.approx(1 / (1 + math.e**2), abs=1e-3)


@pytest.mark.parametrize("side", [1, 6])
def test_a_picture_too_small_to_search_holds_nothing(shouting, side):
    image = np.zeros((side, side, 3), np.uint8)
    miner = Miner(DetectorConfig(), cascade_on(CPU, shouting))
    assert miner.candidates(image, "rnet").shape == (0, 5)
    assert miner.scored_by(image, "onet").shape == (0, 5)
