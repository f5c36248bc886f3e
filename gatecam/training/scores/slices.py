"""Score groups of faces by size, gender, age, race, cover, way of wearing, and origin of the box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatecam.labels import AGE_LABELS, GENDER_LABELS
from gatecam.training.data.rows import UNKNOWN
from gatecam.training.scores.rates import (
    Interval,
    by_label,
    confusion_by_key,
    interval,
    rates_of,
    resampled,
    rounded,
)
from gatecam.training.scores.score import LABELS, MIN_FACE_PX
from gatecam.training.scores.sets import Judged

SIZES_PX = (MIN_FACE_PX, 64, 128)
SIZE_NAMES = ("under 32 px", "32 to 63 px", "64 to 127 px", "128 px and more")
BOX_NAMES = ("labelled", "detected")
GAP_FACES = 100  # the accuracy of a smaller group is too uncertain for a gap


@dataclass(frozen=True, slots=True)
class Slice:
    """Holds a head's scores on one group of faces. A rate is None if no face has the label."""

    attribute: str
    group: str
    faces: int
    keys: int
    micro_f1: float | None  # the accuracy
    interval: Interval | None  # 95 % interval of the accuracy
    macro_f1: float | None
    recall: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Gap:
    """Holds the widest difference in accuracy between two groups of at least `GAP_FACES` faces."""

    attribute: str
    width: float
    best: str
    worst: str


def slices_of(head: str, judged: Judged) -> list[Slice]:
    """Score a head by every attribute in which its faces differ.

    Small faces count only for the attribute "face size".
    """
    usable = judged.usable(head)
    found = []
    for attribute, groups in _groups(judged).items():
        wanted = usable if attribute == "face size" else judged.counted(head)
        wanted = wanted & (groups != "")
        names = _in_order(np.unique(groups[wanted]).tolist())
        if len(names) > 1 and attribute != head:
            found += [_slice(head, judged, attribute, name, wanted & (groups == name)) for name in names]
    return found


def gaps_of(slices: Sequence[Slice]) -> list[Gap]:
    """Return the widest gap of each attribute that has at least two groups that are large enough."""
    gaps = []
    for attribute in dict.fromkeys(s.attribute for s in slices):
        groups = [
            (s.micro_f1, s.group)
            for s in slices
            if s.attribute == attribute and s.faces >= GAP_FACES and s.micro_f1 is not None
        ]
        if len(groups) > 1:
            (low, worst), (high, best) = min(groups), max(groups)
            gaps.append(Gap(attribute, round(high - low, 4), best, worst))
    return gaps


def _slice(head: str, judged: Judged, attribute: str, group: str, wanted: NDArray[np.bool_]) -> Slice:
    names = LABELS[head]
    keys, true = judged.keys[wanted], judged.truth(head)[wanted]
    predicted = judged.predicted(head)[wanted]
    by_key = confusion_by_key(true, predicted, len(names), keys)
    rates = rates_of(by_key.sum(0))
    return Slice(
        attribute,
        group,
        len(true),
        len(by_key),
        rounded(float(rates.micro_f1)),
        interval(rates_of(resampled(by_key)).micro_f1),
        rounded(float(rates.macro_f1)),
        by_label(names, rates.recall),
    )


def _groups(judged: Judged) -> dict[str, NDArray[np.str_]]:
    """Return the group of each picture (N,) by attribute, "" if unknown."""
    faces, rows = judged.pictures.faces, judged.pictures.rows
    makes, wears = _make_and_wear(judged.kinds)
    return {
        "face size": np.array(SIZE_NAMES)[np.digitize(judged.face_px, SIZES_PX)],
        "gender": _named(faces.gender[rows], GENDER_LABELS),
        "age": _named(faces.age[rows], AGE_LABELS),
        "race": faces.races[rows],
        "cover": makes,
        "wear": wears,
        "box": np.array(BOX_NAMES)[faces.detected[rows].astype(int)],
    }


def _named(values: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.str_]:
    return np.where(values == UNKNOWN, "", np.array(names)[values])


def _make_and_wear(kinds: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Split kinds such as "surgical, under_nose" into what covers the face and how, "" if not given."""
    parts = [str(kind).partition(", ") for kind in kinds]
    makes = np.array([make.replace("_", " ") for make, _, _ in parts])
    return makes, np.array([wear.replace("_", " ") for _, _, wear in parts])


def _in_order(names: list[str]) -> list[str]:
    """Sort sizes and ages in ascending order, and all other names alphabetically."""
    known = [*SIZE_NAMES, *AGE_LABELS]
    return sorted(names, key=lambda name: (known.index(name) if name in known else 0, name))
