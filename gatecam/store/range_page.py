"""Build the statistics of a range of days: a chart and a table by hour, day, weekday or camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from operator import itemgetter

from gatecam.pictures.charts import AMBER, GREEN, RED, Series, stacked_bars
from gatecam.store.day_page import Chart
from gatecam.store.events import Arrivals, EventStore
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

MOST_DAYS = 3660
MOST_BARS = 100  # with more days than this, the chart shows months


class Grouping(StrEnum):
    """Says by what people are summed up."""

    HOUR = "hour"
    DAY = "day"
    WEEKDAY = "weekday"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class Range:
    """Selects local days, both ends included, and a camera, or all cameras with None."""

    first: date
    last: date
    camera: str | None = None

    @property
    def days(self) -> int:
        """Return the number of days."""
        return (self.last - self.first).days + 1

    def arrivals(self, store: EventStore, camera: str | None = None) -> list[Arrivals]:
        """Return the quarter-hours in which people came, at `camera` if it is given."""
        return store.arrivals(day_ms(self.first)[0], day_ms(self.last)[1], camera or self.camera)


def range_chart(
    store: EventStore, wanted: Range, by: Grouping, words: Mapping[str, str]
) -> tuple[Chart, Arrivals]:
    """Draw the people of a range, by how they wore their masks when they came, and return their sums too.

    Raises:
        OutputError: the store cannot be read.
    """
    quarters = wanted.arrivals(store)
    drawn = groups = _groups(store, wanted, quarters, by, words)
    if by is Grouping.DAY:
        days = by_day(quarters, wanted.last, wanted.days)
        drawn = [(f"{day:%m-%d}", sums) for day, sums in days]
        if len(days) > MOST_BARS:
            drawn = [(f"{month:%Y-%m}", sums) for month, sums in by_month(days)]
    parts = [
        Series(words["verdict.correct"], GREEN, [one.correct for _, one in drawn]),
        Series(words["verdict.incorrect"], AMBER, [one.incorrect for _, one in drawn]),
        Series(words["verdict.none"], RED, [one.none for _, one in drawn]),
    ]
    svg = stacked_bars([label for label, _ in drawn], parts, words["statistics.chart"])
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
    """Return the groups in order, each with its label. Groups without people are included."""
    if by is Grouping.HOUR:
        return [(f"{hour:02}:00", sums) for hour, sums in enumerate(by_hour(quarters))]
    if by is Grouping.WEEKDAY:
        return [(words[f"weekday.{day}"], sums) for day, sums in enumerate(by_weekday(quarters))]
    if by is Grouping.DAY:
        return [(f"{day}", sums) for day, sums in by_day(quarters, wanted.last, wanted.days)]
    return [(name, total(wanted.arrivals(store, name))) for name in _cameras(store, wanted)]


def range_hours(store: EventStore, wanted: Range) -> list[tuple[datetime, str, Arrivals]]:
    """Return the hours of a range and the cameras at which people came, in order of time.

    Each hour begins in local time with its offset.

    Raises:
        OutputError: the store cannot be read.
    """
    found = [
        (start, name, sums)
        for name in _cameras(store, wanted)
        for start, sums in hours_of(wanted.arrivals(store, name))
    ]
    return sorted(found, key=itemgetter(0, 1))


def _cameras(store: EventStore, wanted: Range) -> list[str]:
    return store.cameras() if wanted.camera is None else [wanted.camera]
