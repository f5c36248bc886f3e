"""Labelled faces before their pictures are opened, and what was wrong with the files that list them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatecam.types import Box

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled face of a picture; labels are indices in the order of `labels.py`, -1 where unknown."""

    image: Path
    box: Box | None  # None: the picture shows one person, whose face is still to be found
    mask: int
    gender: int
    age: int
    suspect: bool  # the label is doubtful
    key: str  # what must not be split: a person, or a group of pictures of one scene
    years: int = UNKNOWN
    race: str = ""
    kind: str = ""  # what covers the face and how, such as "surgical, under_nose"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a collection, and what was done about it."""

    where: str  # a picture, or `file:line`
    what: str  # its kind, and details after a colon
    done: str


@dataclass(frozen=True, slots=True)
class Collection:
    """The faces of one folder or CSV file, whatever its layout."""

    name: str
    layout: str
    folder: Path  # pictures lie below it
    rows: list[Row]
    problems: list[Problem]
