"""`gatecam status`: what a person reads at a glance, what a program reads, and the exit codes."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from gatecam.cli.status import span
from gatecam.live import status
from gatecam.live.health import CameraHealth, Health, LastAlert, QueueHealth
from gatecam.live.status import StatusServer
from gatecam.runtime import folders

PID = os.getpid()
GATE = CameraHealth("gate", "open", "", 7260.0, 0.083, 29.7, 12, 1, 2)
YARD = CameraHealth("yard [b]", "lost", "no frame for 3 s", 12.0, 15.0, restarts=3)


def health(*cameras: CameraHealth, **more: object) -> Health:
    return Health("0.1.0", PID, 93_784.0, "cuda:0", cameras=cameras, **more)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """The only folder in which programs run."""
    folder = tmp_path / "run"
    folder.mkdir(0o700)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for room in (folders, status):
        monkeypatch.setattr(room, "SERVICE_FOLDER", tmp_path / "service")
    return folder


def test_a_program_that_sees_is_told_in_tables_and_exits_0(gatecam, folder):
    full = health(
        GATE,
        memory_mib=812.4,
        open_files=44,
        queues=(QueueHealth("log", 1, 20, 3, 4),),
        last_alert=LastAlert("mask_missing", "gate", "2026-11-23T14:05:09.123+00:00"),
    )
    with StatusServer(lambda: full):
        ended = gatecam("status")
    assert (ended.code, ended.err) == (0, "")
    head = f"gatecam sees (version 0.1.0, process {PID}), up 1 d 2 h, on cuda:0, 812 MiB, 44 open files\n"
    assert ended.out.startswith(head)
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in ended.out.splitlines() if "│" in line
    ]
    assert rows == [
        ["gate", "sees", "2 h 1 min", "0.08 s", "29.7", "2", "12", "1"],
        ["log", "1", "20", "3", "4"],
    ]
    assert "Last alert: mask_missing, camera gate, at 2026-11-23T14:05:09.123+00:00.\n" in ended.out


def test_a_camera_that_does_not_see_is_told_with_its_reason_and_exits_1(gatecam, folder):
    with StatusServer(lambda: health(GATE, YARD, troubles=("the disk of the event log is full",))):
        ended = gatecam("status")
    assert ended.code == 1
    assert ended.out.startswith("gatecam does not see")
    assert "\nthe disk of the event log is full\n" in ended.out
    assert "│ yard [b] │ lost: no frame for 3 s │ 12 s" in ended.out
    assert "none since the start" in ended.out


def test_a_program_that_is_too_slow_says_so_everywhere_and_exits_1(gatecam, folder):
    slow = health(
        replace(GATE, slowness="few_frames"), troubles=("camera gate: too slow: …",), cores_in_use=1.0
    )
    with StatusServer(lambda: slow):
        ended, as_json = gatecam("status"), gatecam("status", "--json")
    assert (ended.code, as_json.code) == (1, 1)
    assert ended.out.startswith("gatecam sees and is too slow (")
    assert "100% of the cores in use" in ended.out
    assert "\ncamera gate: too slow: …\n" in ended.out
    assert "│ gate   │ sees, too slow │" in ended.out
    said = json.loads(as_json.out)
    assert (said["too_slow"], said["sees"], said["cameras"][0]["slowness"]) == (True, True, "few_frames")


def test_frames_that_nobody_judges_are_no_sight(gatecam, folder):
    with StatusServer(lambda: health(CameraHealth("gate", "open", age_s=60.0))):
        ended = gatecam("status")
    assert ended.code == 1
    assert "frames are not judged" in ended.out


def test_json_is_one_object_a_line(gatecam, folder):
    with StatusServer(lambda: health(GATE, YARD)):
        ended = gatecam("status", "--json")
    assert ended.code == 1
    (line,) = ended.out.splitlines()
    said = json.loads(line)
    assert Health.from_dict(said) == health(GATE, YARD)
    assert said["sees"] is False


def test_a_program_that_hangs_exits_1(gatecam, folder):
    def hangs() -> Health:
        raise RuntimeError("the snapshot's lock is held")

    with StatusServer(hangs):
        ended, as_json = gatecam("status"), gatecam("status", "--json")
    assert (ended.code, ended.out) == (1, f"gatecam (process {PID}) does not answer: it hangs.\n")
    assert (as_json.code, json.loads(as_json.out)) == (1, {"pid": PID, "sees": False})


def test_where_none_runs_one_sentence_says_so_and_exits_2(gatecam, folder):
    ended = gatecam("status")
    said = "gatecam: gatecam does not run here: start it with `gatecam run` or as a service.\n"
    assert (ended.code, ended.out, ended.err) == (2, "", said)


def test_a_service_that_only_root_reaches_is_named(gatecam, folder, monkeypatch, tmp_path):
    (tmp_path / "service").mkdir(0o700)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    ended = gatecam("status")
    assert ended.code == 2
    assert "ask it as root, with `sudo gatecam status`" in ended.err


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (42.4, "42 s"), (60, "1 min 0 s"), (3_725, "1 h 2 min"), (200_000, "2 d 7 h")],
)
def test_a_length_of_time_is_told_in_its_two_largest_units(seconds, said):
    assert span(seconds) == said
