"""Retention: events go by days and by size, totals are written, and a store that fails is tried again."""

from __future__ import annotations

import glob
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from gatecam.errors import OutputError
from gatecam.settings.schema import StoreConfig
from gatecam.store.clock import ClockGuard, confirmed_by_time_server, to_ms
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventFilter, EventStore, Total
from gatecam.store.keeping import Housekeeping, tidy
from gatecam.store.totals import ClassTotals
from gatecam.types import Event
from tests.store.conftest import NOON

DAY_S = 86_400
YEAR = timedelta(days=365)


class DueTotals(ClassTotals):
    """Twelve people are due."""

    def due(self, now):
        return [Total(f"{now:%Y-%m-%d}", "gate", 17, 12)]


def guard(now: datetime, running_s: float = 0.0, is_confirmed: bool = False) -> ClockGuard:
    return ClockGuard(now, running_s, lambda _: is_confirmed)


def test_events_older_than_the_days_allowed_go(kept, told):
    kept.append([told(after_s=-2 * 86_400 - 1), told(after_s=-2 * 86_400 + 1), told()])
    tidy([kept], StoreConfig(keep_days=2), ClassTotals(NOON), guard(NOON), NOON)
    assert kept.count() == 2


def test_the_oldest_go_when_the_store_is_larger_than_allowed(kept, told):
    kept.append([told(after_s=i) for i in range(40_000)])
    assert kept.used_bytes() > 5_000_000
    later = NOON + timedelta(seconds=40_000)
    tidy([kept], StoreConfig(keep_mb=5), ClassTotals(NOON), guard(later), later)
    assert kept.used_bytes() <= 5_000_000
    assert kept.count() >= 15_000


def test_totals_that_are_due_are_written(kept):
    tidy([kept], StoreConfig(), DueTotals(NOON), guard(NOON), NOON)
    assert kept.totals("2026-11-24", "2026-11-24") == [Total("2026-11-24", "gate", 17, 12)]


def test_totals_that_cannot_be_written_are_written_an_hour_later(kept, monkeypatch):
    def fail(given):
        raise OutputError("no space")

    totals, later = ClassTotals(NOON - timedelta(hours=1)), NOON + timedelta(hours=1)
    totals._people.update({("gate", 17): 12, ("gate", 16): 11})
    with monkeypatch.context() as full:
        full.setattr(kept, "add_totals", fail)
        with pytest.raises(OutputError, match="no space"):
            tidy([kept], StoreConfig(), totals, guard(NOON), NOON)
    tidy([kept], StoreConfig(), totals, guard(later), later)
    assert [one.people for one in kept.totals("2026-11-24", "2026-11-24")] == [11, 12]


def test_a_store_that_fails_is_tried_again(kept, told, caplog, monkeypatch):
    kept.append([told(after_s=-3 * DAY_S)])
    gone, whole = threading.Event(), kept.delete_before
    faults = [OutputError("no space")]

    def delete(*words):
        if faults:
            raise faults.pop()
        number = whole(*words)
        gone.set()
        return number

    monkeypatch.setattr(kept, "delete_before", delete)
    with (
        caplog.at_level(logging.WARNING),
        closing(
            Housekeeping(
                [kept],
                StoreConfig(keep_days=2),
                ClassTotals(NOON),
                clock=lambda: NOON,
                running_s=lambda: 0.0,
                period_s=0.01,
            )
        ),
    ):
        assert gone.wait(10)
    assert caplog.messages == ["Old events could not be deleted: no space"]
    assert kept.count() == 0


def test_a_copy_on_a_server_that_doors_share_is_tidied_less_often(kept, tmp_path, monkeypatch):
    calls: list[EventStore] = []
    often = threading.Event()
    with closing(EventStore(SqliteDatabase(tmp_path / "copy.sqlite3"), "lobby")) as copy:

        def note(store: EventStore) -> int:
            calls.append(store)
            if calls.count(kept) == 5:
                often.set()
            return 0

        for store in (kept, copy):
            monkeypatch.setattr(store, "delete_beyond", lambda size, store=store: note(store))
        config, totals = StoreConfig(), ClassTotals(NOON)
        keeping = Housekeeping([kept, copy], config, totals, lambda: NOON, lambda: 0.0, period_s=0.01)
        with closing(keeping):
            assert often.wait(20)
    assert calls.count(copy) == 1


