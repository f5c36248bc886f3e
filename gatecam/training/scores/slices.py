"""Score groups of faces by size, gender, age, race, cover, way of wearing, head pose and origin of box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatecam.labels import AGE_LABELS, GENDER_LABELS
from gatecam.training.scores.groups import Gap, covers_and_wears, in_order, named, poses_of, widest_gaps
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


def slices_of(head: str, judged: Judged) -> list[Slice]:
    """Score a head by every attribute in which its faces differ.

    Small faces count only for the attribute "face size".
    """
    usable = judged.usable(head)
    found = []
    for attribute, groups in _groups(judged).items():
        wanted = usable if attribute == "face size" else judged.counted(head)
        wanted = wanted & (groups != "")
        names = in_order(groups[wanted], SIZE_NAMES)
        if len(names) > 1 and attribute != head:
            found += [_slice(head, judged, attribute, name, wanted & (groups == name)) for name in names]
    return found


def gaps_of(slices: Sequence[Slice]) -> list[Gap]:
    """Return the widest gap in accuracy of each attribute. See `widest_gaps`."""
    return widest_gaps((s.attribute, s.group, s.faces, s.micro_f1) for s in slices)


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
    makes, wears = covers_and_wears(judged.kinds)
    return {
        "face size": np.array(SIZE_NAMES)[np.digitize(judged.face_px, SIZES_PX)],
        "gender": named(faces.gender[rows], GENDER_LABELS),
        "age": named(faces.age[rows], AGE_LABELS),
        "race": faces.races[rows],
        "cover": makes,
        "wear": wears,
        "head pose": poses_of(faces.landmarks[rows]),
        "box": np.array(BOX_NAMES)[faces.detected[rows].astype(int)],
    }
