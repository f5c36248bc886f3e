"""Correct labels that a person found to be wrong, as listed in a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gatecam.errors import DataError
from gatecam.geometry import iou
from gatecam.labels import GENDER_LABELS, MASK_LABELS
from gatecam.training.data.rows import UNKNOWN, Collection, Row
from gatecam.training.data.tables import read_lines, relative
from gatecam.types import Box

CORNERS = ("x1", "y1", "x2", "y2")
COLUMNS = ("collection", "image", *CORNERS, "label", "gender")
DOUBTFUL = "doubtful"
SAME_FACE_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Correction:
    """Holds what one face is, or that nobody can tell. None leaves a label as it is."""

    box: Box | None  # px of the picture; None for a picture with one face
    mask: int | None
    gender: int | None

    def applied_to(self, row: Row) -> Row:
        """Return the row with the right labels. A doubtful label is unknown."""
        if self.mask is not None:
            doubtful = self.mask == UNKNOWN
            row = replace(row, mask=row.mask if doubtful else self.mask, suspect=doubtful)
        return row if self.gender is None else replace(row, gender=self.gender)


Corrections = dict[tuple[str, str], list[Correction]]  # by collection and picture


def read_corrections(path: Path) -> Corrections:
    """Read a table with the columns `collection,image,x1,y1,x2,y2,label,gender`.

    A label is correct, incorrect or none, a gender male or female. Either may be `doubtful`, or empty where
    the collection is right.

    Raises:
        DataError: the file cannot be read, or a line makes no sense.
    """
    listed: Corrections = {}
    for where, line in read_lines(path, COLUMNS, "a table of corrections"):
        try:
            corners = [float(line[name]) for name in CORNERS if line[name]]
            correction = Correction(
                Box(*corners) if corners else None,
                _label(line["label"], MASK_LABELS),
                _label(line["gender"], GENDER_LABELS),
            )
        except (ValueError, TypeError) as error:
            raise DataError(f"{where}: not a correction ({error}). Fix the line.") from error
        listed.setdefault((line["collection"], line["image"]), []).append(correction)
    return listed


def corrected(collection: Collection, corrections: Corrections) -> Collection:
    """Return a collection with its corrected labels.

    Raises:
        DataError: a correction is for a face that the collection does not have.
    """
    rows = list(collection.rows)
    of_image: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        of_image.setdefault(relative(row.image, collection.folder), []).append(number)
    for (name, image), listed in corrections.items():
        if name != collection.name:
            continue
        for correction in listed:
            meant = _meant(correction, of_image.get(image, []), rows)
            if meant is None:
                raise DataError(f"{name}/{image}: has no face as a correction says. Fix its line.")
            rows[meant] = correction.applied_to(rows[meant])
    return replace(collection, rows=rows)


def _meant(correction: Correction, numbers: Sequence[int], rows: Sequence[Row]) -> int | None:
    """Return the number of the row that a correction means, or None."""

    def same(number: int) -> float:
        box = rows[number].box
        return 1.0 if box is None or correction.box is None else iou(box, correction.box)

    best = max(numbers, key=same, default=None)
    return None if best is None or same(best) < SAME_FACE_IOU else best


def _label(word: str, labels: Sequence[str]) -> int | None:
    """Return the index of a label, `UNKNOWN` where it is doubtful, or None where it is right as it is."""
    if not word:
        return None
    return UNKNOWN if word == DOUBTFUL else labels.index(word)