class Kiosk:
    """A store and a clock that tests move, tidied as the program does."""

    def __init__(self, store: EventStore, told: Callable[..., Event], start: datetime = NOON) -> None:
        self._store, self._told = store, told
        self.now, self._running_s = start, 0.0
        self.is_confirmed = False
        self.restart()

    def restart(self) -> None:
        self.guard = ClockGuard(self.now, self._running_s, lambda _: self.is_confirmed)

    def jump(self, by: timedelta) -> None:
        """Set the wall clock."""
        self.now += by

    def run(self, days: float, comes_somebody: bool = True) -> str | None:
        """Let days pass, with an event each day, and return what is wrong with the clock at the end."""
        for _ in range(round(days)):
            self.now += timedelta(days=1)
            self._running_s += DAY_S
            if comes_somebody:
                self.come()
            self.tidy()
        return self.guard.trouble()

    def come(self) -> None:
        self._store.append([self._told(after_s=(self.now - NOON).total_seconds())])

    def tidy(self) -> str | None:
        newest_ms = (self._store.span_ms() or (0, 0))[1]
        self.guard.tick(self.now, self._running_s, newest_ms)
        tidy([self._store], StoreConfig(), ClassTotals(NOON), self.guard, self.now)
        return self.guard.trouble()

    @property
    def count(self) -> int:
        return self._store.count()


@pytest.fixture
def kiosk(kept, told):
    """Has run for 40 days: the events of 30 days are kept."""
    made = Kiosk(kept, told)
    assert made.run(40) is None
    assert made.count in (30, 31)
    return made


@pytest.mark.parametrize("when", ["at a restart", "while it runs"])
def test_a_clock_that_is_a_year_ahead_erases_nothing_and_is_told(kiosk, when):
    before = kiosk.count
    kiosk.jump(YEAR)
    if when == "at a restart":
        kiosk.restart()
    kiosk.come()
    trouble = kiosk.tidy()
    assert kiosk.count == before + 1
    assert "jumped" in trouble
    assert f"{kiosk.now:%Y-%m-%d}" in trouble
    assert "Set the clock" in trouble
    kiosk.restart()  # the wrong time is in the store now
    kiosk.tidy()
    assert kiosk.count == before + 1


def test_retention_goes_on_by_the_time_that_passes_under_a_wrong_clock(kiosk):
    kiosk.jump(YEAR)
    kiosk.restart()
    for _ in range(8):  # it is switched off at night
        kiosk.run(5)
        kiosk.restart()
    assert kiosk.count in (30, 31)
    assert kiosk.tidy() is None


def test_a_clock_set_right_again_ends_the_trouble_and_old_and_future_events_go_in_their_turn(kiosk, kept):
    kiosk.jump(YEAR)
    kiosk.restart()
    kiosk.run(3)
    kiosk.jump(-YEAR)
    kiosk.is_confirmed = True
    before = kiosk.count
    assert kiosk.tidy() is None
    assert before - kiosk.count <= 3  # the events of three days are over
    kiosk.run(26)
    assert len([at for at in times_ms(kept) if at > to_ms(kiosk.now)]) == 3
    kiosk.run(6)
    assert [at for at in times_ms(kept) if at > to_ms(kiosk.now)] == []
    assert kiosk.count in (30, 31)


@pytest.mark.parametrize("start", [datetime(1970, 1, 1), datetime(2000, 1, 1), NOON - timedelta(days=60)])
@pytest.mark.parametrize("has_history", [True, False])
def test_a_clock_that_starts_in_the_past_and_is_set_right_erases_nothing(kept, told, start, has_history):
    kiosk = Kiosk(kept, told, NOON - timedelta(days=20))
    if has_history:
        kiosk.run(20)
    kiosk.now = start.astimezone()
    kiosk.restart()
    kiosk.come()
    before = kiosk.count
    trouble = kiosk.tidy()
    assert kiosk.count == before
    if has_history or start.year < 2026:
        assert f"The clock says {start:%Y-%m-%d}, but " in trouble
    kiosk.now = NOON
    kiosk.is_confirmed = True
    kiosk.tidy()
    kiosk.come()
    assert kiosk.tidy() is None
    assert kiosk.count == before + 1
    kiosk.run(31)
    kiosk.run(1)
    assert kiosk.count in (30, 31)


