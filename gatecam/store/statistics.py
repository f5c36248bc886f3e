"""Sum up arrivals by hours and days in local time, and list outages of cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo

from gatecam.store.events import OUTAGE_ENDS, Arrivals
from gatecam.types import EventKind, StoredEvent


@dataclass(frozen=True, slots=True)
class Outage:
    """Records a time in which a camera was blind. `end` is None if it is unknown."""

    camera: str
    reason: str
    start: datetime
    end: datetime | None


def day_ms(day: date) -> tuple[int, int]:
    """Return the start and end of a local day, in ms since 1970. They are not always 24 hours apart."""
    return _start_ms(day), _start_ms(day + timedelta(days=1))


def _start_ms(day: date) -> int:
    """Return the first moment of a local day in ms since 1970. Clocks may skip midnight or reach it twice."""
    midnights = [datetime.combine(day, time(fold=fold)).astimezone() for fold in (0, 1)]
    first = min(
        (one for one in midnights if one.date() == day), default=max(midnights)
    )  # Samoa skipped a day
    return round(first.timestamp() * 1000)


def by_hour(arrivals: Iterable[Arrivals], zone: tzinfo | None = None) -> list[Arrivals]:
    """Return the sums of a day's 24 hours by the clock of a zone, by default the local one.

    An hour that repeats is counted as one.
    """
    return _grouped(arrivals, 24, lambda start_s: datetime.fromtimestamp(start_s, zone).hour)


def by_day(arrivals: Iterable[Arrivals], last: date, number: int) -> list[tuple[date, Arrivals]]:
    """Return the sums of the last `number` days up to `last`, in order. Days without people are included."""
    days: dict[date, list[Arrivals]] = {last - timedelta(days=ago): [] for ago in reversed(range(number))}
    for quarter in arrivals:
        day = datetime.fromtimestamp(quarter.start_ms / 1000).date()
        if day in days:
            days[day].append(quarter)
    return [(day, total(quarters)) for day, quarters in days.items()]


def by_weekday(arrivals: Iterable[Arrivals]) -> list[Arrivals]:
    """Return the sums of the seven weekdays by the local clock, from Monday on."""
    return _grouped(arrivals, 7, lambda start_s: datetime.fromtimestamp(start_s).weekday())


def _grouped(arrivals: Iterable[Arrivals], number: int, of: Callable[[float], int]) -> list[Arrivals]:
    """Return the sums of `number` groups. `of` returns the group of a time in s since 1970."""
    groups: list[list[Arrivals]] = [[] for _ in range(number)]
    for quarter in arrivals:
        groups[of(quarter.start_ms / 1000)].append(quarter)
    return [total(quarters) for quarters in groups]


def by_month(days: Iterable[tuple[date, Arrivals]]) -> list[tuple[date, Arrivals]]:
    """Return the sums of the months of days, each with its first day. `days` are in order."""
    months: dict[date, list[Arrivals]] = {}
    for day, sums in days:
        months.setdefault(day.replace(day=1), []).append(sums)
    return [(month, total(found)) for month, found in months.items()]


def hours_of(arrivals: Iterable[Arrivals]) -> list[tuple[datetime, Arrivals]]:
    """Return the sums of each hour in which people came, with its start in local time and its offset.

    An hour that repeats when clocks are set back is two hours with different offsets.
    """
    hours: dict[datetime, list[Arrivals]] = {}
    for quarter in arrivals:
        moment = datetime.fromtimestamp(quarter.start_ms / 1000).astimezone()
        hours.setdefault(moment.replace(minute=0), []).append(quarter)
    return [(start, total(quarters)) for start, quarters in hours.items()]


def total(quarters: Sequence[Arrivals]) -> Arrivals:
    """Return the sum of all arrivals, with the start of the first."""
    return Arrivals(
        quarters[0].start_ms if quarters else 0,
        sum(one.correct for one in quarters),
        sum(one.incorrect for one in quarters),
        sum(one.none for one in quarters),
        sum(one.put_on for one in quarters),
    )


def share_correct(arrivals: Arrivals) -> float | None:
    """Return the share of people whose mask was correct when they came. None if nobody came."""
    return arrivals.correct / arrivals.people if arrivals.people else None


def outages(events: Iterable[StoredEvent]) -> list[Outage]:
    """Return the outages found in events, in the order of their starts. `events` are oldest first.

    An outage whose own end is missing, as after a restart, ends with the next event about a person, or with
    the next outage.
    """
    found: list[Outage] = []
    running: dict[str, int] = {}  # by camera: index of its outage that has not ended yet
    for stored in events:
        event = stored.event
        at = datetime.fromisoformat(event.at)
        place = running.get(event.camera)
        is_end = event.kind in OUTAGE_ENDS  # after a restart another outage may begin
        if place is not None and (is_end or not event.kind.is_camera):
            if event.kind is EventKind.CAMERA_OK or found[place].end is None:
                found[place] = replace(found[place], end=at)
            if is_end:
                del running[event.camera]
        if event.kind is EventKind.CAMERA_BLIND:
            running[event.camera] = len(found)
            found.append(Outage(event.camera, event.reason, at, None))
    return found
