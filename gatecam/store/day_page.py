"""Build the page of one day: arrivals by hour, the days before, outages and totals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.pictures.charts import Series, share_bars, stacked_bars
from gatecam.pictures.html import Page
from gatecam.store.events import Arrivals, EventFilter, EventStore, Total
from gatecam.store.statistics import Outage, by_day, by_hour, day_ms, outages, share_correct, total
from gatecam.types import EventKind

DAYS = 14
GREEN, AMBER, RED = "#009e73", "#ffb71c", "#ce2030"  # the colours of the screen


def day_page(
    store: EventStore, totals: Sequence[Total], day: date, camera: str | None = None
) -> tuple[Page, Arrivals]:
    """Return the page of a day at one camera or at all cameras, and the day's sums.

    Args:
        store: provides the events. It may have no totals, like PostgreSQL.
        totals: the totals of that day and camera.
        day: the local day.
        camera: the camera, or None for all.

    Raises:
        OutputError: the store cannot be read.
    """
    start_ms, end_ms = day_ms(day)
    hours = by_hour(store.arrivals(start_ms, end_ms, camera))
    sums = total(hours)
    page = Page(f"{day:%Y-%m-%d}, {camera or 'all cameras'}")
    page.text(summary(sums))
    _add_hours(page, hours)
    first_ms = day_ms(day - timedelta(days=DAYS - 1))[0]
    _add_days(page, by_day(store.arrivals(first_ms, end_ms, camera), day, DAYS))
    # An outage lasts past midnight if it is the camera's last event before it. Otherwise it has an end, or an
    # event about a person shows that the camera sees, as after a restart, which stores no end.
    before = store.latest_of_each(start_ms, camera)
    kinds = (EventKind.CAMERA_BLIND, EventKind.CAMERA_OK)
    asked = EventFilter(start_ms, end_ms, () if camera is None else (camera,), kinds)
    found = outages([*before, *store.every(asked)])
    _add_outages(page, found, datetime.fromtimestamp(start_ms / 1000).astimezone())
    _add_totals(page, totals)
    return page, sums


def summary(sums: Arrivals) -> str:
    """Return a sentence on how many people came and how they wore their masks."""
    share = share_correct(sums)
    if share is None:
        return "Nobody came whose mask could be judged."
    return (
        f"{sums.people} people came; {100 * share:.0f} % wore their mask right ({sums.correct}), "
        f"{sums.incorrect} wrong, {sums.none} had none. {sums.put_on} put a mask on after an alert."
    )


def _add_hours(page: Page, hours: Sequence[Arrivals]) -> None:
    labels = [f"{hour:02}" for hour in range(24)]
    page.heading("People by the hour")
    page.svg(
        stacked_bars(
            labels,
            [
                Series("mask worn right", GREEN, [one.correct for one in hours]),
                Series("worn wrong", AMBER, [one.incorrect for one in hours]),
                Series("no mask", RED, [one.none for one in hours]),
            ],
            "People by the hour, by how they wore their mask when they came",
        )
    )
    rows = [
        (f"{label}:00", one.people, one.correct, one.incorrect, one.none, one.put_on)
        for label, one in zip(labels, hours, strict=True)
        if one.people
    ]
    if rows:
        page.table(("hour", "people", "right", "wrong", "none", "put a mask on"), rows)


def _add_days(page: Page, days: Sequence[tuple[date, Arrivals]]) -> None:
    page.heading(f"Masks worn right, the last {DAYS} days")
    labels = [f"{day:%m-%d}" for day, _ in days]
    shares = [share_correct(one) for _, one in days]
    page.svg(share_bars(labels, shares, GREEN, "Share of people who wore their mask right, by day"))
    rows = [
        (label, one.people, f"{100 * share:.0f} %")
        for label, (_, one), share in zip(labels, days, shares, strict=True)
        if share is not None
    ]
    if rows:
        page.table(("day", "people", "worn right"), rows)


def _add_outages(page: Page, found: Sequence[Outage], day_start: datetime) -> None:
    page.heading("When a camera did not see")
    if not found:
        page.text("Never, according to the store.")
        return
    rows = [
        (
            one.camera,
            one.reason,
            "before the day" if one.start < day_start else f"{one.start:%H:%M:%S}",
            "beyond the day, or unknown"
            if one.end is None
            else f"{timedelta(seconds=round((one.end - max(one.start, day_start)).total_seconds()))}",
        )
        for one in found
    ]
    page.table(("camera", "why", "since", "for"), rows)


def _add_totals(page: Page, totals: Sequence[Total]) -> None:
    page.heading("Gender and age")
    page.text(
        "Only totals are kept, written once ten people or more of a kind have come. Smaller counts are lost. "
        "People of the day before may be among them."
    )
    people: dict[int, int] = {}
    for one in totals:
        people[one.class_id] = people.get(one.class_id, 0) + one.people
    if not people:
        page.text("None yet.")
        return
    rows = [
        (MASK_LABELS[number // 6], GENDER_LABELS[number // 3 % 2], AGE_LABELS[number % 3], count)
        for number, count in sorted(people.items())
    ]
    page.table(("mask", "gender", "age", "people"), rows)
