"""A silent door is told once and its return once, by a clock of the test's; an outage alarms nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatecam.fleet.silence import Silences
from gatecam.store.doors import DoorReport
from gatecam.types import TOGETHER, EventKind

SILENT_S, GAP_S, POLL_S = 60.0, 6.0, 2.0
SILENT, BACK = EventKind.DOOR_SILENT, EventKind.DOOR_BACK


def report(door: str, reported_s: float, now_s: float) -> DoorReport:
    return DoorReport(door, "0.1.0", "", "cpu", 0, 0, 0, (), (), round(reported_s * 1000), now_s - reported_s)


class Doors:
    """Doors that report every ten seconds until they are silenced, and the watch that reads them."""

    def __init__(self, *names: str, told: tuple[str, ...] = ()) -> None:
        self.silences = Silences(SILENT_S, GAP_S, told)
        self.now_s = 1000.0
        self.silent_since = {name: float("inf") for name in names}
        self.told: list[tuple[EventKind, str, float]] = []

    def run(self, seconds: float, readable: bool = True) -> None:
        for _ in range(round(seconds / POLL_S)):
            self.now_s += POLL_S
            if readable:
                self.told += [(one.kind, one.camera, self.now_s) for one in self.read()]

    def read(self):
        found = []
        for name, since_s in self.silent_since.items():
            last_s = min(self.now_s, since_s) // 10 * 10
            found.append(report(name, last_s, self.now_s))
        return self.silences.note(found, self.now_s)


def test_a_silent_door_is_told_once_within_five_seconds_and_its_return_once():
    doors = Doors("lobby", "yard")
    doors.run(120)
    assert doors.told == []
    doors.silent_since["lobby"] = doors.now_s
    last_s = doors.now_s // 10 * 10
    doors.run(300)
    ((kind, door, at_s),) = doors.told
    assert (kind, door) == (SILENT, "lobby")
    assert SILENT_S < at_s - last_s <= SILENT_S + 5
    doors.silent_since["lobby"] = float("inf")
    doors.run(120)
    assert [one[:2] for one in doors.told] == [(SILENT, "lobby"), (BACK, "lobby")]
    assert doors.silences.reported == set()


@pytest.mark.parametrize(("took_s", "after_s"), [(5.0, 68.0), (12.0, 112.0)])
def test_a_silent_door_is_told_though_each_reading_of_the_database_is_slow(took_s, after_s):
    silences, now_s = Silences(SILENT_S, GAP_S), 1000.0
    silences.note([report("lobby", now_s, now_s)], now_s)
    told = []
    while not told and now_s < 2000:
        now_s += POLL_S + took_s
        told = silences.note([report("lobby", 1000.0, now_s)], now_s, took_s)
    assert [(one.kind, one.camera) for one in told] == [(SILENT, "lobby")]
    assert after_s - took_s - POLL_S < now_s - 1000.0 <= after_s + took_s + POLL_S


def test_a_door_that_reports_rarely_is_silent_only_after_its_next_report_is_due():
    silences, told = Silences(SILENT_S, GAP_S), []
    for now_s in range(0, 700, 2):
        last_s = min(now_s, 360) // 120 * 120
        found = replace(report("lobby", last_s, now_s), report_s=120.0)
        told += [(one.kind, now_s) for one in silences.note([found], now_s)]
    assert told == [(SILENT, 492)]


def test_an_outage_of_the_database_alarms_nobody():
    doors = Doors("lobby", "yard")
    doors.run(60)
    start_s = doors.now_s
    doors.silent_since = dict.fromkeys(doors.silent_since, start_s)  # none can report meanwhile
    doors.run(600, readable=False)
    doors.run(50)  # doors come back one after another
    doors.silent_since["yard"] = float("inf")
    doors.run(100)
    assert [one[:2] for one in doors.told] == [(SILENT, "lobby")], "the other one reports again"
    assert doors.told[0][2] - start_s > 600 + SILENT_S


def test_a_door_that_an_earlier_run_told_is_not_told_again():
    doors = Doors("lobby", "yard", "gone", told=("lobby", "yard", "gone"))
    doors.silent_since["lobby"] = doors.now_s - 500
    del doors.silent_since["gone"]
    doors.run(200)
    assert [one[:2] for one in doors.told] == [(BACK, "yard")]
    assert doors.silences.reported == {"lobby"}


def test_a_database_whose_clock_jumps_alarms_nobody():
    silences = Silences(SILENT_S, GAP_S)
    silences.note([report("lobby", 1000, 1000)], 10.0)
    for turn in range(1, 60):
        reported_s = 1000 + 10 * (turn // 2) - (5000 if turn > 20 else 0)
        assert silences.note([report("lobby", reported_s, reported_s + 9000)], 10.0 + 5 * turn) == []


def test_many_doors_at_once_are_one_event_and_a_later_run_knows_them_all():
    names = [f"door {number}" for number in range(1, 8)]
    silences = Silences(SILENT_S, GAP_S)

    def read(now_s: float, reported_s: float, doors: list[str]) -> list[tuple[EventKind, str, str]]:
        reports = [report(door, reported_s, now_s) for door in doors]
        return [(one.kind, one.camera, one.reason) for one in silences.note(reports, now_s)]

    assert read(0, 0, names) == []
    for now_s in range(2, 62, 2):
        assert read(now_s, 0, names) == []
    silent, *each = read(62, 0, names)
    assert silent == (EventKind.DOORS_SILENT, "fleet", "7: door 1, door 2, door 3, …")
    assert each == [(SILENT, name, TOGETHER) for name in names]
    silences = Silences(SILENT_S, GAP_S, [name for _, name, _ in each])
    assert read(64, 0, names) == []
    back, *_ = read(66, 65, names)
    assert back == (EventKind.DOORS_BACK, "fleet", "7: door 1, door 2, door 3, …")
    assert silences.reported == set()


def test_a_few_doors_at_once_are_told_one_by_one():
    doors = Doors("a", "b", "c", "d", "e", told=("a", "b", "c", "d", "e"))
    doors.run(2)
    assert [one[:2] for one in doors.told] == [(BACK, name) for name in "abcde"]
