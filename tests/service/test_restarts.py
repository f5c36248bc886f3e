"""More than five starts in a minute wait, longer and longer; a run of a minute ends that."""

from __future__ import annotations

import json
import os

import pytest

from gatecam.service import restarts
from gatecam.service.notify_socket import Notifier
from gatecam.service.restarts import Starts, forget_starts, hold_back, in_service


@pytest.fixture(autouse=True)
def memory(monkeypatch, tmp_path):
    """Where starts are remembered."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "gatecam" / "starts.json"


def test_the_sixth_start_within_a_minute_waits_and_each_next_twice_as_long():
    starts, now_s, pauses_s = Starts(), 1000.0, []
    for _ in range(12):
        starts = starts.another(now_s)
        pauses_s.append(starts.pause_s)
        now_s += starts.pause_s + 2
    assert pauses_s == [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60]


def test_starts_that_are_far_apart_never_wait():
    starts = Starts()
    for number in range(20):
        starts = starts.another(1000.0 + 13 * number)
        assert starts.pause_s == 0


def test_a_run_of_a_minute_ends_the_pauses():
    starts = Starts((1000.0,) * 6, 60.0).another(1000.0 + 61)
    assert starts.pause_s == 0


def test_another_boot_s_starts_do_not_count():
    assert Starts((9000.0,) * 6, 60.0).another(5.0).pause_s == 0


def start() -> list[float]:
    waited: list[float] = []
    hold_back(Notifier({}), 120, waited.append)
    return waited


def test_six_programs_in_a_row_are_held_back_and_an_asked_end_forgets_them(caplog):
    assert [start() for _ in range(6)] == [[], [], [], [], [], [2.0]]
    assert "Started too often within a minute: waits 2 s" in caplog.text
    forget_starts()
    assert start() == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"times_s": [1e999], "pause_s": 0}', '{"times_s": "x"}', "[" * 9999]
)
def test_a_damaged_memory_holds_nothing_up(memory, text):
    memory.parent.mkdir()
    memory.write_text(text)
    assert start() == []
    assert len(json.loads(memory.read_text())["times_s"]) == 1


def test_a_memory_that_cannot_be_written_holds_nothing_up(monkeypatch, caplog):
    def fail():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restarts, "runtime_folder", fail)
    assert start() == []
    forget_starts()
    assert "Starts cannot be counted" in caplog.text


def test_a_service_is_known_by_its_environment():
    assert in_service({"NOTIFY_SOCKET": "/run/systemd/notify"})
    assert in_service({"RUNTIME_DIRECTORY": "/run/gatecam"})
    assert not in_service({"HOME": "/root"})
    assert in_service() == any(name in os.environ for name in ("NOTIFY_SOCKET", "RUNTIME_DIRECTORY"))
