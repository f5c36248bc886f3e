"""Measure how well probabilities match the accuracy, and fit the temperature that makes them match.

A classifier is calibrated if its predictions with a probability of 0.9 are right nine times in ten.
"""

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
    """Holds the accuracy of the faces whose highest probability lies in one of equally wide bins."""

    faces: int
    confidence: float  # mean of their highest probabilities
    accuracy: float  # share of them that is classified correctly


def fit_temperature(logits: Tensor, labels: NDArray[np.int64]) -> float:
    """Return the temperature that calibrates held-out faces best (Guo et al. 2017, section 4.2).

    The best of 141 candidates from about 0.2 to 5 is the one with the lowest cross entropy.

    Args:
        logits: (N, labels).
        labels: (N,) true labels.
    """
    target = torch.from_numpy(labels)
    candidates = torch.logspace(-0.7, 0.7, 141)
    losses = torch.stack([F.cross_entropy(logits / t, target) for t in candidates])
    return round(float(candidates[losses.argmin()]), 3)


def reliability(probabilities: Floats, labels: NDArray[np.int64]) -> list[Bin]:
    """Return the bins that contain faces, from low to high confidence (Guo et al. 2017, section 2).

    Args:
        probabilities: (N, labels).
        labels: (N,) true labels.
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    inside = [which == b for b in range(BINS)]
    return [
        Bin(int(rows.sum()), float(confidence[rows].mean()), float(right[rows].mean()))
        for rows in inside
        if rows.any()
    ]


def calibration_error(probabilities: Floats, labels: NDArray[np.int64]) -> float:
    """Return the expected calibration error of the most likely label (Guo et al. 2017, equation 3).

    Args:
        probabilities: (N, labels).
        labels: (N,) true labels.
    """
    filled = reliability(probabilities, labels)
    return sum(b.faces / len(labels) * abs(b.accuracy - b.confidence) for b in filled)


def cross_fitted_error(logits: Tensor, labels: NDArray[np.int64], keys: NDArray[np.str_]) -> float | None:
    """Return the calibration error with temperatures that were fitted on other faces.

    The hash of the keys divides the faces into two halves. Each half is scored with the temperature that fits
    the other half.

    Args:
        logits: (N, labels).
        labels: (N,) true labels.
        keys: (N,), faces of one key stay in one half.

    Returns:
        The error, or None if one half has no faces.
    """
    first = np.array([hashlib.sha256(str(key).encode()).digest()[0] % 2 == 0 for key in keys], bool)
    if not first.any() or first.all():
        return None
    probabilities = np.empty(tuple(logits.shape), np.float32)
    for judged in (first, ~first):
        temperature = fit_temperature(logits[torch.from_numpy(~judged)], labels[~judged])
        probabilities[judged] = (logits[torch.from_numpy(judged)] / temperature).softmax(1).numpy()
    return calibration_error(probabilities, labels)