def test_after_weeks_switched_off_old_events_go_if_a_time_server_confirms_the_clock(kiosk):
    before = kiosk.count
    kiosk.jump(timedelta(days=21))
    kiosk.restart()
    assert "no time server confirms" in kiosk.tidy()
    assert kiosk.count == before
    kiosk.is_confirmed = True
    assert kiosk.tidy() is None
    assert before - kiosk.count in (21, 22)


def test_weeks_in_which_nobody_comes_pass_while_the_program_runs(kiosk):
    assert kiosk.run(20, comes_somebody=False) is None
    assert kiosk.count in (10, 11)


@pytest.fixture
def house(kept):
    """Takes a turn when a test asks for it. `now` and `running_s` are its clocks."""

    class House(Housekeeping):
        now, running_s = NOON, 0.0

        def __init__(self, files=()):
            self.said = []
            super().__init__(
                [kept],
                StoreConfig(),
                ClassTotals(NOON),
                lambda: self.now,
                lambda: self.running_s,
                lambda name, text: self.said.append((name, text)),
                files,
            )
            self.close()

    return House


def test_a_trouble_of_the_clock_is_told_once_and_its_end_too(kept, told, house, caplog):
    kept.append([told()])
    keeping = house()
    keeping.now += YEAR
    keeping._turn()
    keeping._turn()
    assert caplog.messages == [keeping.said[0][1]]
    assert keeping.said[0][0] == "clock"
    assert keeping.said[0][1].startswith("The clock jumped from 2026-11-24 12:00 to 2027-11-24 12:00. Set ")
    keeping.now -= YEAR
    keeping._turn()
    keeping.now, keeping.running_s = NOON + timedelta(days=2), 2.0 * DAY_S
    keeping._turn()
    assert keeping.said[-1] == ("clock", None)
    assert caplog.messages[1:] == [
        "The clock is plausible again: old events are deleted as store.keep_days says."
    ]
    assert kept.count() == 1


def test_a_file_of_tomorrow_shows_that_the_clock_is_behind(house, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("")
    os.utime(path, (NOON.timestamp() + 2 * DAY_S,) * 2)
    ((name, text),) = house([path]).said
    assert name == "clock"
    assert "The clock says 2026-11-24, but events or files are of 2026-11-26. Set the clock" in text


def test_a_time_server_is_believed_only_if_it_gives_the_same_time(monkeypatch):
    monkeypatch.setattr("gatecam.store.clock._ask_kernel", lambda: None)  # as under ProtectClock=
    monkeypatch.setattr("gatecam.store.clock._ask_systemd", lambda: (True, NOON.timestamp()))
    assert confirmed_by_time_server(NOON)
    assert not confirmed_by_time_server(NOON + YEAR)
    monkeypatch.setattr("gatecam.store.clock._ask_kernel", lambda: (False, NOON.timestamp()))
    assert not confirmed_by_time_server(NOON)


FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
A_TURN = """
import sys, time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from gatecam.settings.schema import StoreConfig
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore
from gatecam.store.keeping import Housekeeping
from gatecam.store.totals import ClassTotals

now = lambda: datetime.now().astimezone()
with closing(EventStore(SqliteDatabase(Path(sys.argv[1])))) as store:
    said = lambda name, text: print(text)
    house = Housekeeping([store], StoreConfig(), ClassTotals(now()), now, time.monotonic, said)
    house.close()
    print(store.count())
"""


@pytest.mark.skipif(FAKETIME is None, reason="wants the package faketime")
def test_a_program_under_a_real_clock_that_is_a_year_ahead_keeps_its_events(kept, told, sqlite_path):
    now_s = (datetime.now().astimezone() - NOON).total_seconds()
    kept.append([told(after_s=now_s - day * DAY_S) for day in range(20)])
    kept.close()
    env = {**os.environ, "LD_PRELOAD": FAKETIME, "FAKETIME": "+365d", "DONT_FAKE_MONOTONIC": "1"}
    words = [sys.executable, "-c", A_TURN, str(sqlite_path)]
    ended = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=True)
    trouble, count = ended.stdout.splitlines()
    assert trouble.startswith("The clock may have jumped")
    assert count == "20"


def times_ms(store: EventStore) -> list[int]:
    return [
        round(datetime.fromisoformat(one.event.at).timestamp() * 1000) for one in store.every(EventFilter())
    ]
