"""Run `gatecam data synthesize`, which draws masks on bare faces to make people in the contest's layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gatecam.capture.images import read_image
from gatecam.errors import OutputError
from gatecam.pictures.draw import PICTURE_SUFFIXES, contact_sheet, save_image
from gatecam.runtime.outputs import require_folder
from gatecam.runtime.progress import progress
from gatecam.training.data.contest import SEVEN
from gatecam.training.data.loading import open_all, tell_problems
from gatecam.training.data.split import image_name, read_split
from gatecam.training.data.synthesize import Synthesis, candidates_of, synthesize

SHEET_PEOPLE = 8


def synthesize_and_print(
    data: Sequence[Path],
    out: Path,
    people: int | None,
    seed: int,
    split: Path | None,
    part: str,
    sheet: Path | None,
) -> None:
    """Draw the people, write the tables and the contact sheet, and print what was drawn.

    Raises:
        DataError: no face can be used, or the split does not fit the data.
        OutputError: a file cannot be written.
    """
    require_folder(out / "train.csv" if out.is_dir() else out)
    if sheet is not None:
        _check_sheet(sheet)
    collections = open_all(data)
    parts = read_split(split, collections) if split else [[part] * len(c.rows) for c in collections]
    rows = [
        (row, f"{collection.name}/{image_name(collection, row)}")
        for collection, of_rows in zip(collections, parts, strict=True)
        for row, of_row in zip(collection.rows, of_rows, strict=True)
        if of_row == part
    ]
    candidates = candidates_of(rows, seed)
    wanted = min(people or len(candidates), len(candidates))
    with progress("draw", wanted, "people") as tick:
        done = synthesize(candidates, out, wanted, seed, tick)
    tell_problems("synthesize", done.problems)
    if sheet is not None and done.people:
        _write_sheet(done, out, sheet)
    _print(done, out)


def _check_sheet(sheet: Path) -> None:
    require_folder(sheet)
    if sheet.suffix.lower() not in PICTURE_SUFFIXES:
        raise OutputError(
            f"{sheet}: the sheet is a picture, so its name must end with {' or '.join(PICTURE_SUFFIXES)}."
        )


def _write_sheet(done: Synthesis, out: Path, sheet: Path) -> None:
    """Draw the first people, one row for each, with captions that say what covers the face."""
    moments = [
        (f"{person.folder}: {kind or 'bare'}", read_image(out / "images" / person.folder / f"{stem}.jpg"))
        for person in done.people[:SHEET_PEOPLE]
        for stem, kind in zip(SEVEN, done.kinds[person.folder], strict=True)
    ]
    save_image(sheet, contact_sheet(moments, len(SEVEN)))


def _print(done: Synthesis, out: Path) -> None:
    drawn = Counter(kind or "bare" for kinds in done.kinds.values() for kind in kinds)
    print(f"{len(done.people)} people, {len(done.people) * len(SEVEN)} pictures: {out}")
    print("; ".join(f"{kind}: {count}" for kind, count in drawn.most_common()))
    print("The seven pictures of a person are drawn from the same photograph, so all have the same pose.")
