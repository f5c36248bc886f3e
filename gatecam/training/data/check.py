"""Collect everything that is wrong with labelled pictures as findings for a page, a table and a CSV file.

- `check_files` finds damaged and odd pictures.
- `check_duplicates` finds photographs that occur twice.
- `check_labels` finds labels that predictions contradict.
- Keys tell which people are in two parts. A person with two keys is found only through a photograph that
  both keys share, because the shipped network recognizes masks, genders and ages, not people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gatecam.runtime.files import write_table
from gatecam.training.data.check_duplicates import Pair, groups_of
from gatecam.training.data.check_files import Examined
from gatecam.training.data.check_labels import Contradiction
from gatecam.training.data.rows import HEAD_LABELS, UNKNOWN, Collection, Row
from gatecam.training.data.tables import relative
from gatecam.types import Box


class Kind(StrEnum):
    """Names what is wrong. The kinds in `SPOILING` make scores untrustworthy."""

    DAMAGED = "damaged picture"
    LEAK = "one photograph in two parts"
    PERSON = "person in two parts"
    TWO_PEOPLE = "one photograph of two people"
    AGAIN = "one photograph twice of one person"
    LABEL = "contradicted label"
    ODD = "odd picture"
    LISTED = "problem of the collection"


SPOILING = (Kind.DAMAGED, Kind.LEAK, Kind.PERSON)


@dataclass(frozen=True, slots=True)
class Picture:
    """Holds a picture of a collection and the faces that are labelled in it."""

    collection: str
    name: str  # its path from the collection's folder
    path: Path
    part: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Locates a finding in a collection."""

    collection: str
    image: str
    part: str = ""
    path: Path | None = None  # the picture's file, if there is a picture to show
    box: Box | None = None  # the face that the finding is about


@dataclass(frozen=True, slots=True)
class Finding:
    """Describes one thing that is wrong and the places where it occurs."""

    kind: Kind
    places: tuple[Place, ...]
    detail: str


def pictures_of(collections: Sequence[Collection], parts: Sequence[Sequence[str]]) -> list[Picture]:
    """Group rows and their parts by picture, in the order of the rows."""
    pictures = []
    for collection, of_rows in zip(collections, parts, strict=True):
        rows: dict[Path, list[Row]] = {}
        part = {}
        for row, of_row in zip(collection.rows, of_rows, strict=True):
            rows.setdefault(row.image, []).append(row)
            part[row.image] = of_row
        pictures += [
            Picture(collection.name, relative(path, collection.folder), path, part[path], tuple(its))
            for path, its in rows.items()
        ]
    return pictures


def listed_findings(collections: Sequence[Collection]) -> list[Finding]:
    """Return a finding for each problem that was noted while the collections were opened."""
    return [
        Finding(Kind.LISTED, (Place(collection.name, problem.where),), f"{problem.what}; {problem.done}")
        for collection in collections
        for problem in collection.problems
    ]


def file_findings(pictures: Sequence[Picture], examined: Sequence[Examined]) -> list[Finding]:
    """Return a finding for each damaged or odd picture."""
    found = []
    for picture, one in zip(pictures, examined, strict=True):
        if one.fault or one.oddity:
            kind = Kind.DAMAGED if one.fault else Kind.ODD
            found.append(Finding(kind, (_place(picture),), one.fault or one.oddity))
    return found


def duplicate_findings(pictures: Sequence[Picture], pairs: Sequence[Pair]) -> list[Finding]:
    """Return a finding for each group of pictures that show the same photograph.

    Its kind tells whether the group lies in two parts, belongs to two people, or repeats one person.
    """
    groups = groups_of(pairs)
    group_of = {member: i for i, members in enumerate(groups) for member in members}
    links: dict[int, list[Pair]] = {}
    for pair in pairs:
        links.setdefault(group_of[pair.first], []).append(pair)
    found = []
    for i, members in enumerate(groups):
        shown = [pictures[member] for member in members]
        keys = {(picture.collection, row.key) for picture in shown for row in picture.rows}
        kind = Kind.LEAK if len({p.part for p in shown}) > 1 else Kind.TWO_PEOPLE
        kind = Kind.AGAIN if kind == Kind.TWO_PEOPLE and len(keys) == 1 else kind
        found.append(Finding(kind, tuple(map(_place, shown)), _alike(shown, links[i])))
    return found


