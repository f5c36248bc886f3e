"""The work of `gatecam data split`: every picture a part, written and shown as a table."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gatecam.errors import DataError, OutputError
from gatecam.training.data.loading import open_all
from gatecam.training.data.rows import Collection
from gatecam.training.data.split import COLUMNS, PARTS, stratified_parts, write_split
from gatecam.training.data.stats import Summary, summarize
from gatecam.training.data.tables import columns_of

Parts = Sequence[Sequence[str]]


def split_and_write(
    data: Sequence[Path], out: Path, by_person: bool, shares: Mapping[str, float], seed: int
) -> None:
    """Deal the pictures of every collection to the parts, write the file, and print what each part has.

    Raises:
        DataError: a collection cannot be opened, or a part would be empty.
        OutputError: the file cannot be written, or is there and no split.
    """
    _check(out)
    collections = open_all(data)
    parts = [stratified_parts(collection, by_person, shares, seed) for collection in collections]
    _expect_all_parts(parts, shares)
    write_split(out, collections, parts)
    console = Console()
    for collection, of_rows in zip(collections, parts, strict=True):
        console.print(_table(collection, of_rows))
    print(f"split: {out}")
    if not by_person:
        print(f"gatecam: {_leak(collections, parts)}", file=sys.stderr)


def _check(out: Path) -> None:
    if not out.parent.is_dir():
        raise OutputError(f"{out}: its folder does not exist; make it, or choose another name.")
    if out.exists() and not (out.is_file() and columns_of(out) == list(COLUMNS)):
        raise OutputError(f"{out}: is there and is no split; choose another name.")


def _expect_all_parts(parts: Parts, shares: Mapping[str, float]) -> None:
    dealt = Counter(part for of_rows in parts for part in of_rows)
    for part, share in {"train": 1.0, **shares}.items():
        if share and not dealt[part]:
            raise DataError(f"{part} would be empty: give more people, or a larger share.")


def _leak(collections: Sequence[Collection], parts: Parts) -> str:
    """What a split by image does to a score, as a sentence."""
    torn = 0
    for collection, of_rows in zip(collections, parts, strict=True):
        sides = {(row.key, part) for row, part in zip(collection.rows, of_rows, strict=True)}
        torn += sum(many > 1 for many in Counter(key for key, _ in sides).values())
    return (
        f"warning: split by image, {torn} people or scenes are in more than one part, so scores on "
        "validation and test will be too good; split by person for honest ones."
    )


def _table(collection: Collection, of_rows: Sequence[str]) -> Table:
    """Parts against labels; a label that occurs nowhere is left out."""
    table = Table(title=f"{collection.name}: {len(collection.rows)} faces")
    summaries = {
        part: summarize([row for row, p in zip(collection.rows, of_rows, strict=True) if p == part])
        for part in PARTS
    }
    table.add_column("")
    table.add_column("label")
    for part in PARTS:
        table.add_column(part, justify="right")
    table.add_row("people or scenes", "", *(str(summary.people) for summary in summaries.values()))
    table.add_row("pictures", "", *(str(summary.pictures) for summary in summaries.values()))
    for title in ("mask", "gender", "age", "classes"):
        table.add_section()
        _add_rows(table, title, list(summaries.values()))
    return table


def _add_rows(table: Table, title: str, summaries: Sequence[Summary]) -> None:
    faces = [{count.label: count.faces for count in getattr(summary, title)} for summary in summaries]
    for label in dict.fromkeys(name for of_part in faces for name in of_part):
        counts = [of_part.get(label, 0) for of_part in faces]
        if any(counts):
            table.add_row(title, label, *(_with_share(n, sum(counts)) for n in counts))


def _with_share(count: int, of: int) -> str:
    return f"{count} ({count / of:.0%})"
