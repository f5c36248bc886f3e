"""A door reports its health to a shared database: one row for each camera, whatever the database does."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from gatecam.errors import OutputError
from gatecam.live.door_reports import DoorReporter, report_of, settings_hash
from gatecam.live.health import CameraHealth, Health, QueueHealth
from gatecam.settings.schema import (
    CameraConfig,
    Config,
    DetectorConfig,
    FleetConfig,
    MqttConfig,
    PolicyConfig,
    StoreConfig,
)
from gatecam.store import doors as store_doors
from gatecam.store.doors import Doors
from gatecam.store.engine import SqliteDatabase

GATE = CameraHealth("gate", "open", since_s=90.0, age_s=0.1, frames_per_s=14.96)
YARD = CameraHealth("마당", "blind", "covered", since_s=30.0)
HEALTH = Health(
    "0.1.0",
    7,
    3600.4,
    "openvino",
    cameras=(GATE, YARD),
    queues=(QueueHealth("mqtt", 3, dropped=1), QueueHealth("webhook", 4)),
    troubles=("the disk is full:\nmake space.",),
)
LOBBY = Config(fleet=FleetConfig(door="lobby"))


@pytest.fixture
def doors(tmp_path):
    with closing(SqliteDatabase(tmp_path / "shared.sqlite3")) as database:
        yield Doors(database)


def test_the_health_is_one_row_for_each_camera_and_replaces_the_last(doors):
    doors.report(report_of(HEALTH, LOBBY))
    doors.report(report_of(replace(HEALTH, cameras=(GATE,)), Config(fleet=FleetConfig(door="yard"))))
    (lobby, yard) = doors.all()
    assert (lobby.door, lobby.version, lobby.device, lobby.up_s) == ("lobby", "0.1.0", "openvino", 3600)
    assert (lobby.waiting, lobby.dropped) == (7, 1)
    assert lobby.troubles == ("the disk is full: make space.",)
    assert lobby.settings == yard.settings == settings_hash(LOBBY)
    gate, other = lobby.cameras
    assert (gate.camera, gate.sees, gate.rate) == ("gate", True, 15.0)
    assert (other.camera, other.state, other.reason, other.sees) == ("마당", "blind", "covered", False)
    assert 30 <= other.since_s < 40
    assert 0 <= lobby.age_s < 10
    doors.report(report_of(replace(HEALTH, cameras=(replace(GATE, age_s=60.0),)), LOBBY))
    (gate,) = doors.all()[0].cameras
    assert (gate.camera, gate.sees) == ("gate", False)
    assert 60 <= gate.since_s < 70, "it is open for longer, but does not see since its last frame"
    assert doors.forget("lobby")
    assert not doors.forget("lobby")
    assert [one.door for one in doors.all()] == ["yard"]


def test_a_door_without_cameras_and_with_an_odd_sentence_is_not_silent(doors):
    odd = replace(HEALTH, cameras=(), troubles=("/media/\udcff\0 is full: make space.",))
    assert doors.report(report_of(odd, LOBBY))
    (lobby,) = doors.all()
    assert [(one.camera, one.sees) for one in lobby.cameras] == [("", False)]
    assert lobby.troubles == ("/media/? is full: make space.",)
    doors.report(report_of(HEALTH, LOBBY))
    assert [one.camera for one in doors.all()[0].cameras] == ["gate", "마당"]


def test_of_two_programs_of_one_door_the_one_that_is_silent_counts(doors, monkeypatch):
    def report(camera: str, now_ms: int, trouble: str) -> None:
        monkeypatch.setitem(store_doors.NOW_MS, "sqlite", f"{now_ms}")
        given = replace(HEALTH, cameras=(replace(GATE, name=camera),), troubles=(trouble,))
        of[camera].report(report_of(given, LOBBY))

    of = {"gate": doors, "yard": Doors(doors._database)}
    report("gate", 1_000_000, "one.")
    report("yard", 1_001_000, "two.")
    for now_ms in range(1_020_000, 1_200_000, 20_000):
        report("gate", now_ms, "one.")
    (lobby,) = doors.all()
    assert (lobby.reported_ms, lobby.age_s) == (1_001_000, 179)
    assert lobby.troubles == ("one.", "two.")
    assert lobby.report_s == 20


def test_another_door_of_the_same_name_and_camera_is_noticed(doors, monkeypatch):
    monkeypatch.setattr("gatecam.store.doors.CHECK_EVERY", 1)
    others = Doors(doors._database)
    own = report_of(HEALTH, LOBBY)
    assert doors.report(own)
    assert others.report(replace(own, up_s=7.4))  # it may be this door after a restart
    assert not doors.report(replace(own, up_s=3620.6))
    assert not others.report(replace(own, up_s=27.0))
    assert others.report(replace(own, up_s=47.0))  # the other one is gone
    yard = replace(own.cameras[0], camera="yard")
    assert others.report(replace(own, cameras=(yard,)))
    assert doors.report(own)  # two programs of one door may watch different cameras


def test_the_hash_tells_settings_apart_but_not_doors():
    other = CameraConfig(name="yard", source="1")
    same = Config(camera=other, store=StoreConfig(url="postgresql://db/gatecam"), fleet=FleetConfig(door="a"))
    assert settings_hash(same) == settings_hash(Config())
    topic, zone = MqttConfig(topic="hall"), DetectorConfig(ignore=((0.0, 0.0, 0.2, 0.2),), min_face_px=40)
    assert settings_hash(Config(mqtt=topic, detector=zone)) == settings_hash(Config())
    assert settings_hash(Config(detector=DetectorConfig(detect_every=7))) != settings_hash(Config())
    assert settings_hash(Config(policy=PolicyConfig(remind_s=99))) != settings_hash(Config())


class FailingDoors(Doors):
    """Fails twice, then takes reports."""

    def __init__(self) -> None:
        self.faults: list[Exception] = [RuntimeError("odd"), OutputError("the database is away.")]
        self.others = [False, True, False]
        self.taken = threading.Event()

    def report(self, given) -> bool:
        if self.faults:
            raise self.faults.pop()
        if self.others:
            return self.others.pop()
        self.taken.set()
        return True


def test_a_database_that_fails_is_told_once_and_stops_no_report():
    doors, said = FailingDoors(), []
    config = LOBBY.model_copy(update={"fleet": LOBBY.fleet.model_copy(update={"report_s": 0.01})})
    with closing(DoorReporter(doors, lambda: HEALTH, config, said.append)):
        assert doors.taken.wait(10)
    twice = "another door with the name lobby reports as well: give each a name of its own with fleet.door."
    odd = "the health of this door was not reported (RuntimeError: odd)."
    assert said == ["the database is away.", odd, twice, None, twice, None]
