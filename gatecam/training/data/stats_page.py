"""Fill the page of `gatecam data stats` with tables and plots of the collections and with their problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gatecam.pictures.html import Page
from gatecam.training.data.rows import Problem
from gatecam.training.data.stats import Count, Summary, by_kind, rarity
from gatecam.training.figures import BLUE, GREY, ORANGE, plots

TITLES = {"mask": "mask", "gender": "gender", "age": "age band", "race": "race"}
COMMON_SIZES = 10


def add_collection(
    page: Page, title: str, layout: str, summary: Summary, sizes: Counter[tuple[int, int]]
) -> None:
    """Add the counts and plots of one collection to a page.

    Args:
        sizes: number of pictures by (width, height).
    """
    page.heading(title)
    page.text(f"Layout: {layout}. {overview(summary)}")
    page.picture(_labels_picture(summary), "Faces and people by mask, gender, age band and race")
    labels = [row for name, text in TITLES.items() for row in shares(text, getattr(summary, name))]
    page.table(("", "label", "faces", "share", "people or scenes"), labels)
    if summary.years:
        page.picture(_years_picture(summary.years), "People by age in years")
    page.text(rarity(summary))
    if len(summary.classes) > 1:
        page.picture(_classes_picture(summary.classes), "Faces and people by class")
        page.table(("class", "faces", "share", "people or scenes"), _without_title(summary.classes))
    if summary.kinds:
        page.table(("covered by", "faces", "share", "people or scenes"), _without_title(summary.kinds))
    page.table(("pictures per person or scene", "people or scenes"), summary.pictures_a_person.items())
    if summary.face_px:
        page.table(
            ("shorter side of the box", "faces", "share", "people or scenes"), _without_title(summary.face_px)
        )
    most = sizes.most_common(COMMON_SIZES)
    rest = sum(sizes.values()) - sum(number for _, number in most)
    named = [(f"{width} × {height} px", number) for (width, height), number in most]
    page.table(("size of the pictures", "pictures"), named + ([("other sizes", rest)] if rest else []))


def add_problems(page: Page, name: str, problems: Sequence[Problem]) -> None:
    """Add every problem of one collection to a page, grouped by kind."""
    page.heading(f"Problems of {name}: {len(problems)}")
    kinds = by_kind(problems)
    page.table(("kind", "times"), ((kind, len(alike)) for kind, alike in kinds.items()))
    listed = [problem for alike in kinds.values() for problem in alike]
    page.table(("where", "what", "what was done"), ((p.where, p.what, p.done) for p in listed))


def overview(summary: Summary) -> str:
    """Return the numbers of people, pictures, faces and doubtful labels in a sentence."""
    doubtful = f", {summary.doubtful} with a doubtful label" if summary.doubtful else ""
    return f"{summary.people} people or scenes, {summary.pictures} pictures, {summary.faces} faces{doubtful}."


def shares(title: str, counts: Sequence[Count]) -> list[tuple[str, str, int, str, int]]:
    """Return a table row for each count: title, label, faces, their share, and people."""
    of = sum(count.faces for count in counts)
    return [(title, c.label, c.faces, f"{c.faces / of:.1%}", c.people) for c in counts]


def _without_title(counts: Sequence[Count]) -> list[tuple[object, ...]]:
    return [row[1:] for row in shares("", counts)]


def _labels_picture(summary: Summary) -> bytes:
    with plots((11.0, 2.8), len(TITLES)) as (all_axes, out):
        for axes, (name, text) in zip(all_axes, TITLES.items(), strict=True):
            counts = getattr(summary, name)
            at = range(len(counts))
            axes.bar([x - 0.2 for x in at], [c.faces for c in counts], 0.4, color=BLUE, label="faces")
            axes.bar([x + 0.2 for x in at], [c.people for c in counts], 0.4, color=ORANGE, label="people")
            axes.set_xticks(at, [c.label for c in counts], rotation=45 if len(counts) > 3 else 0)
            axes.set_title(text)
        all_axes[0].legend(frameon=False)
    return out.getvalue()


def _years_picture(years: Sequence[int]) -> bytes:
    with plots((11.0, 2.8)) as ((axes,), out):
        axes.hist(years, bins=range(max(years) + 2), color=BLUE)
        for edge in (30, 60):  # the edges of the age bands
            axes.axvline(edge, color=GREY, linestyle="--")
        axes.set(xlabel="age in years; dashed: the age bands", ylabel="people")
    return out.getvalue()


def _classes_picture(counts: Sequence[Count]) -> bytes:
    with plots((11.0, 0.8 + 0.3 * len(counts))) as ((axes,), out):
        at = range(len(counts))
        for name, shift, colour in (("faces", -0.2, BLUE), ("people", 0.2, ORANGE)):
            many = [getattr(c, name) for c in counts]
            bars = axes.barh([y + shift for y in at], many, 0.4, color=colour, label=name)
            axes.bar_label(bars, padding=3, fontsize=8)
        axes.set_yticks(at, [c.label for c in counts])
        axes.invert_yaxis()
        axes.margins(x=0.08, y=0.02)
        axes.legend(frameon=False)
    return out.getvalue()
