"""Hours and days in local time, and outages from their two events."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta

import pytest

from gatecam.store.events import Arrivals
from gatecam.store.statistics import Outage, by_day, by_hour, day_ms, outages, share_correct, total
from gatecam.types import EventKind, StoredEvent
from tests.store.conftest import NOON

DAY = date(2026, 11, 24)


@pytest.fixture
def in_zone(monkeypatch):
    """Set the clocks of this test to a time zone."""

    def set_to(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield set_to
    monkeypatch.undo()
    time.tzset()


def quarter(moment: datetime, **people: int) -> Arrivals:
    return Arrivals(round(moment.timestamp() * 1000), **people)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Africa/Cairo", date(2026, 4, 23), 24),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # midnight is skipped
        ("Africa/Cairo", date(2026, 10, 29), 25),
        ("Atlantic/Azores", date(2026, 10, 24), 24),
        ("Atlantic/Azores", date(2026, 10, 25), 25),  # midnight comes twice
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Pacific/Apia", date(2011, 12, 30), 0),  # there was no such day
    ],
)
def test_a_day_begins_and_ends_with_its_own_first_and_last_moment(in_zone, zone, day, hours):
    in_zone(zone)
    start, end = day_ms(day)
    assert (end - start) / 3_600_000 == hours
    quarters = [Arrivals(at_ms, correct=1) for at_ms in range(start, end, 900_000)]
    assert [(one, sums.people) for one, sums in by_day(quarters, day, 1)] == [(day, 4 * hours)]


def test_a_day_may_have_25_hours_and_the_hour_that_comes_twice_is_one(in_zone):
    in_zone("Europe/Berlin")  # where clocks are set back on that day
    start, end = day_ms(date(2026, 10, 25))
    assert end - start == 25 * 3_600_000
    quarters = [Arrivals(start + i * 900_000, correct=1) for i in range(100)]
    hours = by_hour(quarters)
    assert [one.correct for one in hours] == [4, 4, 8] + [4] * 21


def test_days_without_anyone_stand_too():
    yesterday = NOON - timedelta(days=1)
    found = by_day([quarter(yesterday, none=2), quarter(NOON, correct=1), quarter(NOON, put_on=3)], DAY, 3)
    assert [(day.day, one.people, one.put_on) for day, one in found] == [(22, 0, 0), (23, 2, 0), (24, 1, 3)]


def test_shares_are_of_those_who_came():
    assert share_correct(Arrivals(0, correct=3, incorrect=1, none=2, put_on=9)) == 0.5
    assert share_correct(total([])) is None


def test_an_outage_lasts_from_one_event_to_the_other(told):
    blind, ok = EventKind.CAMERA_BLIND, EventKind.CAMERA_OK
    events = [
        told(ok, 0, reason="dark"),
        told(blind, 10, reason="covered"),
        told(blind, 20, "yard", reason="lost"),
        told(ok, 40, reason="covered"),
        told(blind, 50, reason="lost"),
        told(blind, 60, reason="dark"),  # after a restart
        told(ok, 70, reason="dark"),
    ]
    found = outages([StoredEvent(i, str(i), event) for i, event in enumerate(events)])
    assert found == [
        Outage("gate", "covered", NOON + timedelta(seconds=10), NOON + timedelta(seconds=40)),
        Outage("yard", "lost", NOON + timedelta(seconds=20), None),
        Outage("gate", "lost", NOON + timedelta(seconds=50), NOON + timedelta(seconds=60)),
        Outage("gate", "dark", NOON + timedelta(seconds=60), NOON + timedelta(seconds=70)),
    ]


def test_an_outage_whose_end_was_not_told_lasts_until_somebody_is_seen(told):
    """As if gatecam had restarted meanwhile. Some blind cameras still see people, so their own end counts."""
    blind, ok, person = EventKind.CAMERA_BLIND, EventKind.CAMERA_OK, EventKind.MASK_OK
    kinds = [
        (blind, 10),
        (EventKind.TOO_SLOW, 15),
        (person, 20),
        (person, 30),
        (blind, 40),
        (person, 50),
        (ok, 60),
    ]
    events = [told(kind, after_s, reason="" if kind is person else "lost") for kind, after_s in kinds]
    found = outages([StoredEvent(i, str(i), event) for i, event in enumerate(events)])
    assert [(one.start - NOON, one.end - NOON) for one in found if one.end is not None] == [
        (timedelta(seconds=10), timedelta(seconds=20)),
        (timedelta(seconds=40), timedelta(seconds=60)),
    ]
