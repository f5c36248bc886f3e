"""Run `gatecam data stats`, which counts labelled pictures and shows them as tables and as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gatecam.pictures.html import Page
from gatecam.runtime.outputs import require_folder
from gatecam.runtime.progress import progress
from gatecam.training.console import table
from gatecam.training.data.layouts import open_collections
from gatecam.training.data.rows import Collection, Problem
from gatecam.training.data.stats import Summary, by_kind, measure, rarity, summarize, together
from gatecam.training.data.stats_page import (
    TITLES,
    add_collection,
    add_problems,
    overview,
    shares,
)
from gatecam.training.extras import require

EXAMPLES = 3  # problems shown of each kind


def survey(data: Sequence[Path], page_file: Path | None) -> None:
    """Print the contents and the problems of each collection, and write both as a page if wanted.

    Raises:
        DataError: a collection cannot be opened.
        OutputError: the page cannot be written.
        MissingExtraError: a page is wanted and matplotlib is not installed.
    """
    if page_file is not None:
        require_folder(page_file)
        require("matplotlib", "A page of plots")
    collections = open_collections(data)
    console, page = Console(), Page("Contents of the data")
    all_sizes: Counter[tuple[int, int]] = Counter()
    all_problems = []
    for collection in collections:
        with progress(f"measure {collection.name}", None, "pictures") as tick:
            measured = measure(collection, tick)
        all_sizes += measured.sizes
        all_problems.append([*collection.problems, *measured.problems])
        summary = summarize(collection.rows)
        _print(console, collection.name, collection.layout, summary, measured.sizes)
        if page_file is not None:
            add_collection(page, collection.name, collection.layout, summary, measured.sizes)
    if len(collections) > 1:
        summary = summarize(together(collections))
        _print(console, "all together", "several collections", summary, all_sizes)
        if page_file is not None:
            add_collection(page, "All together", "several collections", summary, all_sizes)
    for collection, problems in zip(collections, all_problems, strict=True):
        _print_problems(console, collection, problems)
        if page_file is not None:
            add_problems(page, collection.name, problems)
    if page_file is not None:
        page.write(page_file)
        print(f"page: {page_file}")


def _print(
    console: Console, name: str, layout: str, summary: Summary, sizes: Counter[tuple[int, int]]
) -> None:
    counts = Table(title=escape(name), caption=f"layout: {layout}\n{_unlabelled(summary)}{overview(summary)}")
    for column in ("", "label"):
        counts.add_column(column)
    for column in ("faces", "share", "people or scenes"):
        counts.add_column(column, justify="right")
    wide = {**TITLES, "face_px": "box", "kinds": "covered by"}
    for attribute, title in wide.items():
        for row in shares(title, getattr(summary, attribute)):
            counts.add_row(*(escape(str(cell)) for cell in row))
        counts.add_section()
    console.print(counts)
    if len(summary.classes) > 1:
        _print_classes(console, name, summary)
    console.print(rarity(summary), markup=False)
    pictures = ", ".join(f"{many} of {number}" for number, many in summary.pictures_a_person.items())
    console.print(f"Pictures per person or scene: {pictures}.", markup=False)
    common = ", ".join(f"{n} of {width} × {height} px" for (width, height), n in sizes.most_common(3))
    console.print(f"Pictures: {common}; {len(sizes)} sizes in all.\n", markup=False)


def _unlabelled(summary: Summary) -> str:
    return "unlabelled\n" if len(summary.mask) == len(summary.gender) == len(summary.age) == 1 else ""


def _print_classes(console: Console, name: str, summary: Summary) -> None:
    columns = ("class", "faces", "share", "people or scenes")
    rows = [row[1:] for row in shares("", summary.classes)]
    console.print(table(f"{name}: the 18 classes", columns, rows))


def _print_problems(console: Console, collection: Collection, problems: Sequence[Problem]) -> None:
    """Print how often each kind of problem occurs, and its first examples."""
    if not problems:
        console.print(f"{collection.name}: no problems", markup=False)
        return
    listed = Table(
        title=f"{escape(collection.name)}: {len(problems)} problem{'s' if len(problems) > 1 else ''}"
    )
    for column in ("times", "where", "what", "what was done"):
        listed.add_column(column, justify="right" if column == "times" else "left", overflow="fold")
    for alike in by_kind(problems).values():
        for at, problem in enumerate(alike[:EXAMPLES]):
            words = map(escape, (problem.where, problem.what, problem.done))
            listed.add_row("" if at else str(len(alike)), *words)
        if len(alike) > EXAMPLES:
            listed.add_row("", "…", f"{len(alike) - EXAMPLES} more", "")
        listed.add_section()
    console.print(listed)