def _alike(pictures: Sequence[Picture], pairs: Sequence[Pair]) -> str:
    lowest, highest = (f"{pick(pair.likeness for pair in pairs):.2f}" for pick in (min, max))
    words = [f"likeness {lowest}" if lowest == highest else f"likeness {lowest} to {highest}"]
    if any(pair.mirrored for pair in pairs):
        words.append("mirrored")
    for head, labels in HEAD_LABELS.items():
        given = [sorted({getattr(row, head) for row in picture.rows}) for picture in pictures]
        if any(other != given[0] for other in given):
            names = dict.fromkeys(_names(labels, values) for values in given)
            words.append(f"labelled {head} {' / '.join(names)}")
    return ", ".join(words)


def _names(labels: Sequence[str], values: Sequence[int]) -> str:
    return "+".join("unknown" if value == UNKNOWN else labels[value] for value in values)


def person_findings(collections: Sequence[Collection], parts: Sequence[Sequence[str]]) -> list[Finding]:
    """Return a finding for each key whose pictures lie in several parts.

    Each finding shows one picture of each part.
    """
    found = []
    for collection, of_rows in zip(collections, parts, strict=True):
        people: dict[str, dict[str, list[Row]]] = {}
        for row, part in zip(collection.rows, of_rows, strict=True):
            people.setdefault(row.key, {}).setdefault(part, []).append(row)
        for key, by_part in people.items():
            if len(by_part) > 1:
                counts = ", ".join(f"{len({r.image for r in rows})} in {p}" for p, rows in by_part.items())
                places = (_row_place(collection, rows[0], part) for part, rows in by_part.items())
                found.append(Finding(Kind.PERSON, tuple(places), f"{key}: pictures {counts}"))
    return found


def label_findings(
    faces: Sequence[tuple[Collection, Row, str]], contradicted: Mapping[str, Sequence[Contradiction]]
) -> list[Finding]:
    """Return a finding for each contradicted label of any head, the most doubtful first.

    Args:
        faces: collection, row and part of every judged face.
        contradicted: contradictions by head. Their `face` is an index into `faces`.
    """
    both = [(head, c) for head, of_head in contradicted.items() for c in of_head]
    found = []
    for head, c in sorted(both, key=lambda item: -item[1].doubt):
        names = HEAD_LABELS[head]
        detail = (
            f"{head} labelled {names[c.label]} ({c.label_probability:.0%}), "
            f"predicted {names[c.predicted]} ({c.probability:.0%})"
        )
        found.append(Finding(Kind.LABEL, (_row_place(*faces[c.face]),), detail))
    return found


def spoils(findings: Sequence[Finding]) -> bool:
    """Return whether the findings make scores on these pictures untrustworthy."""
    return any(finding.kind in SPOILING for finding in findings)


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write the findings as a CSV file with the columns `kind,finding,collection,image,part,detail`.

    Each line is one picture. Lines of one finding share its number.

    Raises:
        OutputError: the file cannot be written.
    """
    write_table(path, [("kind", "finding", "collection", "image", "part", "detail"), *_lines(findings)])


def _lines(findings: Sequence[Finding]) -> Iterator[tuple[str, int, str, str, str, str]]:
    for number, finding in enumerate(findings, 1):
        for place in finding.places:
            yield finding.kind, number, place.collection, place.image, place.part, finding.detail


def _place(picture: Picture) -> Place:
    return Place(picture.collection, picture.name, picture.part, picture.path)


def _row_place(collection: Collection, row: Row, part: str) -> Place:
    return Place(collection.name, relative(row.image, collection.folder), part, row.image, row.box)
