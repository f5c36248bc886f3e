"""Describe how masks are worn: where their edges are on the face."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Wear(StrEnum):
    """Names the ways to wear a mask. Every way except `RIGHT` is wrong."""

    RIGHT = "right"
    UNDER_NOSE = "under_nose"
    NOSE_HALF_OUT = "nose_half_out"
    ON_MOUTH = "on_mouth"
    MOUTH_OUT = "mouth_out"
    UNDER_CHIN = "under_chin"
    FROM_EAR = "from_ear"


# of all masks that are drawn worn wrong
WRONG_SHARES = {
    Wear.UNDER_NOSE: 0.30,
    Wear.UNDER_CHIN: 0.26,
    Wear.FROM_EAR: 0.20,
    Wear.NOSE_HALF_OUT: 0.10,
    Wear.ON_MOUTH: 0.10,
    Wear.MOUTH_OUT: 0.04,
}


@dataclass(frozen=True, slots=True)
class Edges:
    """Holds the heights of a mask's edges in head units, in the middle and at the sides."""

    top: float
    side_top: float
    side_low: float
    low: float


# ranges of random heights, in the order of `Edges`; a mask `FROM_EAR` hangs beside the face instead
_RANGES = {
    Wear.RIGHT: ((0.14, 0.34), (0.42, 0.60), (1.18, 1.42), (1.74, 1.98)),
    Wear.UNDER_NOSE: ((0.76, 0.92), (0.70, 0.88), (1.30, 1.55), (1.80, 2.05)),
    Wear.NOSE_HALF_OUT: ((0.52, 0.66), (0.58, 0.74), (1.25, 1.50), (1.76, 2.02)),
    Wear.ON_MOUTH: ((0.78, 0.90), (0.74, 0.90), (1.16, 1.34), (1.34, 1.48)),
    Wear.MOUTH_OUT: ((0.12, 0.34), (0.38, 0.52), (0.74, 0.92), (0.80, 0.92)),
    Wear.UNDER_CHIN: ((1.30, 1.62), (1.02, 1.28), (1.50, 1.75), (2.05, 2.40)),
}
HIGHEST_UNDER_CHIN = 1.26  # below the lower lip


def pick_edges(wear: Wear, rng: np.random.Generator) -> Edges:
    """Choose random edges for a mask that sits on the face."""
    return Edges(*(float(rng.uniform(*span)) for span in _RANGES[wear]))


def pick_wrong(rng: np.random.Generator) -> Wear:
    """Choose one of the wrong ways at random, with the shares of `WRONG_SHARES`."""
    return list(WRONG_SHARES)[rng.choice(len(WRONG_SHARES), p=list(WRONG_SHARES.values()))]
