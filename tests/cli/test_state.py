"""Whose data `events`, `report`, `privacy` and `token` answer for: the service's or the user's own."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore
from gatecam.types import Event, EventKind, Verdict
from gatecam.web.tokens import Role, load_tokens

COMMANDS = [("events",), ("report",), ("privacy",), ("token",)]
SERVICE_USER = 65534


def store_of(path: Path, camera: str) -> None:
    at = datetime.now().astimezone().isoformat(timespec="milliseconds")
    with closing(EventStore(SqliteDatabase(path))) as store:
        store.append([Event(EventKind.MASK_MISSING, camera, 1, Verdict.NONE, 1.0, at=at, first=True)])


@pytest.fixture
def service(gatecam, tmp_path, monkeypatch) -> Path:
    """The data folder of a service, with an event of the camera `hall` and settings of its own."""
    folder, settings = tmp_path / "var-lib", tmp_path / "etc.yaml"
    store_of(folder / "hall.sqlite3", "hall")
    settings.write_text("store: {path: hall.sqlite3}\nnotify: {log: log.jsonl}\nweb: {port: 8111}")
    (folder / "log.jsonl").write_text("x")
    monkeypatch.setattr("gatecam.runtime.folders.SERVICE_STATE", folder)
    monkeypatch.setattr("gatecam.runtime.folders.SERVICE_CONFIG", settings)
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setenv("COLUMNS", "400")
    return folder


@pytest.fixture
def other_user(service, monkeypatch) -> None:
    """Neither root nor the service's user asks."""
    monkeypatch.setattr("os.getuid", lambda: service.stat().st_uid + 1000)


@pytest.mark.parametrize("words", COMMANDS)
def test_root_gets_the_services_data_and_is_told_so(gatecam, service, words):
    ended = gatecam(*words)
    assert ended.code == 0
    assert (
        f"answers for the service: data of {service}, settings of {service.parent / 'etc.yaml'}" in ended.err
    )
    if words != ("token",):
        assert str(service / "hall.sqlite3") in ended.out.replace("\n", "") or "hall" in ended.out


def test_the_services_own_user_gets_them_too(gatecam, service, monkeypatch):
    monkeypatch.setattr("os.getuid", lambda: service.stat().st_uid)
    assert "hall" in gatecam("events").out


def test_privacy_erases_the_services_events_and_its_log(gatecam, service):
    ended = gatecam("privacy", "--erase", "--yes")
    assert ended.code == 0
    assert f"{service / 'hall.sqlite3'}: 1 events and all totals erased." in ended.out
    assert (service / "log.jsonl").read_text() == ""


def test_a_token_is_the_services_and_its_link_leads_to_the_services_port(gatecam, service):
    token = gatecam("token", "door").out.strip()
    assert token == load_tokens(service).of(Role.DOOR)
    assert gatecam("token", "door", "--link").out == f"http://127.0.0.1:8111/login#token={token}\n"


def test_a_settings_file_that_is_given_wins(gatecam, service, tmp_path):
    store_of(tmp_path / "own.sqlite3", "own")
    (tmp_path / "own.yaml").write_text(f"store: {{path: {tmp_path / 'own.sqlite3'}}}")
    ended = gatecam("events", "--config", tmp_path / "own.yaml")
    assert "hall" not in ended.out
    assert "own" in ended.out
    assert "service" not in ended.err
    assert "hall" in gatecam("events", "--config", tmp_path / "etc.yaml").out


def test_another_state_folder_in_the_environment_wins(gatecam, service, tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "other"))
    store_of(tmp_path / "other" / "events.sqlite3", "other")
    assert "other" in gatecam("events").out
    monkeypatch.setenv("STATE_DIRECTORY", str(service))  # as in a container
    assert "hall" in gatecam("events").out


@pytest.mark.parametrize("words", [*COMMANDS, ("privacy", "--erase", "--yes")])
def test_another_user_without_data_is_told_to_ask_as_root(gatecam, other_user, service, words):
    ended = gatecam(*words)
    assert (ended.code, ended.out) == (2, "")
    asked = "privacy --erase" if "--erase" in words else words[0]
    assert f"its data are in {service}: ask as root, with `sudo gatecam {asked}`." in ended.err


def test_another_user_with_data_of_his_own_gets_these(gatecam, other_user, tmp_path):
    store_of(tmp_path / "data" / "gatecam" / "events.sqlite3", "own")
    ended = gatecam("events")
    assert "own" in ended.out
    assert ended.err == ""


@pytest.mark.skipif(os.getuid() != 0, reason="wants root, who may give files away")
def test_what_root_leaves_in_the_services_folder_is_the_services(gatecam, service):
    for path in (service, *service.iterdir()):
        os.chown(path, SERVICE_USER, SERVICE_USER)
    with closing(EventStore(SqliteDatabase(service / "hall.sqlite3"))) as store:
        store.count()
        made = {path.name for path in service.iterdir()}
        assert made >= {"hall.sqlite3", "hall.sqlite3-wal", "hall.sqlite3-shm"}
        assert gatecam("token").code == gatecam("events").code == 0
        assert gatecam("privacy", "--erase", "--yes").code == 0
        assert {path.name: path.stat().st_uid for path in service.iterdir()} == {
            path.name: SERVICE_USER for path in service.iterdir()
        }
