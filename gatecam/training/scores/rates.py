"""Compute precision, recall and F1 from confusion counts, and their intervals by a bootstrap over keys.

Counts are (…, C, C) with true labels in rows and predicted labels in columns. Faces of one key (a person or a
scene) are not independent, so whole keys are drawn with replacement. This is the cluster bootstrap of
Cameron, Gelbach and Miller 2008 (section II) with the percentile interval of Efron and Tibshirani 1993
(chapter 13).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 1000
COVERED = (2.5, 97.5)  # percentiles
CHUNK = 4_000_000  # weights drawn at once, limits memory with many keys

Counts = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Holds the rates of confusion counts (…, C, C). A rate without faces to compute it from is NaN."""

    precision: Counts  # (…, C)
    recall: Counts  # (…, C)
    f1: Counts  # (…, C)
    macro_f1: Counts  # (…,) mean over labels that are true or predicted for a face, as in scikit-learn
    micro_f1: Counts  # (…,) the accuracy, because each face has one label


def rates_of(counts: Counts) -> Rates:
    """Compute the rates of confusion counts (…, C, C)."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    true, predicted = counts.sum(-1), counts.sum(-2)
    f1 = _ratio(2 * right, true + predicted)
    known = np.isfinite(f1)
    return Rates(
        precision=_ratio(right, predicted),
        recall=_ratio(right, true),
        f1=f1,
        macro_f1=_ratio(np.where(known, f1, 0).sum(-1), known.sum(-1)),
        micro_f1=_ratio(right.sum(-1), true.sum(-1)),
    )


def confusion_by_key(true: Ints, predicted: Ints, labels: int, keys: NDArray[np.str_] | Ints) -> Counts:
    """Count confusions (K, C, C) for each of K keys. Their sum is the confusion of all faces."""
    _, which = np.unique(keys, return_inverse=True)
    count = int(which.max()) + 1 if len(which) else 0
    cells = (which * labels + true) * labels + predicted
    pairs = np.bincount(cells, minlength=count * labels**2)
    return pairs.reshape(count, labels, labels).astype(np.float64)


def resampled(by_key: Counts, rounds: int = ROUNDS, seed: int = 0) -> Counts:
    """Sum counts (K, …) over K keys drawn with replacement, in each round.

    Returns:
        The sums (rounds, …). They are the same for the same seed.
    """
    keys = len(by_key)
    flat = by_key.reshape(keys, math.prod(by_key.shape[1:]))
    used = flat.any(0)  # most pairs of 18 classes never occur
    sums = np.zeros((rounds, flat.shape[1]))
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // max(1, keys))
    for start in range(0, rounds if keys else 0, step):
        chunk = min(step, rounds - start)
        drawn = rng.integers(keys, size=(chunk, keys)) + np.arange(chunk)[:, None] * keys
        weights = np.bincount(drawn.ravel(), minlength=chunk * keys).reshape(chunk, keys)
        sums[start : start + chunk, used] = weights.astype(np.float64) @ flat[:, used]
    return sums.reshape(rounds, *by_key.shape[1:])


def interval(values: Counts) -> Interval | None:
    """Return the interval that contains 95 % of resampled values (rounds,), or None if no value is finite."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return None
    low, high = np.percentile(finite, COVERED)
    return round(float(low), 4), round(float(high), 4)


def mean_interval(
    values: NDArray[np.float64] | NDArray[np.bool_], chosen: NDArray[np.bool_], keys: Ints
) -> Interval | None:
    """Return the 95 % interval of the mean of the chosen values (N,). Whole keys (N,) are drawn."""
    by_key = np.zeros((int(keys.max()) + 1 if len(keys) else 0, 2))
    np.add.at(by_key, keys[chosen], np.stack([values[chosen], np.ones(chosen.sum())], 1))
    sums = resampled(by_key)
    with np.errstate(invalid="ignore"):  # a round without chosen values gives NaN and is ignored
        return interval(sums[:, 0] / sums[:, 1])


def rounded(value: float) -> float | None:
    """Round a rate to four decimals, or return None if it is not finite."""
    return round(float(value), 4) if np.isfinite(value) else None


def by_label(names: Sequence[str], values: Counts) -> dict[str, float | None]:
    """Return rates (C,) by the name of their label."""
    return {name: rounded(value) for name, value in zip(names, values, strict=True)}


def _ratio(part: Counts, whole: NDArray[np.float64] | NDArray[np.int64]) -> Counts:
    missing = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    return np.asarray(np.divide(part, whole, out=missing, where=np.asarray(whole) > 0))
