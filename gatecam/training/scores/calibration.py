"""Whether a probability of 0.9 is right nine times in ten, and the temperature that makes it so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gatecam.types import Floats

BINS = 15  # Guo et al. 2017, section 4


@dataclass(frozen=True, slots=True)
class Bin:
    """The faces whose likeliest label's probability lies in one of `BINS` equal bins."""

    faces: int
    confidence: float  # their mean probability
    accuracy: float  # the part of them that is right


def fit_temperature(logits: Tensor, labels: NDArray[np.int64]) -> float:
    """The temperature that makes probabilities honest on held-out faces (Guo et al. 2017, section 4.2).

    Args:
        logits: (N, labels).
        labels: (N,) true labels.
    """
    target = torch.from_numpy(labels)
    candidates = torch.logspace(-0.7, 0.7, 141)
    losses = torch.stack([F.cross_entropy(logits / t, target) for t in candidates])
    return round(float(candidates[losses.argmin()]), 3)


def reliability(probabilities: Floats, labels: NDArray[np.int64], bins: int = BINS) -> list[Bin]:
    """The bins that hold faces, from low to high confidence (Guo et al. 2017, section 2).

    Args:
        probabilities: (N, labels).
        labels: (N,) true labels.
        bins: how many, between 0 and 1.
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [which == b for b in range(bins)]
    return [
        Bin(int(rows.sum()), float(confidence[rows].mean()), float(right[rows].mean()))
        for rows in inside
        if rows.any()
    ]


def calibration_error(probabilities: Floats, labels: NDArray[np.int64], bins: int = BINS) -> float:
    """Expected calibration error of the likeliest label over equal bins (Guo et al. 2017, equation 3).

    Args:
        probabilities: (N, labels).
        labels: (N,) true labels.
        bins: how many, between 0 and 1.
    """
    filled = reliability(probabilities, labels, bins)
    return sum(b.faces / len(labels) * abs(b.accuracy - b.confidence) for b in filled)


def cross_fitted_error(logits: Tensor, labels: NDArray[np.int64], keys: NDArray[np.str_]) -> float | None:
    """The calibration error of a temperature that never saw the faces it is judged on.

    The keys are halved by their hash; each half is judged with the temperature that fits the other.

    Args:
        logits: (N, labels).
        labels: (N,) true labels.
        keys: (N,) what must not be split.

    Returns:
        None where a half has no faces.
    """
    first = np.array([hashlib.sha256(str(key).encode()).digest()[0] % 2 == 0 for key in keys], bool)
    if not first.any() or first.all():
        return None
    probabilities = np.empty(tuple(logits.shape), np.float32)
    for judged in (first, ~first):
        temperature = fit_temperature(logits[torch.from_numpy(~judged)], labels[~judged])
        probabilities[judged] = (logits[torch.from_numpy(judged)] / temperature).softmax(1).numpy()
    return calibration_error(probabilities, labels)
