"""Define labelled faces before their pictures are opened, and problems of the files that list them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.types import Box

UNKNOWN = -1
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
BARE = MASK_LABELS.index("none")
HEAD_LABELS = {"mask": MASK_LABELS, "gender": GENDER_LABELS, "age": AGE_LABELS}
BEARD_YEARS = 20  # a drawn beard would make the labels of a younger face wrong

Landmarks = tuple[tuple[float, float], ...]  # one pair for each of `POINTS`
Progress = Callable[[int, int], None]  # called with the number of finished things, and of all things


def may_have_beard(gender: int, years: int) -> bool:
    """Return whether a beard drawn on a face would not contradict its labels."""
    return gender != GENDER_LABELS.index("female") and (years == UNKNOWN or years >= BEARD_YEARS)


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one labelled face of a picture. Labels are indices in the order of `labels.py`, -1 if unknown."""

    image: Path
    box: Box | None  # None if the picture shows one person whose face must still be detected
    mask: int
    gender: int
    age: int
    suspect: bool  # the label is doubtful
    key: str  # a person or a scene, whose rows must stay in one part
    years: int = UNKNOWN
    race: str = ""
    kind: str = ""  # what covers the face and how, such as "surgical, under_nose"
    landmarks: Landmarks | None = None  # px of the picture


@dataclass(frozen=True, slots=True)
class Problem:
    """Describes a problem of a collection and what was done about it."""

    where: str  # a picture, or `file:line`
    what: str  # the kind of problem, and details after a colon
    done: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Holds the faces of one folder or CSV file in any layout."""

    name: str
    layout: str
    folder: Path  # contains all pictures
    rows: list[Row]
    problems: list[Problem]
