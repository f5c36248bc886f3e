"""What a program says of itself survives the way through JSON, and says honestly whether it sees."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gatecam.service.health import (
    STALE_S,
    CameraHealth,
    Health,
    LastAlert,
    QueueHealth,
    own_memory_mib,
    own_open_files,
)

SEES = CameraHealth("gate", "open", age_s=0.1, frames_per_s=29.9, faces=1)
HEALTH = Health(
    "1.2", 42, 3.5, "cpu", 800.0, 16, (SEES,), (QueueHealth("log", 1, 2, 3, 4),),
    LastAlert("mask_missing", "gate", "2026-11-24T02:00:00+00:00"), ("the disk is full",),
)  # fmt: skip


def test_it_survives_json_and_fields_of_a_newer_version_are_left_out():
    said = json.loads(json.dumps(HEALTH.to_dict()))
    assert said["sees"] is said["cameras"][0]["sees"] is True
    assert Health.from_dict({**said, "mood": "good"}) == HEALTH
    assert Health.from_dict(replace(HEALTH, last_alert=None).to_dict()).last_alert is None


def test_what_is_not_from_a_program_is_refused():
    with pytest.raises((KeyError, TypeError)):
        Health.from_dict({"version": "1"})


@pytest.mark.parametrize(
    "camera",
    [
        replace(SEES, state="lost", reason="gives no picture"),
        replace(SEES, state="blind", reason="dark"),
        replace(SEES, state="opening"),
        replace(SEES, age_s=None),
        replace(SEES, age_s=STALE_S),
    ],
)
def test_one_camera_that_does_not_see_is_enough(camera):
    assert SEES.sees
    assert not camera.sees
    assert not replace(HEALTH, cameras=(SEES, camera)).sees


def test_without_cameras_nothing_is_seen():
    assert not replace(HEALTH, cameras=()).sees


def test_its_own_memory_and_files_are_plausible():
    assert 10 < own_memory_mib() < 100_000
    before = own_open_files()
    with open("/dev/null"):
        assert own_open_files() == before + 1
