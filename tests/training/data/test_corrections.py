"""Corrections: they change the labels of the faces that they mean, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatecam.errors import DataError
from gatecam.labels import GENDER_LABELS, MASK_LABELS
from gatecam.training.data.corrections import COLUMNS, corrected, read_corrections
from gatecam.training.data.rows import UNKNOWN, Collection, Row
from gatecam.types import Box

CORRECT, INCORRECT, NONE = range(len(MASK_LABELS))


def collection() -> Collection:
    boxes = (Box(10, 10, 50, 50), Box(100, 10, 140, 50), None)
    names = ("street.jpg", "street.jpg", "portrait.jpg")
    rows = [
        Row(Path("/pictures/images") / name, box, NONE, GENDER_LABELS.index("male"), 1, False, name)
        for name, box in zip(names, boxes, strict=True)
    ]
    return Collection("town", "table", Path("/pictures"), rows, [])


def table(folder: Path, *lines: str) -> Path:
    path = folder / "corrections.csv"
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    return path


def test_a_correction_changes_the_label_of_the_face_at_its_box(tmp_path):
    listed = read_corrections(table(tmp_path, "town,images/street.jpg,101,12,141,49,incorrect,"))
    rows = corrected(collection(), listed).rows
    assert [row.mask for row in rows] == [NONE, INCORRECT, NONE]
    assert [row.suspect for row in rows] == [False] * 3


def test_a_doubtful_mask_is_suspect_and_a_doubtful_gender_unknown(tmp_path):
    listed = read_corrections(
        table(
            tmp_path,
            "town,images/street.jpg,10,10,50,50,doubtful,female",
            "town,images/portrait.jpg,,,,,,doubtful",
        )
    )
    first, other, portrait = corrected(collection(), listed).rows
    assert (first.suspect, first.gender) == (True, GENDER_LABELS.index("female"))
    assert (portrait.mask, portrait.gender) == (NONE, UNKNOWN)
    assert other == collection().rows[1]


def test_corrections_of_another_collection_change_nothing(tmp_path):
    listed = read_corrections(table(tmp_path, "village,images/street.jpg,1,1,2,2,correct,"))
    assert corrected(collection(), listed) == collection()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("town,images/street.jpg,60,60,90,90,correct,", "town/images/street.jpg: has no face"),
        ("town,images/other.jpg,,,,,correct,", "town/images/other.jpg: has no face"),
        ("town,images/street.jpg,10,10,50,50,perhaps,", "corrections.csv:2: not a correction"),
        ("town,images/street.jpg,10,10,50,correct,,", "corrections.csv:2: not a correction"),
    ],
)
def test_a_wrong_line_is_one_sentence(tmp_path, line, said):
    with pytest.raises(DataError, match=rf"{said}.*\.$"):
        corrected(collection(), read_corrections(table(tmp_path, line)))
