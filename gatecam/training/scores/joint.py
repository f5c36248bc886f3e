"""Score what users feel: whether a face is found and classified correctly as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatecam.training.data.rows import HEAD_LABELS, UNKNOWN
from gatecam.training.scores.detector_score import ALL, Rate, key_indices, rate
from gatecam.training.scores.matching import Match
from gatecam.training.scores.rates import (
    Counts,
    Interval,
    confusion_by_key,
    interval,
    rates_of,
    resampled,
    rounded,
)
from gatecam.types import Image, Prediction
from gatecam.vision.classifier import FaceClassifier

Said = tuple[Prediction | None, ...]  # for each face of a picture, None if it is missed


@dataclass(frozen=True, slots=True)
class Macro:
    """Holds a macro-F1 and its 95 % interval. It is None if only one label occurs."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class JointScore:
    """Holds how well the faces that have a label of one head are found and classified.

    End to end, a missed face counts as classified wrongly. False detections do not count here.
    """

    found: Rate
    macro_f1_found: Macro  # of the found faces
    macro_f1: Macro  # end to end
    recall_found: dict[str, Rate]  # by label, of the found faces
    recall: dict[str, Rate]  # by label, end to end


def classify_found(classifier: FaceClassifier, image: Image, m: Match) -> Said:
    """Classify the found faces of a picture from the detector's boxes, as in live operation."""
    boxes = [(d.box.x1, d.box.y1, d.box.x2, d.box.y2) for d in m.found if d is not None]
    said = iter(classifier.classify([image], [np.array(boxes, np.float32).reshape(-1, 4)]))
    return tuple(None if d is None else next(said) for d in m.found)


def joint_scores(matches: Sequence[Match], said: Sequence[Said]) -> dict[str, dict[str, JointScore]]:
    """Return the scores of all pictures, and of each collection if there are several, by head.

    Args:
        matches: the detector's results by picture.
        said: the predictions of the faces by picture.
    """
    keys = np.repeat(key_indices(matches), [len(m.truth.faces) for m in matches])
    faces = [face for m in matches for face in m.truth.faces]
    predictions = [prediction for of_picture in said for prediction in of_picture]
    names = np.array([m.truth.collection for m in matches for _ in m.truth.faces], np.str_)
    sets = {ALL: np.ones(len(faces), bool)}
    if len(np.unique(names)) > 1:
        sets |= {str(name): names == name for name in np.unique(names)}
    scores: dict[str, dict[str, JointScore]] = {name: {} for name in sets}
    for head, labels in HEAD_LABELS.items():
        true = np.array([getattr(face, head) for face in faces], np.int64)
        predicted = [len(labels) if p is None else int(getattr(p, head).argmax()) for p in predictions]
        for name, chosen in sets.items():
            rows = chosen & (true != UNKNOWN)
            if rows.any():
                scores[name][head] = _joint(labels, true[rows], np.array(predicted)[rows], keys[rows])
    return scores


def _joint(
    labels: Sequence[str], true: NDArray[np.int64], predicted: NDArray[np.int64], keys: NDArray[np.int64]
) -> JointScore:
    """Score one head. A prediction of `len(labels)` marks a missed face."""
    count = len(labels)
    found, right = predicted < count, predicted == true
    by_key = confusion_by_key(true, predicted, count + 1, keys)
    again = resampled(by_key)
    where_found = by_key[:, :count, :count], again[:, :count, :count]
    keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)  # other people are not drawn
    of_label = {label: true == index for index, label in enumerate(labels)}
    return JointScore(
        found=rate(found, np.ones(len(true), bool), keys),
        macro_f1_found=_macro(*where_found, count),
        macro_f1=_macro(by_key, again, count),
        recall_found={label: rate(right, rows & found, keys) for label, rows in of_label.items()},
        recall={label: rate(right, rows, keys) for label, rows in of_label.items()},
    )


def _macro(by_key: Counts, again: Counts, labels: int) -> Macro:
    """Return the macro-F1 over labels that are true or predicted. The label "missed" is not one of them."""
    total = by_key.sum(0)
    if (total.sum(-1) > 0).sum() < 2:
        return Macro(None, None)
    value, drawn = (_mean_f1(counts, labels) for counts in (total, again))
    return Macro(rounded(float(value)), interval(drawn))


def _mean_f1(counts: Counts, labels: int) -> Counts:
    f1 = rates_of(counts).f1[..., :labels]
    known = np.isfinite(f1)
    return np.asarray(np.where(known, f1, 0).sum(-1) / np.maximum(known.sum(-1), 1))
