"""Run `gatecam data split`, which assigns every picture to a part, writes the split and prints a table."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gatecam.errors import DataError, OutputError
from gatecam.runtime.outputs import require_folder
from gatecam.training.data.loading import open_all
from gatecam.training.data.rows import Collection
from gatecam.training.data.split import COLUMNS, PARTS, stratified_parts, write_split
from gatecam.training.data.stats import Summary, summarize
from gatecam.training.data.tables import columns_of

Parts = Sequence[Sequence[str]]


def split_and_write(
    data: Sequence[Path], out: Path, by_person: bool, shares: Mapping[str, float], seed: int
) -> None:
    """Split the pictures of every collection into parts, write the split file, and print each part's counts.

    Raises:
        DataError: a collection cannot be opened, or a part would be empty.
        OutputError: the file cannot be written, or exists but is not a split file.
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
    require_folder(out)
    if out.exists() and not (out.is_file() and columns_of(out) == list(COLUMNS)):
        raise OutputError(f"{out}: exists but is not a split file. Choose another name.")


def _expect_all_parts(parts: Parts, shares: Mapping[str, float]) -> None:
    dealt = Counter(part for of_rows in parts for part in of_rows)
    for part, share in {"train": 1.0, **shares}.items():
        if share and not dealt[part]:
            raise DataError(f"{part} would be empty. Provide more people, or a larger share.")


def _leak(collections: Sequence[Collection], parts: Parts) -> str:
    """Describe in a sentence what a split by image does to scores."""
    torn = 0
    for collection, of_rows in zip(collections, parts, strict=True):
        sides = {(row.key, part) for row, part in zip(collection.rows, of_rows, strict=True)}
        torn += sum(many > 1 for many in Counter(key for key, _ in sides).values())
    return (
        f"warning: split by image, so {torn} people or scenes are in more than one part. Scores on "
        "validation and test will be too good. Split by person to avoid this."
    )


def _table(collection: Collection, of_rows: Sequence[str]) -> Table:
    """Return a table of each label's faces in each part, without labels that never occur."""
    table = Table(title=f"{escape(collection.name)}: {len(collection.rows)} faces")
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
