"""What a program says of itself: when it sees, and that it comes back whole from JSON."""

from __future__ import annotations

import json

import pytest

from gatecam.live.health import (
    STALE_S,
    CameraHealth,
    Health,
    LastAlert,
    QueueHealth,
    own_memory_mib,
    own_open_files,
)

SEEING = CameraHealth("gate", "open", since_s=60.0, age_s=0.05, frames_per_s=29.7, faces=2)
LOST = CameraHealth("yard", "lost", "no frame for 3 s", 12.0, 15.0, restarts=3)


def health(*cameras: CameraHealth) -> Health:
    return Health("0.1.0", 4711, 3600.0, "cpu", cameras=cameras)


@pytest.mark.parametrize(
    ("camera", "sees"),
    [
        (SEEING, True),
        (LOST, False),
        (CameraHealth("gate", "blind", "covered", age_s=0.05), False),
        (CameraHealth("gate", "open", age_s=None), False),  # nothing judged yet
        (CameraHealth("gate", "open", age_s=STALE_S - 0.1), True),
        (CameraHealth("gate", "open", age_s=STALE_S), False),
        (CameraHealth("gate", "open", age_s=STALE_S, stale_s=60.0), True),
    ],
)
def test_a_camera_sees_when_it_is_open_and_its_frames_are_judged(camera, sees):
    assert camera.sees is sees


def test_the_program_sees_when_every_camera_does():
    assert health(SEEING, SEEING).sees
    assert not health(SEEING, LOST).sees
    assert not health().sees


def test_it_comes_back_whole_from_json():
    full = Health(
        "0.1.0",
        4711,
        3600.0,
        "cuda:0",
        812.5,
        44,
        (SEEING, LOST),
        (QueueHealth("log", 1, 20, 2, 3),),
        LastAlert("mask_missing", "gate", "2026-11-23T14:05:09.123+00:00"),
        ("the disk of the event log is full",),
    )
    for one in (full, health()):
        assert Health.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_json_tells_who_sees():
    given = health(SEEING, LOST).to_dict()
    assert given["sees"] is False
    assert [camera["sees"] for camera in given["cameras"]] == [True, False]


def test_fields_of_a_newer_version_are_left_out():
    given = health(SEEING).to_dict()
    given["mood"] = "good"
    given["cameras"][0]["colour"] = "grey"
    assert Health.from_dict(given) == health(SEEING)


@pytest.mark.parametrize("given", [{}, {**health().to_dict(), "cameras": None}, {"cameras": []}])
def test_what_is_no_health_is_refused(given):
    with pytest.raises((KeyError, TypeError)):
        Health.from_dict(given)


def test_a_process_knows_its_memory_and_its_files(tmp_path):
    before = own_open_files()
    with (tmp_path / "file").open("w"):
        assert own_open_files() == before + 1
    assert 5 < own_memory_mib() < 100_000
