"""Name the groups of faces that scores are given by, and find the widest gap between groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatecam.labels import AGE_LABELS
from gatecam.training.data.rows import UNKNOWN
from gatecam.types import Floats

GAP_FACES = 100  # the rate of a smaller group is too uncertain for a gap
POSES = ("frontal", "turned", "profile")
TURNS = (1 / 3, 1.0)  # where the next pose begins

Names = NDArray[np.str_]  # (N,) the group of each face, "" if unknown


@dataclass(frozen=True, slots=True)
class Gap:
    """Holds the widest difference of a rate between two groups of at least `GAP_FACES` faces."""

    attribute: str
    width: float
    best: str
    worst: str


def widest_gaps(groups: Iterable[tuple[str, str, int, float | None]]) -> list[Gap]:
    """Return the widest gap of each attribute that has at least two groups that are large enough.

    Args:
        groups: attribute, name, number of faces and rate of each group.
    """
    rates: dict[str, list[tuple[float, str]]] = {}
    for attribute, name, faces, rate in groups:
        if faces >= GAP_FACES and rate is not None:
            rates.setdefault(attribute, []).append((rate, name))
    return [
        Gap(attribute, round(max(found)[0] - min(found)[0], 4), max(found)[1], min(found)[1])
        for attribute, found in rates.items()
        if len(found) > 1
    ]


def named(values: NDArray[np.int64], names: Sequence[str]) -> Names:
    """Return the name of each label (N,), "" for an unknown one."""
    return np.where(values == UNKNOWN, "", np.array(names)[values])


def covers_and_wears(kinds: Sequence[str] | Names) -> tuple[Names, Names]:
    """Split kinds such as "surgical, under_nose" into what covers the face and how, "" if not given."""
    parts = [str(kind).partition(", ") for kind in kinds]
    makes = np.array([make.replace("_", " ") for make, _, _ in parts], np.str_)
    return makes, np.array([wear.replace("_", " ") for _, _, wear in parts], np.str_)


def poses_of(landmarks: Floats) -> Names:
    """Return which way each head is turned, from landmarks (N, 5, 2) that are NaN where unknown.

    The turn is the distance of the nose from the middle between the eyes, measured along the line through the
    eyes, in halves of the eye distance. The nose stands out from the eyes by about half of the distance
    between them, so the turn is about the tangent of the angle. A face is frontal up to a turn of 1/3 (18°).
    From a turn of 1 (45°), where the nose lies beyond an eye, it is in profile.
    """
    left, right, nose = (np.asarray(landmarks[:, point], np.float64) for point in range(3))
    eyes = right - left
    off = np.abs(((nose - (left + right) / 2) * eyes).sum(1))
    reach = (eyes**2).sum(1) / 2
    turns = np.divide(off, reach, out=np.full(len(off), np.inf), where=reach != 0)
    return np.where(np.isnan(turns), "", np.array(POSES)[np.digitize(turns, TURNS)])


def in_order(names: Names, sizes: Sequence[str] = ()) -> list[str]:
    """Return each known name once. Sizes, ages and poses ascend, and all others are alphabetical."""
    own = [*sizes, *AGE_LABELS, *POSES]
    known = set(names.tolist()) - {""}
    return sorted(known, key=lambda name: (own.index(name) if name in own else 0, name))
