"""Score a detector by recall, precision and average precision, each with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.training.scores.groups import (
    Gap,
    Names,
    covers_and_wears,
    in_order,
    named,
    poses_of,
    widest_gaps,
)
from gatecam.training.scores.matching import SAME_FACE_IOU, LabelledFace, Match, side_px
from gatecam.training.scores.rates import Interval, interval, resampled, rounded
from gatecam.types import Detection

BAND_EDGES_PX = (16, 32, 64, 128)
ALL = "all"
IOUS = (0.3, SAME_FACE_IOU)  # boxes of one face that are drawn differently have an IoU of 0.3 or more
PRECISION = 0.98  # at which detectors are compared

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
class Precise:
    """Holds what a detector finds with the lowest score at which its precision is at least `PRECISION`.

    The intervals do not contain the chance in the choice of that score.
    """

    score: float
    recall: dict[str, Rate]  # by group, as in `DetectorScore`
    precision: Rate
    gaps: list[Gap]  # between the groups' recalls


@dataclass(frozen=True, slots=True)
class DetectorScore:
    """Holds the scores of a detector on some pictures at one IoU.

    `recall` is given for all faces and by group, such as "mask: none" or "size: 32–64 px". `precision` is
    given by the size of the detection, because a false detection has no label. Both use the detector's usual
    thresholds. `precise` and the curve come from lowered thresholds. The average precision is the area under
    the curve after its precision is made monotonic (PASCAL VOC 2010 and later: Everingham and Winn 2012, "The
    PASCAL Visual Object Classes Challenge 2012 Development Kit", section 3.4.1).
    """

    pictures: int
    faces: int
    ignored: int  # boxes of faces that are doubtful, small, or known without a label
    recall: dict[str, Rate]
    gaps: list[Gap]  # the widest differences between the groups' recalls
    precision: dict[str, Rate]
    precise: Precise | None  # None if no score gives that precision
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
    recall = _recall(matches, min_face_px)
    return DetectorScore(
        pictures=len(matches),
        faces=sum(len(m.truth.faces) for m in matches),
        ignored=sum(len(m.truth.ignored) for m in matches),
        recall=recall,
        gaps=_gaps(recall),
        precision=_precision(matches, min_face_px),
        precise=_precise(lowered, min_face_px),
        average_precision=area,
        average_precision_interval=area_interval,
        curve=curve,
    )


def rate(right: Chosen, chosen: Chosen, keys: NDArray[np.int64]) -> Rate:
    """Return the share of the chosen rows (N,) that is right. See `rates_by`."""
    return rates_by(right, {ALL: chosen}, keys)[ALL]


def rates_by(right: Chosen, groups: Mapping[str, Chosen], keys: NDArray[np.int64]) -> dict[str, Rate]:
    """Return the share of each group's rows that is right, with its interval.

    Args:
        right: (N,) whether each row is right.
        groups: (N,) whether each row counts, by group.
        keys: (N,), the bootstrap draws rows of one key together.
    """
    chosen = np.stack(list(groups.values()), 1)  # (N, G)
    by_key = np.zeros((int(keys.max()) + 1 if len(keys) else 0, 2, len(groups)))
    np.add.at(by_key, keys, np.stack([chosen & right[:, None], chosen], 1))
    sums = resampled(by_key)
    with np.errstate(invalid="ignore"):  # a round without chosen rows gives NaN and is ignored
        shares = sums[:, 0] / sums[:, 1]  # (rounds, G)
    counts = zip(*by_key.sum(0).astype(int).tolist(), shares.T, strict=True)
    return {
        name: Rate(count, of, rounded(count / of) if of else None, interval(drawn))
        for name, (count, of, drawn) in zip(groups, counts, strict=True)
    }


def precise_score(matches: Sequence[Match]) -> float | None:
    """Return the lowest score from which on the precision is at least `PRECISION`, or None if there is none.

    Detections of the same score count together.
    """
    said = sorted(((d.score, right) for _, d, right in _detections(matches)), reverse=True)
    scores, right = np.array([score for score, _ in said]), np.array([is_face for _, is_face in said])
    last_of_score = np.append(scores[1:] != scores[:-1], True)[: len(said)]
    precise = right.cumsum() >= PRECISION * np.arange(1, len(said) + 1) - 1e-9
    at = np.flatnonzero(last_of_score & precise)
    return float(scores[at[-1]]) if len(at) else None


def _precise(matches: Sequence[Match], min_face_px: int) -> Precise | None:
    score = precise_score(matches)
    if score is None:
        return None
    kept = [_from_score(m, score) for m in matches]
    recall = _recall(kept, min_face_px)
    return Precise(rounded(score) or 0.0, recall, _precision(kept, min_face_px)[ALL], _gaps(recall))


def _from_score(m: Match, score: float) -> Match:
    """Return a match without detections of lower scores."""
    found = tuple(None if d is None or d.score < score else d for d in m.found)
    return Match(m.truth, found, tuple(d for d in m.false if d.score >= score))


def key_indices(matches: Sequence[Match]) -> NDArray[np.int64]:
    """Return a number (N,) for each match's person or scene."""
    keys = [f"{m.truth.collection}/{m.truth.key}" for m in matches]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _detections(matches: Sequence[Match]) -> Iterator[tuple[int, Detection, bool]]:
    """Yield each detection with the index of its key and whether it found a face."""
    for key, m in zip(key_indices(matches).tolist(), matches, strict=True):
        yield from ((key, detection, True) for detection in m.found if detection is not None)
        yield from ((key, detection, False) for detection in m.false)


def _recall(matches: Sequence[Match], min_face_px: int) -> dict[str, Rate]:
    of_match = key_indices(matches)
    keys = np.repeat(of_match, [len(m.truth.faces) for m in matches])
    faces = [face for m in matches for face in m.truth.faces]
    sides = np.array([side_px(face.box) for face in faces])
    groups = {
        f"mask: {name}": np.array([f.mask == state for f in faces], bool)
        for state, name in enumerate(MASK_LABELS)
    }
    groups |= _by_size(sides, min_face_px)
    for attribute, names in _groups(matches, faces).items():
        groups |= {f"{attribute}: {name}": names == name for name in in_order(names)}
    found = np.array([hit is not None for m in matches for hit in m.found], bool)
    return rates_by(found, {ALL: np.ones(len(faces), bool), **groups}, keys)


def _by_size(sides: Numbers, min_face_px: int) -> dict[str, Chosen]:
    return {
        f"size: {name}": (sides >= low) & (sides < high)
        for name, (low, high) in bands_of(min_face_px).items()
    }


def _groups(matches: Sequence[Match], faces: Sequence[LabelledFace]) -> dict[str, Names]:
    """Return the group of each face (N,) by attribute, "" if unknown."""
    covers, wears = covers_and_wears([face.kind for face in faces])
    unknown = np.full((5, 2), np.nan)
    landmarks = [unknown if face.landmarks is None else np.array(face.landmarks) for face in faces]
    sets = np.array([m.truth.collection for m in matches for _ in m.truth.faces], np.str_)
    return {
        "cover": covers,
        "wear": wears,
        "head pose": poses_of(np.array(landmarks, np.float32).reshape(-1, 5, 2)),
        "gender": named(np.array([face.gender for face in faces], np.int64), GENDER_LABELS),
        "age": named(np.array([face.age for face in faces], np.int64), AGE_LABELS),
        "race": np.array([face.race for face in faces], np.str_),
        "set": sets if len(np.unique(sets)) > 1 else sets[:0],
    }


def _gaps(recall: Mapping[str, Rate]) -> list[Gap]:
    parts = [(*name.partition(": ")[::2], rate) for name, rate in recall.items() if name != ALL]
    return widest_gaps((attribute, group, rate.of, rate.share) for attribute, group, rate in parts)


def _precision(matches: Sequence[Match], min_face_px: int) -> dict[str, Rate]:
    rows = [
        (key, max(side_px(detection.box), min_face_px), right)  # small ones go to the first band
        for key, detection, right in _detections(matches)
    ]
    keys, right = (np.array([row[i] for row in rows], np.int64) for i in (0, 2))
    sides = np.array([row[1] for row in rows], np.float64)
    groups = {ALL: np.ones(len(keys), bool), **_by_size(sides, min_face_px)}
    return rates_by(right.astype(bool), groups, keys)


def _curve(matches: Sequence[Match]) -> tuple[Curve, float | None, Interval | None]:
    """Return the curve, the area under it and that area's interval."""
    of_match = key_indices(matches)
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
