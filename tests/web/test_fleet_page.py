"""The page of all doors: what needs attention first, who may see it, and statistics over doors."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from gatecam.fleet.watch import Fleet
from gatecam.settings.schema import WebConfig
from gatecam.store.doors import DoorReport, ReportedCamera
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import Arrivals, EventStore
from gatecam.types import Event, EventKind, StoredEvent, Verdict
from gatecam.web.fleet_page import build_fleet_app
from gatecam.web.tokens import Role
from gatecam.web.users import FILE, Users
from tests.web.conftest import BEARER, DOOR_BEARER, METRICS_BEARER, NOW, TOKENS

SEES = ReportedCamera("gate", "open", "", True, "", 15.0, 3600.0)
BLIND = replace(SEES, camera="마당", state="blind", reason="covered", sees=False, since_s=300.0)
LOST = replace(SEES, state="lost", reason="camera gate: <no route to host>", sees=False, since_s=7200.0)
SLOW = replace(SEES, slowness="few_frames", rate=2.0)
WELL = DoorReport("north", "0.1.0", "a1b2c3d4", "openvino", 9000, 0, 0, (), (SEES,), 1, 12.0)
DOORS = (
    WELL,
    replace(
        WELL, door="south", troubles=("mqtt broker:1883: not connected yet; it is tried again.",), waiting=7
    ),
    replace(WELL, door="문 7", cameras=(SEES, BLIND)),
    replace(WELL, door="east", cameras=(SLOW,), version="0.0.9", dropped=2),
    replace(WELL, door="west", age_s=400.0),
)
FLEET = Fleet(DOORS, frozenset({"west"}), {"north": Arrivals(0, correct=3, none=1)}, NOW)


@pytest.fixture
def watch():
    """What was last read of five doors."""
    return SimpleNamespace(fleet=FLEET)


@pytest.fixture
def shared(tmp_path):
    """The database of all doors: two people of two doors, whose cameras have the same name."""
    with closing(SqliteDatabase(tmp_path / "shared.sqlite3")) as database:
        for number, door in enumerate(("north", "south")):
            at = (NOW - timedelta(days=number)).isoformat(timespec="milliseconds")
            event = Event(EventKind.MASK_OK, "gate", 1, Verdict.CORRECT, 1.0, at=at, first=True)
            EventStore(database, door).copy([StoredEvent(0, f"{number:032}", event)])
        yield EventStore(database)


@pytest.fixture
def own(tmp_path):
    """The store of the program itself."""
    with closing(EventStore(SqliteDatabase(tmp_path / "fleet.sqlite3"))) as made:
        yield made


@pytest.fixture
def site(watch, shared, own, tmp_path):
    return build_fleet_app(WebConfig(), TOKENS, watch, lambda: ("it is late.",), shared, own.audit, tmp_path)


def test_doors_come_by_what_needs_attention_first_with_all_that_they_report(browser, watch):
    told = browser.ask("GET", "/api/doors", headers=BEARER).json()
    states = [(one["door"], one["state"], one["since_s"]) for one in told["doors"]]
    assert states == [
        ("west", "silent", 400),
        ("문 7", "blind", 300),
        ("east", "slow", None),
        ("south", "trouble", None),
        ("north", "well", None),
    ]
    assert told["troubles"] == ["it is late."]
    north = told["doors"][-1]
    assert (north["people"], north["share"], north["rate"]) == (4, 0.75, 15.0)
    assert (north["version"], north["settings"], north["device"]) == ("0.1.0", "a1b2c3d4", "openvino")
    watch.fleet = replace(FLEET, today=None)
    uncounted = browser.ask("GET", "/api/doors", headers=BEARER).json()["doors"]
    assert {(one["people"], one["share"]) for one in uncounted} == {(None, None)}
    watch.fleet = Fleet()
    assert browser.ask("GET", "/api/doors", headers=BEARER).json() == {
        "read_at": None,
        "troubles": ["it is late."],
        "doors": [],
    }


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), (BEARER, 200), (DOOR_BEARER, 403), (METRICS_BEARER, 403)]
)
@pytest.mark.parametrize("path", ["/", "/api/doors", "/statistics"])
def test_only_the_operator_may_see_the_doors(browser, headers, status, path):
    answer = browser.ask("GET", path, headers=headers)
    assert answer.status_code == status
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.usefixtures("quick_hashes")
def test_a_viewer_sees_the_doors_but_no_users(browser, tmp_path, own):
    Users(tmp_path / FILE).add("lee", Role.VIEWER, "correct-horse")
    browser.log_in("correct-horse", user="lee")
    assert browser.ask("GET", "/api/doors").status_code == 200
    assert browser.ask("GET", "/api/users").status_code == 403
    assert own.audit.latest(1)[0].actor.name == "lee"


def test_statistics_are_of_a_door_or_by_door(browser, own):
    first = f"{(NOW - timedelta(days=1)).date()}"
    asked = {"first": first, "last": f"{NOW.date()}"}

    def ask(**words):
        return browser.ask("GET", "/api/statistics", params={**asked, **words}, headers=BEARER).json()

    told = ask(by="door")
    assert (told["doors"], told["cameras"]) == ([one.door for one in DOORS], ["gate", "마당"])
    assert [told["table"].count(f">{name}<") for name in ("north", "south")] == [1, 1]
    assert [ask(by="camera")["table"].count(f">{name}: gate<") for name in ("north", "south")] == [1, 1]
    assert ask(door="south")["summary"].startswith("1 person came")
    assert ask(door="south")["range"].endswith("south: all cameras")
    csv = browser.ask("GET", "/api/statistics.csv", params={**asked, "door": "north"}, headers=BEARER).text
    assert [line.split(",")[3] for line in csv.splitlines()[1:]] == ["north: gate"]
    assert own.audit.latest(1)[0].subject == f"gatecam-{first}-{NOW.date()}.csv"
