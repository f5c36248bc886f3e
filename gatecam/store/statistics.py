"""Arrivals by the hours of a day and by days, in local time; outages of cameras."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from gatecam.store.events import Arrivals
from gatecam.types import EventKind, StoredEvent


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a camera did not see; `end` is None where that is not known."""

    camera: str
    reason: str
    start: datetime
    end: datetime | None


def day_ms(day: date) -> tuple[int, int]:
    """The start and the end of a day in local time, in ms since 1970; not always 24 hours apart."""
    start, end = (datetime.combine(one, time()).astimezone() for one in (day, day + timedelta(days=1)))
    return round(start.timestamp() * 1000), round(end.timestamp() * 1000)


def by_hour(arrivals: Iterable[Arrivals]) -> list[Arrivals]:
    """The 24 hours of a day, by the clock on the wall: an hour that comes twice counts as one."""
    hours: list[list[Arrivals]] = [[] for _ in range(24)]
    for quarter in arrivals:
        hours[datetime.fromtimestamp(quarter.start_ms / 1000).hour].append(quarter)
    return [total(quarters) for quarters in hours]


def by_day(arrivals: Iterable[Arrivals], last: date, number: int) -> list[tuple[date, Arrivals]]:
    """The last days up to one, in order, also those on which nobody came."""
    days: dict[date, list[Arrivals]] = {last - timedelta(days=ago): [] for ago in reversed(range(number))}
    for quarter in arrivals:
        day = datetime.fromtimestamp(quarter.start_ms / 1000).date()
        if day in days:
            days[day].append(quarter)
    return [(day, total(quarters)) for day, quarters in days.items()]


def total(quarters: Sequence[Arrivals]) -> Arrivals:
    """All together; it starts with the first of them."""
    return Arrivals(
        quarters[0].start_ms if quarters else 0,
        sum(one.correct for one in quarters),
        sum(one.incorrect for one in quarters),
        sum(one.none for one in quarters),
        sum(one.put_on for one in quarters),
    )


def share_correct(arrivals: Arrivals) -> float | None:
    """How many of those who came wore their mask right; None if nobody came."""
    return arrivals.correct / arrivals.people if arrivals.people else None


def outages(events: Iterable[StoredEvent]) -> list[Outage]:
    """The outages that events tell of, in the order of their starts; `events` are oldest first."""
    found: list[Outage] = []
    running: dict[str, int] = {}  # by camera, the place of its outage
    for stored in events:
        event = stored.event
        at = datetime.fromisoformat(event.at)
        if event.kind is EventKind.CAMERA_BLIND:
            running[event.camera] = len(found)
            found.append(Outage(event.camera, event.reason, at, None))
        elif event.kind is EventKind.CAMERA_OK and event.camera in running:
            place = running.pop(event.camera)
            begun = found[place]
            found[place] = Outage(begun.camera, begun.reason, begun.start, at)
    return found
