"""Define labelled faces before their pictures are opened, and problems of the files that list them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatecam.types import Box

UNKNOWN = -1


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
