"""`gatecam status`: at a glance for people, as JSON for programs, as an exit code for both."""

from __future__ import annotations

import json
import os
import socket

import pytest

from gatecam.cli.asking import span
from gatecam.service import status
from gatecam.service.health import CameraHealth, Health, LastAlert, QueueHealth
from gatecam.service.status import StatusServer

GATE = CameraHealth("gate", "open", "", 4000, 0.12, 29.9, 7, 1, 2)
YARD = CameraHealth("yard", "lost", "camera yard gives no picture.", 65, 70.0)
ALERT = LastAlert("mask_missing", "gate", "2026-11-24T02:00:00+00:00")


def health(*cameras: CameraHealth) -> Health:
    queues = (QueueHealth("log", 1, 2, 3, 4),)
    return Health("1.2", os.getpid(), 90_061, "cpu", 812.3, 16, cameras, queues, ALERT, ("the disk is full",))


@pytest.fixture(autouse=True)
def _no_other_gatecam(monkeypatch, tmp_path):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("gatecam.folders.SERVICE_FOLDER", tmp_path / "none")
    monkeypatch.setattr(status, "SERVICE_FOLDER", tmp_path / "none")


def test_all_well_is_zero_and_says_what_people_ask_for(gatecam):
    with StatusServer(lambda: health(GATE)):
        said = gatecam("status")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("gatecam sees (version 1.2, process ")
    for text in (
        "up 1 d 1 h",
        "on cpu",
        "812 MiB",
        "16 open files",
        "1 h 6 min",
        "0.12 s",
        "29.9",
        "the disk is full",
    ):
        assert text in said.out
    assert "Last alert: mask_missing, camera gate, at 2026-11-24" in said.out


def test_a_camera_that_does_not_see_is_one(gatecam):
    with StatusServer(lambda: health(GATE, YARD)):
        said = gatecam("status")
    assert said.code == 1
    assert "gatecam does not see" in said.out
    assert "lost: camera yard gives no picture." in said.out


def test_frames_that_nobody_judges_are_told(gatecam):
    with StatusServer(lambda: health(CameraHealth("gate", "open", age_s=60.0))):
        said = gatecam("status")
    assert (said.code, "frames are not judged" in said.out) == (1, True)


def test_json_is_one_object_a_program(gatecam):
    with StatusServer(lambda: health(GATE, YARD)):
        said = gatecam("status", "--json")
    found = json.loads(said.out)
    assert (said.code, found["sees"], [camera["sees"] for camera in found["cameras"]]) == (
        1,
        False,
        [True, False],
    )


def test_nothing_runs_is_one_sentence_and_two(gatecam):
    said = gatecam("status")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "does not run here" in said.err


def test_a_program_that_hangs_is_told(gatecam, tmp_path, monkeypatch):
    monkeypatch.setattr(status, "ANSWER_LIMIT_S", 0.3)
    folder = tmp_path / "gatecam"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(folder / "42.sock"))
        hung.listen()
        said = gatecam("status")
    assert (said.code, "process 42) does not answer: it hangs" in said.out) == (1, True)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min 0 s"), (3725, "1 h 2 min"), (200_000, "2 d 7 h")]
)
def test_spans_are_told_in_two_units(seconds, text):
    assert span(seconds) == text
