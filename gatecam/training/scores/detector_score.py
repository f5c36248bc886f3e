"""Score a detector by recall, precision and average precision, each with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gatecam.labels import MASK_LABELS
from gatecam.training.scores.matching import Match, side_px
from gatecam.training.scores.rates import Interval, interval, mean_interval, resampled, rounded
from gatecam.types import Detection

BAND_EDGES_PX = (16, 32, 64, 128)
ALL = "all"

Numbers = NDArray[np.float64]
Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rate:
    """Holds a share of faces or detections and its 95 % interval, from a bootstrap over keys.

    If all or none of them count, the interval has no width. By the rule of three (Hanley and Lippman-Hand
    1983), the true share may then still differ by 3 / `of`.
    """

    count: int
    of: int
    share: float | None  # None if `of` is 0
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Holds recall and precision at each score that finds one more face, from high to low scores."""

    score: list[float]
    recall: list[float]
    precision: list[float]


@dataclass(frozen=True, slots=True)
class DetectorScore:
    """Holds the scores of a detector on some pictures at IoU 0.5.

    `recall` is given by mask state and by the size of the labelled box. `precision` is given by the size of
    the detection, because a false detection has no mask state. Both use the detector's usual thresholds. The
    average precision is the area under the curve of lowered thresholds after its precision is made monotonic
    (PASCAL VOC 2010 and later: Everingham and Winn 2012, "The PASCAL Visual Object Classes Challenge 2012
    Development Kit", section 3.4.1).
    """

    pictures: int
    faces: int
    ignored: int  # boxes of faces that are doubtful, small, or known without a label
    recall: dict[str, Rate]
    precision: dict[str, Rate]
    average_precision: float | None
    average_precision_interval: Interval | None
    curve: Curve


def bands_of(min_face_px: int) -> dict[str, tuple[float, float]]:
    """Return ranges of a face's shorter side by name, from the smallest face that counts.

    >>> bands_of(32)
    {'32–64 px': (32, 64), '64–128 px': (64, 128), 'from 128 px': (128, inf)}
    """
    edges = [min_face_px, *(edge for edge in BAND_EDGES_PX if edge > min_face_px)]
    bands: dict[str, tuple[float, float]] = {f"{low}–{high} px": (low, high) for low, high in pairwise(edges)}
    return bands | {f"from {edges[-1]} px": (edges[-1], float("inf"))}


def score_detections(matches: Sequence[Match], lowered: Sequence[Match], min_face_px: int) -> DetectorScore:
    """Score a detector on some pictures.

    Args:
        matches: its results by picture.
        lowered: its results with thresholds so low that they lose hardly any face.
        min_face_px: shorter side of the smallest face that counts.
    """
    curve, area, area_interval = _curve(lowered)
    return DetectorScore(
        pictures=len(matches),
        faces=sum(len(m.truth.faces) for m in matches),
        ignored=sum(len(m.truth.ignored) for m in matches),
        recall=_recall(matches, min_face_px),
        precision=_precision(matches, min_face_px),
        average_precision=area,
        average_precision_interval=area_interval,
        curve=curve,
    )


def rate(right: Chosen, chosen: Chosen, keys: NDArray[np.int64]) -> Rate:
    """Return the share of the chosen rows that is right, with its interval.

    Args:
        right: (N,) whether each row is right.
        chosen: (N,) whether each row counts.
        keys: (N,), the bootstrap draws rows of one key together.
    """
    count, of = int(right[chosen].sum()), int(chosen.sum())
    if of == 0:
        return Rate(0, 0, None, None)
    return Rate(count, of, rounded(count / of), mean_interval(right, chosen, keys))


def _key_indices(matches: Sequence[Match]) -> NDArray[np.int64]:
    return np.unique([m.truth.key for m in matches], return_inverse=True)[1].astype(np.int64)


def _detections(matches: Sequence[Match]) -> Iterator[tuple[int, Detection, bool]]:
    """Yield each detection with the index of its key and whether it found a face."""
    for key, m in zip(_key_indices(matches).tolist(), matches, strict=True):
        yield from ((key, detection, True) for detection in m.found if detection is not None)
        yield from ((key, detection, False) for detection in m.false)


def _recall(matches: Sequence[Match], min_face_px: int) -> dict[str, Rate]:
    rows = [
        (key, face.mask, side_px(face.box), hit is not None)
        for key, m in zip(_key_indices(matches).tolist(), matches, strict=True)
        for face, hit in zip(m.truth.faces, m.found, strict=True)
    ]
    keys, masks, found = (np.array([row[i] for row in rows], np.int64) for i in (0, 1, 3))
    sides = np.array([row[2] for row in rows], np.float64)
    groups = {ALL: np.ones(len(keys), bool)}
    groups |= {label: masks == state for state, label in enumerate(MASK_LABELS)}
    groups |= {name: (sides >= low) & (sides < high) for name, (low, high) in bands_of(min_face_px).items()}
    return {name: rate(found.astype(bool), chosen, keys) for name, chosen in groups.items()}


def _precision(matches: Sequence[Match], min_face_px: int) -> dict[str, Rate]:
    rows = [
        (key, max(side_px(detection.box), min_face_px), right)  # small ones go to the first band
        for key, detection, right in _detections(matches)
    ]
    keys, right = (np.array([row[i] for row in rows], np.int64) for i in (0, 2))
    sides = np.array([row[1] for row in rows], np.float64)
    groups = {ALL: np.ones(len(keys), bool)}
    groups |= {name: (sides >= low) & (sides < high) for name, (low, high) in bands_of(min_face_px).items()}
    return {name: rate(right.astype(bool), chosen, keys) for name, chosen in groups.items()}


def _curve(matches: Sequence[Match]) -> tuple[Curve, float | None, Interval | None]:
    """Return the curve, the area under it and that area's interval."""
    of_match = _key_indices(matches)
    faces = np.bincount(of_match, [len(m.truth.faces) for m in matches])  # (K,)
    rows = [(detection.score, right, key) for key, detection, right in _detections(matches)]
    if not rows or not faces.sum():
        return Curve([], [], []), 0.0 if faces.sum() else None, None
    rows.sort(key=lambda row: -row[0])
    scores, right, keys = (np.array(column) for column in zip(*rows, strict=True))
    recall, precision = _at_each(right, np.ones(len(rows)), faces.sum())
    curve = Curve(*([round(float(v), 4) for v in values[right]] for values in (scores, recall, precision)))
    areas = [
        _area(*_at_each(right, weights[keys], weights @ faces))
        for weights in resampled(np.eye(len(faces)))
        if weights @ faces
    ]
    return curve, rounded(_area(recall, precision)), interval(np.array(areas))


def _at_each(right: Chosen, weights: Numbers, faces: float) -> tuple[Numbers, Numbers]:
    """Return recall and precision (N,) of the detections up to each one, best score first."""
    true = (weights * right).cumsum()
    said = weights.cumsum()
    return true / faces, np.divide(true, said, out=np.ones_like(true), where=said > 0)


def _area(recall: Numbers, precision: Numbers) -> float:
    """Return the area under the curve, with the best precision at each recall or higher."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())
