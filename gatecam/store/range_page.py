"""Build the statistics of a range of days: a chart and a table by hour, day, weekday, camera or door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from operator import itemgetter

from gatecam.store.day_page import Chart, people_bars
from gatecam.store.doors import place_name
from gatecam.store.events import QUARTER_MS, Arrivals, EventStore
from gatecam.store.statistics import (
    by_day,
    by_hour,
    by_month,
    by_weekday,
    day_ms,
    hours_of,
    share_correct,
    total,
)

MOST_DAYS = 3660  # ten years
MOST_BARS = 100  # a chart of more days shows months, and one of more cameras or doors the busiest
PLACE = ("door", "camera")


class Grouping(StrEnum):
    """Says which people are counted together."""

    HOUR = "hour"
    DAY = "day"
    WEEKDAY = "weekday"
    CAMERA = "camera"
    DOOR = "door"


@dataclass(frozen=True, slots=True)
class Range:
    """Selects local days, both ends included, and a camera and a door, or all of them with None."""

    first: date
    last: date
    camera: str | None = None
    door: str | None = None

    @property
    def days(self) -> int:
        """Return the number of days."""
        return (self.last - self.first).days + 1

    @property
    def selected(self) -> tuple[int, int, str | None, str | None]:
        """Return the start and end in ms since 1970, the camera and the door, as the store takes them."""
        return day_ms(self.first)[0], day_ms(self.last)[1], self.camera, self.door


def range_chart(
    store: EventStore, wanted: Range, by: Grouping, words: Mapping[str, str]
) -> tuple[Chart, Arrivals]:
    """Draw the people of a range in groups. Return the chart with its table, and the sums of all.

    Args:
        store: provides the events.
        wanted: the days, the camera and the door.
        by: the groups.
        words: the page words of one language.

    Raises:
        OutputError: the store cannot be read.
    """
    quarters = store.arrivals(*wanted.selected)
    drawn = groups = _groups(store, wanted, quarters, by, words)
    if by is Grouping.DAY:
        days = by_day(quarters, wanted.last, wanted.days)
        drawn = [(f"{day:%m-%d}", sums) for day, sums in days]
        if len(days) > MOST_BARS:
            drawn = [(f"{month:%Y-%m}", sums) for month, sums in by_month(days)]
    elif len(groups) > MOST_BARS:
        drawn = sorted(groups, key=lambda group: -group[1].people)[:MOST_BARS]
    labels, drawn_sums = [label for label, _ in drawn], [one for _, one in drawn]
    svg = people_bars(labels, drawn_sums, words, words["statistics.chart"])
    keys = (f"report.{by}", "report.people", "report.right", "report.wrong", "report.none", "report.share")
    rows: list[tuple[object, ...]] = [
        (label, one.people, one.correct, one.incorrect, one.none, f"{100 * share:.0f} %", one.put_on)
        for label, one in groups
        if (share := share_correct(one)) is not None
    ]
    return Chart(svg, (*(words[key] for key in keys), words["report.put_on"]), rows), total(quarters)


def _groups(
    store: EventStore, wanted: Range, quarters: Sequence[Arrivals], by: Grouping, words: Mapping[str, str]
) -> list[tuple[str, Arrivals]]:
    """Return the groups in order, each with its label. Hours and days without people are included."""
    if by is Grouping.HOUR:
        return [(f"{hour:02}:00", sums) for hour, sums in enumerate(by_hour(quarters))]
    if by is Grouping.WEEKDAY:
        return [(words[f"weekday.{day}"], sums) for day, sums in enumerate(by_weekday(quarters))]
    if by is Grouping.DAY:
        return [(f"{day}", sums) for day, sums in by_day(quarters, wanted.last, wanted.days)]
    columns = ("door",) if by is Grouping.DOOR else PLACE
    return [
        (place_name(*place), sums)
        for place, sums in store.arrivals_of_each(columns, *wanted.selected).items()
    ]


def range_hours(store: EventStore, wanted: Range) -> list[tuple[datetime, str, Arrivals]]:
    """Return the hours of a range and the cameras at which people came, in order of time.

    Each hour begins in local time with its offset.

    Raises:
        OutputError: the store cannot be read.
    """
    quarters: dict[str, list[Arrivals]] = {}
    for (*place, quarter), sums in store.arrivals_of_each((*PLACE, "quarter"), *wanted.selected).items():
        quarters.setdefault(place_name(*place), []).append(replace(sums, start_ms=quarter * QUARTER_MS))
    found = [(start, name, sums) for name, some in quarters.items() for start, sums in hours_of(some)]
    return sorted(found, key=itemgetter(0, 1))
