"""`gatecam report`: a page on a day that says what the store holds, and loads nothing from elsewhere."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gatecam.store.doors import DoorReport, ReportedCamera
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore, Total
from gatecam.types import Event, EventKind, StoredEvent, Verdict

NOON = datetime(2026, 11, 24, 12).astimezone()


def event(kind: EventKind, verdict: Verdict, after_s: float, camera: str = "gate", **more) -> Event:
    at = (NOON + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")
    return Event(kind, camera, 3, verdict, 1.5, at=at, **more)


@pytest.fixture
def kept(gatecam, tmp_path) -> Path:
    """A store of one day, where the command looks for it."""
    path = tmp_path / "data" / "gatecam" / "events.sqlite3"
    missing, ok = EventKind.MASK_MISSING, EventKind.MASK_OK
    with closing(EventStore(SqliteDatabase(path))) as store:
        store.append([event(ok, Verdict.CORRECT, i, first=True) for i in range(3)])
        store.append([event(missing, Verdict.NONE, 3600, "yard <b>", first=True)])
        store.append([event(ok, Verdict.CORRECT, 3610, "yard <b>", came_s=-8.5)])
        store.append([event(EventKind.CAMERA_BLIND, Verdict.UNKNOWN, 7200, reason="covered")])
        store.append([event(EventKind.CAMERA_OK, Verdict.UNKNOWN, 7290, reason="covered")])
        store.append([event(missing, Verdict.NONE, 86_400, first=True)])
        store.add_totals([Total("2026-11-24", "gate", 17, 12), Total("2026-11-24", "yard <b>", 17, 11)])
    return path


def test_a_day_is_a_page_and_a_sentence(gatecam, kept, tmp_path):
    ended = gatecam("report", "--day", "2026-11-24")
    said = "4 people came; 75 % wore their mask right (3), 0 wrong, 1 had none. "
    said += "1 put a mask on after an alert."
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"2026-11-24: {said}\nThe page is report-2026-11-24.html, from {kept}.\n"
    page = (tmp_path / "report-2026-11-24.html").read_text()
    assert said in page
    assert "<title>12: mask worn right 3</title>" in page
    assert "<title>13: no mask 1</title>" in page
    assert "<title>11-24: 75 %</title>" in page
    assert '<th scope="row">gate</th><td>The camera is covered</td><td>14:00:00</td><td>0:01:30</td>' in page
    assert '<th scope="row">none</th><td>female</td><td>&gt;=60</td><td>23</td>' in page
    assert "None yet." not in page
    assert "방문자 4명 중 75%가 마스크를 올바르게 착용했습니다(3명)." in page
    assert '<th scope="row">미착용</th><td>여성</td><td>60세 이상</td><td>23</td>' in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_one_camera_alone(gatecam, kept, tmp_path):
    out = tmp_path / "yard.html"
    ended = gatecam("report", "--day", "2026-11-24", "--camera", "yard <b>", "--out", out)
    assert "1 person came" in ended.out
    page = out.read_text()
    assert "yard &lt;b&gt;" in page
    assert "yard <b>" not in page
    assert "covered" not in page


def test_totals_are_those_of_the_file_while_a_server_answers_for_events(gatecam, kept, tmp_path, monkeypatch):
    share(monkeypatch, tmp_path / "server.sqlite3", {})
    total = '<th scope="row">none</th><td>female</td><td>&gt;=60</td><td>23</td>'
    for is_file in (True, False):
        assert "Nobody came" in gatecam("report", "--day", "2026-11-24").out
        assert (total in (tmp_path / "report-2026-11-24.html").read_text()) == is_file
        kept.unlink(missing_ok=True)


@pytest.fixture
def shared(monkeypatch, tmp_path) -> None:
    """A database of two doors whose cameras have one name. This machine is the first of them."""
    blind = event(EventKind.CAMERA_BLIND, Verdict.UNKNOWN, -1800, reason="dark")
    came = event(EventKind.MASK_MISSING, Verdict.NONE, 0, first=True)
    share(
        monkeypatch,
        tmp_path / "server.sqlite3",
        {"lobby": [blind], "yard": [came, replace(blind, reason="lost")]},
    )
    monkeypatch.setenv("GATECAM_FLEET_DOOR", "lobby")


def share(monkeypatch, path: Path, doors: dict[str, list[Event]]) -> None:
    """Let a file stand for the PostgreSQL database of doors."""
    for door, given in doors.items():
        with closing(EventStore(SqliteDatabase(path), door)) as store:
            store.copy([StoredEvent(0, f"{door}{number}", one) for number, one in enumerate(given)])
    monkeypatch.setattr("gatecam.store.engine.PostgresDatabase", lambda url: SqliteDatabase(path))
    monkeypatch.setenv("GATECAM_STORE_URL", "postgresql://db.example/gatecam")


DARK, LOST = "It is too dark", "The camera gives no picture"


@pytest.mark.parametrize(
    ("words", "people", "title", "outages", "has_totals"),
    [
        ([], "Nobody came", "lobby: all cameras", {("gate", DARK)}, True),
        (["--door", "lobby"], "Nobody came", "lobby: all cameras", {("gate", DARK)}, True),
        (["--door", "yard", "--camera", "gate"], "1 person came", "yard: gate", {("gate", LOST)}, False),
        (
            ["--door", "all"],
            "1 person came",
            "2026-11-24, all cameras",
            {("lobby: gate", DARK), ("yard: gate", LOST)},
            False,
        ),
    ],
)
def test_a_day_is_that_of_one_door_or_of_all(
    gatecam, kept, shared, tmp_path, monkeypatch, words, people, title, outages, has_totals
):
    monkeypatch.setattr(EventStore, "every", None)  # all doors have too many events to read each of them
    ended = gatecam("report", "--day", "2026-11-24", *words)
    assert (ended.code, ended.err) == (0, "")
    assert people in ended.out
    page = (tmp_path / "report-2026-11-24.html").read_text()
    assert title in page
    assert ("<td>23</td>" in page) == has_totals
    rows = re.findall('<th scope="row">([^<]*)</th><td>(It is too dark|The camera gives no picture)', page)
    assert set(rows) == outages


@pytest.mark.parametrize(
    ("words", "cameras"),
    [
        ([], ["gate"]),
        (["--door", "yard"], ["gate", "gate"]),
        (["--door", "all", "--camera", "gate"], ["lobby: gate", "yard: gate", "yard: gate"]),
    ],
)
def test_events_are_those_of_one_door_or_of_all(gatecam, shared, words, cameras):
    ended = gatecam("events", "--format", "json", *words)
    assert [json.loads(line)["camera"] for line in ended.out.splitlines()] == cameras


def test_a_door_named_all_reads_its_own_events(gatecam, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("GATECAM_FLEET_DOOR", "all")
    with closing(EventStore(SqliteDatabase(tmp_path / "server.sqlite3"), "all")) as store:
        store.copy([StoredEvent(0, "all", event(EventKind.MASK_MISSING, Verdict.NONE, 0, "hall"))])
    cameras = [json.loads(line)["camera"] for line in gatecam("events", "--format", "json").out.splitlines()]
    assert cameras == ["hall"]


@pytest.mark.parametrize("command", ["report", "events"])
def test_a_door_that_is_not_there_is_told_with_those_that_are(gatecam, shared, monkeypatch, command):
    expected = "--door: expected one of lobby, yard or all, "
    assert f"{expected}got 'moon'" in gatecam(command, "--door", "moon").err
    monkeypatch.setenv("GATECAM_FLEET_DOOR", "moon")  # as on a machine that only watches doors
    ended = gatecam(command)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert f"{expected}because 'moon' (fleet.door) has no events there" in ended.err
    monkeypatch.delenv("GATECAM_STORE_URL")
    assert "--door: expected store.url in the settings" in gatecam(command, "--door", "yard").err


def test_a_day_on_which_nobody_came(gatecam, kept, tmp_path):
    assert "Nobody came whose mask could be judged." in gatecam("report", "--day", "2020-01-01").out
    page = (tmp_path / "report-2020-01-01.html").read_text()
    assert "<h2>Gender and age</h2>" in page
    assert "<p>None yet.</p></main>" in page


def test_an_outage_over_midnight_stands_on_each_of_its_days(gatecam, kept, tmp_path):
    blind, ok, unknown = EventKind.CAMERA_BLIND, EventKind.CAMERA_OK, Verdict.UNKNOWN
    tomorrow_s, day_s = 12 * 3600, 86_400
    with closing(EventStore(SqliteDatabase(kept))) as store:
        store.append([event(blind, unknown, tomorrow_s - 600, "cellar", reason="lost")])
        store.append([event(blind, unknown, tomorrow_s - 300, "yard <b>", reason="dark")])
        store.append([event(EventKind.MASK_MISSING, Verdict.NONE, tomorrow_s - 60, "yard <b>", first=True)])
        store.append([event(ok, unknown, tomorrow_s + day_s + 90, "cellar", reason="lost")])
    cells = {}
    for day in (24, 25, 26, 27):
        gatecam("report", "--day", f"2026-11-{day}")
        page = (tmp_path / f"report-2026-11-{day}.html").read_text()
        cells[day] = re.findall("<td>The camera gives no picture</td><td>(.*?)</td><td>(.*?)</td>", page)
        dark = re.findall("<td>It is too dark for the camera</td><td>(.*?)</td><td>(.*?)</td>", page)
        assert dark == ([("23:55:00", "0:04:00")] if day == 24 else [])  # somebody was seen since
    beyond = "beyond the day, or unknown"
    assert cells == {
        24: [("23:50:00", beyond)],
        25: [("before the day", beyond)],
        26: [("before the day", "0:01:30")],
        27: [],
    }


def test_an_outage_of_a_camera_that_its_door_has_no_longer_ends_with_its_day(gatecam, shared, tmp_path):
    with closing(EventStore(SqliteDatabase(tmp_path / "server.sqlite3"), "attic")) as store:
        for number, camera in enumerate(("gate", "cellar")):
            blind = event(EventKind.CAMERA_BLIND, Verdict.UNKNOWN, -1800, camera, reason="lost")
            store.copy([StoredEvent(0, f"attic{number}", blind)])
        cellar = ReportedCamera("cellar", "lost", "", False, "", 0.0, 60.0)
        store.doors.report(DoorReport("attic", "0.1.0", "", "cpu", 60, 0, 0, (), (cellar,)))
    rows = {}
    for day in ("24", "25"):
        for door in ("attic", "all"):
            gatecam("report", "--day", f"2026-11-{day}", "--door", door)
            page = (tmp_path / f"report-2026-11-{day}.html").read_text()
            found = re.findall('<th scope="row">([^<]*)</th><td>The camera gives no picture', page)
            rows[day, door] = found
    assert rows["24", "attic"] == ["gate", "cellar"]
    assert rows["25", "attic"] == ["cellar"]
    assert {"attic: gate", "attic: cellar"} < set(rows["24", "all"])
    assert "attic: cellar" in rows["25", "all"]
    assert "attic: gate" not in rows["25", "all"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--day", "24.11."], "--day: expected a day such as 2026-11-24, got '24.11.'"),
        (["--day", "9999-12-31"], "--day: expected a day of the years 1970 to 9998, got '9999-12-31'"),
        (["--day", "0001-01-01"], "--day: expected a day of the years 1970 to 9998, got '0001-01-01'"),
        (["--camera", "door"], "--camera: expected one that events tell of (gate, yard <b>), got 'door'"),
        (["--out", "missing/page.html"], "missing/page.html: cannot be written"),
    ],
)
def test_words_that_mean_nothing_are_one_sentence(gatecam, kept, words, said):
    ended = gatecam("report", *words)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert said in ended.err
