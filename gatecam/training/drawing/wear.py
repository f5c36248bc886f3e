"""How masks are worn: where their edges run on the face."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Wear(StrEnum):
    """How a mask is worn; all but `RIGHT` are wrong."""

    RIGHT = "right"
    UNDER_NOSE = "under_nose"
    NOSE_HALF_OUT = "nose_half_out"
    ON_MOUTH = "on_mouth"
    MOUTH_OUT = "mouth_out"
    UNDER_CHIN = "under_chin"
    FROM_EAR = "from_ear"


WRONG_SHARES = {
    Wear.UNDER_NOSE: 0.35,
    Wear.UNDER_CHIN: 0.30,
    Wear.NOSE_HALF_OUT: 0.10,
    Wear.ON_MOUTH: 0.10,
    Wear.FROM_EAR: 0.10,
    Wear.MOUTH_OUT: 0.05,
}


@dataclass(frozen=True, slots=True)
class Edges:
    """Heights of a mask's edges on the head, in its unit: in the middle and at the sides."""

    top: float
    side_top: float
    side_low: float
    low: float


# ranges to draw from, in the order of `Edges`; `FROM_EAR` hangs beside the face
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
    """Edges of a mask that sits on the face."""
    return Edges(*(float(rng.uniform(*span)) for span in _RANGES[wear]))


def pick_wrong(rng: np.random.Generator) -> Wear:
    """One of the wrong ways, as often as people choose it."""
    return list(WRONG_SHARES)[rng.choice(len(WRONG_SHARES), p=list(WRONG_SHARES.values()))]
