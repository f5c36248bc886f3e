"""The watch of all doors: what it keeps for the page, what it tells, and what a failing database changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gatecam.errors import OutputError
from gatecam.fleet import watch as watching
from gatecam.fleet.silence import Silences
from gatecam.fleet.watch import FleetWatch
from gatecam.store.doors import DoorReport, ReportedCamera
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import Arrivals, EventFilter, EventStore
from gatecam.store.statistics import day_ms
from gatecam.types import Event, EventKind, StoredEvent, Verdict
from tests.fleet.test_silence import report

NOON = datetime(2026, 11, 24, 12).astimezone()
DUE = Event(EventKind.DOOR_SILENT, "yard", 0, Verdict.UNKNOWN, 1.0, reason="silent")


class DueSilences(Silences):
    """Tells one door at the first reading."""

    def __init__(self) -> None:
        super().__init__(60, 6)
        self.due = [DUE]

    def note(self, reports, now_s, took_s=0.0):
        due, self.due = self.due, []
        self.reported |= {one.camera for one in due}
        return due


@pytest.fixture
def shared(tmp_path):
    """The database of two doors, with three people of today."""
    with closing(SqliteDatabase(tmp_path / "shared.sqlite3")) as database:
        for number, (door, verdict) in enumerate(
            [("lobby", Verdict.CORRECT), ("lobby", Verdict.NONE), ("yard", Verdict.CORRECT)]
        ):
            came = Event(EventKind.MASK_OK, "gate", number, verdict, 1.0, at=NOON.isoformat(), first=True)
            EventStore(database, door).copy([StoredEvent(0, f"{number:032}", came)])
        store = EventStore(database)
        for door in ("yard", "lobby"):
            store.doors.report(_with_camera(door))
        yield store


def _with_camera(door: str) -> DoorReport:
    camera = ReportedCamera("gate", "open", "", True, "", 15.0, 60.0)
    return replace(report(door, 0, 0), cameras=(camera,))


def wait(until: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(2000):
        if until():
            return
        tick.wait(0.005)
    pytest.fail("it did not come to pass")


def test_the_page_gets_all_doors_and_todays_people_of_each(shared):
    with closing(FleetWatch(shared, Silences(60, 6), pytest.fail, pytest.fail, lambda: NOON, 0.01)) as watch:
        wait(lambda: bool(watch.fleet.today and watch.fleet.doors))
    start_ms = day_ms(NOON.date())[0]
    assert [one.door for one in watch.fleet.doors] == ["lobby", "yard"]
    assert watch.fleet.read_at == NOON
    assert watch.fleet.today == {
        "lobby": Arrivals(start_ms, correct=1, none=1),
        "yard": Arrivals(start_ms, correct=1),
    }


def test_a_slow_count_of_todays_people_delays_no_alert(shared, monkeypatch):
    ends, sent = threading.Event(), []
    monkeypatch.setattr(shared, "arrivals_of_each", lambda *words: ends.wait(30) and {})
    with closing(FleetWatch(shared, DueSilences(), sent.append, pytest.fail, lambda: NOON, 0.01)) as watch:
        wait(lambda: len(sent) == 1)
        assert watch.fleet.today is None
        ends.set()


def test_a_count_that_is_too_long_for_the_database_rests_and_is_told(shared, monkeypatch):
    counts, said, clock = [], [], [NOON]
    count = shared.arrivals_of_each

    def fail(*words):
        counts.append(words)
        if len(counts) == 1:
            clock[0] += timedelta(days=1)  # so the next count is of another day
            return count(*words)
        monkeypatch.setattr(watching, "TODAY_REST", 1e9)
        raise OutputError("it took longer than 20 s.")

    monkeypatch.setattr(shared, "arrivals_of_each", fail)
    monkeypatch.setattr(watching, "TODAY_S", 0.01)
    with closing(
        FleetWatch(shared, Silences(60, 6), pytest.fail, said.append, lambda: clock[0], 0.01)
    ) as watch:
        wait(lambda: bool(said))
        for _ in range(5):
            read = watch.fleet
            wait(lambda: watch.fleet is not read)  # noqa: B023 - called within this turn
        assert said == ["Today's people are not counted: it took longer than 20 s."]
        assert len(counts) == 2, "the next one comes after many times as long"
        assert watch.fleet.today is None, "the figures of yesterday are not those of today"


@pytest.mark.parametrize("is_on_disk", [False, True])
def test_an_alert_that_cannot_be_stored_is_stored_later_and_once(shared, tmp_path, is_on_disk):
    alerts = EventStore(SqliteDatabase(tmp_path / "fleet.sqlite3"))
    faults, said = [OutputError("the disk is full.")], []

    def send(event: Event) -> None:
        if is_on_disk or not faults:
            alerts.send(event)
        if faults:
            raise faults.pop()

    with closing(FleetWatch(shared, DueSilences(), send, said.append, lambda: NOON, 0.01)) as watch:
        wait(lambda: said == ["the disk is full.", None])
    assert [(one.event.kind, one.event.camera, one.event.at) for one in alerts.every(EventFilter())] == [
        (EventKind.DOOR_SILENT, "yard", NOON.isoformat(timespec="milliseconds"))
    ]
    alerts.close()
    assert watch.fleet.silent == {"yard"}


def test_while_the_database_is_away_the_last_state_stays_and_that_is_told(shared, monkeypatch):
    said: list[str | None] = []
    away = threading.Event()
    whole = shared.doors.all

    def read():
        if away.is_set():
            raise OutputError("the database is away.")
        return whole()

    monkeypatch.setattr(shared.doors, "all", read)
    with closing(FleetWatch(shared, Silences(60, 6), pytest.fail, said.append, lambda: NOON, 0.01)) as watch:
        wait(lambda: bool(watch.fleet.doors))
        away.set()
        wait(lambda: said == ["the database is away."])
        assert len(watch.fleet.doors) == 2
        away.clear()
        wait(lambda: said == ["the database is away.", None])
