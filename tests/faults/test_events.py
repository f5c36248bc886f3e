"""Nothing acknowledged is lost: killed at any moment, on a disk that fills up, by a clock that jumps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gatecam import app
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, NotifyConfig
from gatecam.types import Event, EventKind, Verdict

TELLING = Path(__file__).with_name("telling.py")
WAIT_S = 30.0


@contextmanager
def telling(log: Path, *words: str):
    """The program of `telling.py`, which is gone after the block."""
    process = subprocess.Popen(
        [sys.executable, TELLING, log, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        with suppress(BrokenPipeError):
            process.communicate(timeout=WAIT_S)


def whole_lines(text: str) -> list[str]:
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


def test_killed_at_any_moment_the_log_has_every_printed_event_once_and_in_order(tmp_path):
    log = tmp_path / "events.jsonl"
    log.touch()
    printed: list[str] = []
    for read_before_kill in (1, 7, 30, 101):
        with telling(log) as process:
            lines = [process.stdout.readline() for _ in range(read_before_kill)]
            process.send_signal(signal.SIGKILL)
            rest, said = process.communicate(timeout=WAIT_S)
        assert said == ""
        printed += whole_lines("".join(lines) + rest)
        logged = log.read_text().splitlines(keepends=True)
        assert set(printed) <= set(logged)
        log.write_text(log.read_text() + '{"kind": "mask_missing", "camera": "ga')  # as a kill within a write
    with telling(log, "3") as process:
        printed += whole_lines(process.communicate("", timeout=WAIT_S)[0])
    logged = log.read_text().splitlines(keepends=True)
    assert [json.loads(line)["frame"] for line in logged] == list(range(len(logged)))
    assert [line for line in logged if line in set(printed)] == printed
    assert len(printed) >= 142


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", place], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a file system can be mounted by root alone")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_delays_events_and_loses_none(small_disk):
    log, filler = small_disk / "events.jsonl", small_disk / "filler"
    log.touch()
    with telling(log, "200") as process:
        filler.write_bytes(b"x" * 48 * 1024)  # four pages are left, for half of the events
        assert "cannot be written (No space left on device)" in process.stderr.readline()
        assert process.stderr.readline() == "trouble\n"
        early = log.read_text()
        assert early.endswith("\n")
        filler.unlink()
        assert "Events are written again" in process.stderr.readline()
        assert process.stderr.readline() == "well\n"
        printed, said = process.communicate("", timeout=WAIT_S)
    assert said == "end\n"
    assert [json.loads(line)["frame"] for line in log.read_text().splitlines()] == list(range(200))
    assert printed == log.read_text()


def test_a_clock_that_jumps_an_hour_changes_nothing_but_the_time_of_day(tmp_path, monkeypatch, capsys):
    path, hour_s = tmp_path / "events.jsonl", iter([0, -3600, 3600])
    fixed = datetime.now().astimezone()
    monkeypatch.setattr(
        "gatecam.live.parts.wall_clock",
        lambda: (fixed + timedelta(seconds=next(hour_s))).isoformat(timespec="milliseconds"),
    )
    sounded, played = threading.Semaphore(0), []

    def play(sink, event):
        played.append(event.track_id)
        sounded.release()

    monkeypatch.setattr("gatecam.notify.sound.SoundSink.send", play)
    sinks = app.build_live_sinks(Config(notify=NotifyConfig(log=str(path))), Telemetry(), print_events=True)
    for number in range(3):
        sinks.send(Event(EventKind.MASK_MISSING, "gate", number, Verdict.NONE, 10.0 * number))
    for _ in range(3):
        assert sounded.acquire(timeout=WAIT_S)
    sinks.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["track_id"] for line in lines] == played == [0, 1, 2]
    assert [line["time_s"] for line in lines] == [0, 10, 20]
    ats = [datetime.fromisoformat(line["at"]) for line in lines]
    assert [round((at - ats[0]).total_seconds()) for at in ats] == [0, -3600, 3600]
    assert capsys.readouterr().out == path.read_text()
