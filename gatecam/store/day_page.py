"""Build the page of one day: arrivals by hour, the days before, outages and totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS, class_parts
from gatecam.pictures.charts import AMBER, GREEN, RED, Series, share_bars, stacked_bars
from gatecam.pictures.html import Page, write_languages
from gatecam.pictures.page_words import page_words
from gatecam.store.doors import place_name
from gatecam.store.events import Arrivals, EventStore, Total
from gatecam.store.statistics import Outage, by_day, by_hour, day_ms, outages, share_correct, total

DAYS = 14  # in the chart of days
NAMES = {"en": "English", "ko": "한국어"}  # of languages; the first is shown if scripts are off


@dataclass(frozen=True, slots=True)
class Chart:
    """Holds a drawing and its numbers as a table. Rows without people are left out."""

    svg: str
    header: tuple[str, ...]
    rows: list[tuple[object, ...]]


def write_day_page(
    path: Path, store: EventStore, totals: Sequence[Total], day: date, camera: str | None = None
) -> Arrivals:
    """Write the page of a day at one camera or at all cameras in Korean and English. Return the day's sums.

    Args:
        path: the file.
        store: provides the events of a door or of all doors. It may have no totals, like PostgreSQL.
        totals: the totals of that day and camera.
        day: the local day.
        camera: the camera, or None for all.

    Raises:
        OutputError: the store cannot be read or the file cannot be written.
    """
    start_ms, end_ms = day_ms(day)
    hours = by_hour(store.arrivals(start_ms, end_ms, camera))
    first_ms = day_ms(day - timedelta(days=DAYS - 1))[0]
    days = by_day(store.arrivals(first_ms, end_ms, camera), day, DAYS)
    # An outage lasts past midnight if it is the camera's last event before it. Otherwise it has an end, or an
    # event about a person shows that the camera sees.
    found = _without_removed(
        outages(store.outage_events(start_ms, end_ms, camera)),
        store,
        datetime.fromtimestamp(start_ms / 1000).astimezone(),
    )
    place = place_name(store.door, camera or "")
    pages = {}
    for language, name in NAMES.items():
        words = page_words(language)
        title = words["report.title"].format(
            day=day, camera=place_name(store.door, camera or words["report.all_cameras"])
        )
        page = Page(title)
        page.text(summary(total(hours), words))
        add_chart(page, words["report.hours"], hours_chart(hours, words))
        add_chart(page, words["report.days"].format(days=DAYS), days_chart(days, words))
        _add_outages(page, found, datetime.fromtimestamp(start_ms / 1000).astimezone(), words)
        _add_totals(page, totals, words)
        pages[language] = name, page
    write_languages(path, f"gatecam {day}{place and f', {place}'}", pages)
    return total(hours)


def summary(sums: Arrivals, words: Mapping[str, str]) -> str:
    """Return a sentence on how many people came and how they wore their masks."""
    share = share_correct(sums)
    if share is None:
        return words["report.nobody"]
    return words["report.summary_one" if sums.people == 1 else "report.summary"].format(
        people=sums.people,
        share=f"{100 * share:.0f}",
        correct=sums.correct,
        incorrect=sums.incorrect,
        none=sums.none,
        put_on=sums.put_on,
    )


def hours_chart(hours: Sequence[Arrivals], words: Mapping[str, str]) -> Chart:
    """Draw the people of a day's 24 hours, by how they wore their masks when they came."""
    labels = [f"{hour:02}" for hour in range(24)]
    header = (*(words[f"report.{key}"] for key in ("hour", "people", "right", "wrong", "none", "put_on")),)
    rows: list[tuple[object, ...]] = [
        (f"{label}:00", one.people, one.correct, one.incorrect, one.none, one.put_on)
        for label, one in zip(labels, hours, strict=True)
        if one.people
    ]
    svg = people_bars(labels, hours, words, words["report.hours_title"])
    return Chart(svg, header, rows)


def people_bars(labels: Sequence[str], sums: Sequence[Arrivals], words: Mapping[str, str], title: str) -> str:
    """Draw a bar of people for each label, divided by how they wore their masks when they came, as SVG."""
    parts = [
        Series(words["verdict.correct"], GREEN, [one.correct for one in sums]),
        Series(words["verdict.incorrect"], AMBER, [one.incorrect for one in sums]),
        Series(words["verdict.none"], RED, [one.none for one in sums]),
    ]
    return stacked_bars(labels, parts, title)


def days_chart(days: Sequence[tuple[date, Arrivals]], words: Mapping[str, str]) -> Chart:
    """Draw the share of people on each day whose mask was correct when they came."""
    labels, shares = [f"{day:%m-%d}" for day, _ in days], [share_correct(one) for _, one in days]
    header = (*(words[f"report.{key}"] for key in ("day", "people", "share")),)
    rows: list[tuple[object, ...]] = [
        (label, one.people, f"{100 * share:.0f} %")
        for label, (_, one), share in zip(labels, days, shares, strict=True)
        if share is not None
    ]
    return Chart(share_bars(labels, shares, GREEN, words["report.days_title"]), header, rows)


def add_chart(page: Page, heading: str, chart: Chart) -> None:
    """Add a chart with its heading and its table."""
    page.heading(heading)
    page.svg(chart.svg)
    if chart.rows:
        page.table(chart.header, chart.rows)


def _without_removed(found: Sequence[Outage], store: EventStore, day_start: datetime) -> list[Outage]:
    """Leave out outages from before the day of cameras that their door has no longer. Nobody tells their end.

    Only doors that report their health say which cameras they have.
    """
    reports = [one for one in store.doors.all() if store.door in ("", one.door)]
    doors = [(one, "" if store.door else one.door) for one in reports]
    there = {place_name(name, camera.camera) for one, name in doors for camera in one.cameras}
    starts = tuple(name and f"{name}: " for _, name in doors)
    return [
        one
        for one in found
        if one.end or one.start >= day_start or one.camera in there or not one.camera.startswith(starts)
    ]


def _add_outages(page: Page, found: Sequence[Outage], day_start: datetime, words: Mapping[str, str]) -> None:
    page.heading(words["report.outages"])
    if not found:
        page.text(words["report.no_outage"])
        return
    rows = [
        (
            one.camera,
            words.get(f"reason.{one.reason}", one.reason),
            words["report.before_day"] if one.start < day_start else f"{one.start:%H:%M:%S}",
            words["report.beyond_day"]
            if one.end is None
            else f"{timedelta(seconds=round((one.end - max(one.start, day_start)).total_seconds()))}",
        )
        for one in found
    ]
    page.table([words[f"report.{key}"] for key in ("camera", "why", "since", "for")], rows)


def _add_totals(page: Page, totals: Sequence[Total], words: Mapping[str, str]) -> None:
    page.heading(words["report.totals"])
    page.text(words["report.totals_note"])
    people: Counter[int] = Counter()
    for one in totals:
        people[one.class_id] += one.people
    if not people:
        page.text(words["report.no_totals"])
        return
    rows = []
    for number, count in sorted(people.items()):
        mask, gender, age = class_parts(number)
        labels = (MASK_LABELS[mask], GENDER_LABELS[gender], AGE_LABELS[age])
        rows.append((*(words[f"class.{label}"] for label in labels), count))
    page.table([words[f"report.{key}"] for key in ("mask", "gender", "age", "people")], rows)
