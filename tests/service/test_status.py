"""A running program answers; those that hang, died or are not gatecam's do no harm."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from gatecam.service import status
from gatecam.service.health import CameraHealth, Health
from gatecam.service.status import StatusServer, ask_all

HEALTH = Health("1.2", os.getpid(), 3.5, "cpu", cameras=(CameraHealth("gate", "open", age_s=0.1),))


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """The runtime folder."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(status, "CLIENT_LIMIT_S", 0.2)
    monkeypatch.setattr(status, "ANSWER_LIMIT_S", 0.5)
    return tmp_path / "gatecam"


def test_it_answers_while_the_block_runs_and_leaves_nothing_behind(folder):
    with StatusServer(lambda: HEALTH):
        assert [each.health for each in ask_all()] == [HEALTH]
        assert [path.name for path in folder.iterdir()] == [f"{os.getpid()}.sock"]
    assert list(folder.iterdir()) == []
    assert ask_all() == []
    assert not [thread for thread in threading.enumerate() if thread.name == "status"]


def test_clients_that_take_no_answer_hold_nobody_up(folder):
    long = Health("1.2", 1, 0.0, "cpu", troubles=("x" * 500_000,))
    with StatusServer(lambda: long):
        idle = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for client in idle:
            client.connect(str(folder / f"{os.getpid()}.sock"))
        time.sleep(0.5)  # their time is over
        assert [each.health for each in ask_all()] == [long]
        for client in idle:
            client.close()


def test_a_defect_of_the_snapshot_ends_no_thread(caplog):
    answers: Iterator[Health | Exception] = iter([ValueError("bad"), HEALTH])

    def snapshot() -> Health:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    with StatusServer(snapshot):
        assert [each.health for each in ask_all()] == [None]
        assert [each.health for each in ask_all()] == [HEALTH]
    assert "got no answer" in caplog.text


def test_what_a_killed_program_left_is_removed(folder):
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "999999.sock"))
    assert ask_all() == []
    assert list(folder.iterdir()) == []


def test_a_program_that_hangs_is_told_as_one(folder):
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(folder / "42.sock"))
        hung.listen()
        assert [(each.pid, each.health) for each in ask_all()] == [(42, None)]


def test_without_a_folder_the_program_goes_on(monkeypatch, caplog):
    def fail():
        raise OSError("no folder for sockets and locks")

    monkeypatch.setattr(status, "runtime_folder", fail)
    with StatusServer(lambda: HEALTH):
        pass
    assert "`gatecam status` will find nothing here" in caplog.text
