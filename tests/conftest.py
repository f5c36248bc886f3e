"""Builders that several rooms' tests share, as fixtures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gatecam.labels import MASK_LABELS
from gatecam.types import Box, Detection, Face, Floats, Prediction, Track, Verdict

MakeFace = Callable[..., Face]
MakeTrack = Callable[..., Track]


@pytest.fixture
def make_face() -> MakeFace:
    """Builds a face from its middle, side and mask state, with probability `sure` for that state."""

    def build(
        x: float = 100,
        y: float = 100,
        side: float = 80,
        mask: str = "none",
        sure: float = 0.95,
        score: float = 0.99,
        landmarks: Floats | None = None,
    ) -> Face:
        probabilities = np.full(3, (1 - sure) / 2, np.float32)
        probabilities[MASK_LABELS.index(mask)] = sure
        box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        gender, age = np.full(2, 1 / 2, np.float32), np.full(3, 1 / 3, np.float32)
        return Face(Detection(box, score, landmarks), Prediction(probabilities, gender, age))

    return build


@pytest.fixture
def make_track() -> MakeTrack:
    """Builds a track from its id, verdict, and the middle and side of its box."""

    def build(
        track_id: int = 1,
        verdict: Verdict = Verdict.NONE,
        x: float = 100,
        y: float = 100,
        side: float = 80,
        missing_s: float = 0.0,
        probability: float = 0.9,
    ) -> Track:
        box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        return Track(track_id, box, 3, 0.1, verdict, probability=probability, missing_s=missing_s)

    return build
