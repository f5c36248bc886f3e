"""A program that fails at once and is started again: when it waits, how long, and what it remembers."""

from __future__ import annotations

import json
import logging

import pytest

from gatecam.kiosk import restarts
from gatecam.kiosk.notify_socket import Notifier
from gatecam.kiosk.restarts import Starts, forget_starts, hold_back, in_service


class Told(Notifier):
    """A manager that remembers."""

    def __init__(self) -> None:
        super().__init__({})
        self.said: list[object] = []

    def status(self, text: str) -> None:
        self.said.append(text)

    def extend_start(self, seconds: float) -> None:
        self.said.append(seconds)


def pauses_s(lives_s: list[float]) -> list[float]:
    """How long each start was held back, where each life after going on lasts so long."""
    starts, now_s, pauses = Starts(), 1000.0, []
    for life_s in lives_s:
        starts = starts.another(now_s)
        pauses.append(starts.pause_s)
        now_s += starts.pause_s + life_s
    return pauses


def test_the_sixth_start_within_a_minute_waits_and_each_further_one_twice_as_long():
    assert pauses_s([1.0] * 13) == [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_start_every_thirteen_seconds_is_never_held_back():
    assert pauses_s([13.0] * 30) == [0.0] * 30


def test_a_minute_of_work_ends_the_pauses():
    assert pauses_s([1.0] * 7 + [61.0] + [1.0] * 6)[5:] == [2, 4, 8, 0, 0, 0, 0, 0, 2]


def test_slow_failures_keep_the_longest_pause():
    assert pauses_s([1.0] * 11 + [50.0] * 3)[10:] == [60, 60, 60, 60]


def test_times_of_another_boot_do_not_count():
    before = Starts(tuple(9000.0 + second for second in range(6)), 60.0)
    assert before.another(5.0) == Starts((5.0,), 0.0)


def test_what_is_remembered_stays_small():
    starts = Starts()
    for now_s in range(1000):
        starts = starts.another(now_s / 100)
    assert len(starts.times_s) == 6


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A service's runtime folder, and a clock that only waiting and the test move."""

    class Machine:
        now_s = 50.0
        waited_s: tuple[float, ...] = ()
        told = Told()
        folder = tmp_path
        memory = tmp_path / "starts.json"

        def wait(self, seconds: float) -> None:
            self.waited_s += (seconds,)
            self.now_s += seconds

        def start(self) -> None:
            self.now_s += 1
            hold_back(self.told, 120, self.wait)

    machine = Machine()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(restarts.time, "monotonic", lambda: machine.now_s)
    return machine


def test_a_start_that_waits_says_so_to_the_manager_and_in_the_log(machine, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            machine.start()
    assert (machine.waited_s, machine.told.said, caplog.text) == ((), [], "")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            machine.start()
    assert machine.waited_s == (2, 4)
    said = "started too often within a minute: waits 4 s before it opens the camera"
    assert machine.told.said[2:] == [said, 124]
    assert f"{said[1:]}." in caplog.text


def test_a_start_is_noted_before_the_wait_so_that_one_killed_meanwhile_counts(machine):
    for _ in range(6):
        machine.start()

    def killed(seconds: float) -> None:
        raise SystemExit

    for expected_s in (4, 8):
        machine.now_s += 1
        with pytest.raises(SystemExit):
            hold_back(machine.told, 120, killed)
        assert json.loads(machine.memory.read_text())["pause_s"] == expected_s


def test_an_end_that_was_asked_for_is_no_failure(machine):
    for _ in range(20):
        machine.start()
        forget_starts()
    assert machine.waited_s == ()
    forget_starts()  # twice does no harm


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"times_s": 5, "pause_s": 1}',
        b'{"times_s": ["x"], "pause_s": 1}',
        b'{"times_s": [NaN], "pause_s": 1}',
        b'{"times_s": [1], "pause_s": 1e9}',
        b'{"times_s": [1], "pause_s": -1}',
        b"[" * 100_000,
        b'{"times_s": [' + b"1," * 100_000,
    ],
)
def test_a_damaged_memory_is_a_first_start_and_is_written_anew(machine, damage):
    machine.memory.write_bytes(damage)
    machine.start()
    assert machine.waited_s == ()
    assert json.loads(machine.memory.read_text()) == {"times_s": [51.0], "pause_s": 0.0}


def test_a_memory_that_cannot_be_written_is_told_and_holds_nothing_up(machine, caplog):
    machine.memory.mkdir()
    for _ in range(8):
        machine.start()
    assert machine.waited_s == ()
    assert "Starts cannot be counted" in caplog.text


def test_a_planted_temporary_file_is_not_written_to(machine):
    there = machine.memory.with_name("shadow")
    there.touch()
    machine.memory.with_suffix(".new").symlink_to(there)
    machine.start()
    assert there.read_text() == ""
    assert machine.memory.stat().st_mode & 0o777 == 0o600


def test_without_any_folder_that_is_told_and_holds_nothing_up(machine, monkeypatch, caplog):
    def none():
        raise PermissionError(13, "cannot be written")

    monkeypatch.setattr(restarts, "runtime_folder", none)
    machine.start()
    forget_starts()
    assert "restarts after failures have no pauses" in caplog.text


@pytest.mark.parametrize(
    ("env", "so"),
    [
        ({}, False),
        ({"XDG_RUNTIME_DIR": "/run/user/1"}, False),
        ({"NOTIFY_SOCKET": "/run/notify"}, True),
        ({"RUNTIME_DIRECTORY": "/run/gatecam"}, True),
        ({"NOTIFY_SOCKET": ""}, False),
    ],
)
def test_a_service_is_known_by_its_environment(env, so):
    assert in_service(env) is so
