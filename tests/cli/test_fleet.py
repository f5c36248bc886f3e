"""`gatecam fleet`: the page of all doors with alerts to the outputs, its errors, and a door that is gone."""

from __future__ import annotations

import builtins
import json
import threading
from contextlib import closing
from dataclasses import replace

import pytest

pytest.importorskip("fastapi")
import httpx

from gatecam import app
from gatecam.errors import OutputError
from gatecam.runtime.folders import state_folder
from gatecam.runtime.stopping import Stop
from gatecam.settings.schema import Config, StoreConfig, WebConfig, WebhookConfig
from gatecam.store.doors import DoorReport, ReportedCamera
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore
from gatecam.types import Event, EventKind, StoredEvent, Verdict
from gatecam.web.tokens import load_tokens
from tests.receiver import Receiver
from tests.streams import free_port

URL = "postgresql://gatecam@db.example/gatecam"
CAMERA = ReportedCamera("gate", "open", "", True, "", 15.0, 60.0)
LOBBY = DoorReport("lobby", "0.1.0", "a1b2c3d4", "cpu", 60, 0, 0, (), (CAMERA,))
AT = "2026-11-24T12:00:00+00:00"
SILENT = Event(EventKind.DOOR_SILENT, "lobby", 0, Verdict.UNKNOWN, 1.0, reason="silent", at=AT)


@pytest.fixture
def shared(monkeypatch, tmp_path):
    """A file in place of the PostgreSQL database of two doors, one of which has an event."""
    path = tmp_path / "shared.sqlite3"
    monkeypatch.setattr("gatecam.store.engine.PostgresDatabase", lambda url: SqliteDatabase(path))
    with closing(EventStore(SqliteDatabase(path), "lobby")) as made:
        made.doors.report(LOBBY)
        made.doors.report(replace(LOBBY, door="yard"))
        made.copy([StoredEvent(0, "a" * 32, replace(SILENT, kind=EventKind.MASK_OK))])
        yield made


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


def test_the_page_and_the_alerts_of_a_fleet(gatecam, shared, tmp_path, receiver, monkeypatch):
    path = tmp_path / "own" / "events.sqlite3"
    config = Config(
        store=StoreConfig(path=str(path), url=URL),
        web=WebConfig(port=free_port()),
        webhook=WebhookConfig(url=f"http://127.0.0.1:{receiver.port}/hook"),
    )
    with closing(EventStore(SqliteDatabase(path.with_name("fleet.sqlite3")))) as alerts:
        alerts.append([SILENT])  # told by an earlier run; the output gets events from now on
        alerts.cursor("webhook")
    opened, open_one = [], app.open_shared_store
    monkeypatch.setattr(app, "open_shared_store", lambda one: opened.append(one) or open_one(one))
    stop = Stop()
    running = threading.Thread(target=app.watch_fleet, args=(config, stop))
    running.start()
    try:
        told = json.loads(receiver.requests.get(timeout=30).body)
        headers = {"Authorization": f"Bearer {load_tokens(state_folder()).operator}"}
        page = httpx.get(f"http://127.0.0.1:{config.web.port}/api/doors", headers=headers).json()
        assert len(opened) == 2, "statistics have connections of their own"
        with pytest.raises(OutputError, match="another `gatecam fleet` uses it: end that program"):
            app.watch_fleet(config, Stop())
    finally:
        stop()
        running.join(30)
    assert (told["kind"], told["camera"], told["reason"]) == ("door_back", "lobby", "silent")
    assert [(one["door"], one["state"]) for one in page["doors"]] == [("lobby", "well"), ("yard", "well")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "store.url: name the database that the doors share there, or with --store."),
        (("--store", "mysql://db/gatecam"), "--store: expected text such as "),
        (("--store", "postgresql://db:port/gatecam"), "--store: expected an address such as "),
        (("--store", "postgresql://gatecam@127.0.0.1:9/x"), "the database cannot be used (connection failed"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_in_one_sentence(gatecam, words, said):
    ended = gatecam("fleet", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_library_that_is_missing_is_named(gatecam, monkeypatch):
    whole = builtins.__import__

    def refuse(name, *words, **more):
        if name == "psycopg":
            raise ImportError(name)
        return whole(name, *words, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    ended = gatecam("fleet", "--store", URL)
    assert ended.code == 2
    assert "PostgreSQL needs the extra [postgres]: install it with" in ended.err


def test_erasing_on_the_machine_that_shows_all_doors_names_nobody_in_the_database(
    gatecam, shared, monkeypatch
):
    monkeypatch.setenv("GATECAM_STORE_URL", URL)
    monkeypatch.setenv("GATECAM_FLEET_DOOR", "lobby")
    with closing(EventStore(SqliteDatabase(state_folder() / "fleet.sqlite3"))) as own:
        assert "1 events and all totals erased" in gatecam("privacy", "--erase", "--yes").out
        (noted,) = own.audit.latest(9)
    assert noted.subject.startswith("events in ")
    assert (shared.count(), shared.audit.latest(9)) == (0, [])


def test_a_door_that_is_gone_is_forgotten_with_its_events(gatecam, shared):
    assert (
        "expected one of lobby, yard, got 'moon'" in gatecam("fleet", "--store", URL, "--forget", "moon").err
    )
    assert "expected one of" in gatecam("fleet", "--store", URL, "--forget", "", "--yes").err
    own = EventStore(SqliteDatabase(state_folder() / "fleet.sqlite3"))
    ended = gatecam("fleet", "--store", URL, "--forget", "lobby", "--yes")
    assert (ended.code, ended.out) == (0, "lobby: deleted, with 1 events.\n")
    assert [one.door for one in shared.doors.all()] == ["yard"]
    assert shared.count() == 0
    (noted,) = own.audit.latest(9)
    assert (noted.act, noted.subject, noted.before) == ("erasure", "lobby", "1")
    assert shared.audit.latest(9) == []
    assert f"{state_folder() / 'fleet.sqlite3'}" in gatecam("privacy").out.replace("\n", "")
    own.close()
    made = EventStore(shared._database, "attic")  # gone for long, so only its events are left
    made.copy([StoredEvent(0, "b" * 32, SILENT)])
    ended = gatecam("fleet", "--store", URL, "--forget", "moon")
    assert "expected one of attic, yard, got 'moon'" in ended.err
    assert (
        gatecam("fleet", "--store", URL, "--forget", "attic", "--yes").out
        == "attic: deleted, with 1 events.\n"
    )
