"""A running program answers on its socket, whoever else connects, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gatecam.live import status
from gatecam.live.health import CameraHealth, Health, own_open_files
from gatecam.live.status import Answer, StatusServer, ask_all, out_of_reach
from gatecam.runtime import folders

PID = os.getpid()
HEALTH = Health("0.1.0", PID, 1.0, "cpu", cameras=(CameraHealth("gate", "open", age_s=0.1),))
SERVER = """
import os, signal
from gatecam.live.health import Health
from gatecam.live.status import StatusServer
with StatusServer(lambda: Health("0.1.0", os.getpid(), 1.0, "cpu")):
    print("up", flush=True)
    signal.pause()
"""


@pytest.fixture
def folder(monkeypatch, tmp_path) -> Path:
    """The only folder in which programs run."""
    folder = tmp_path / "run"
    folder.mkdir(0o700)
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for room in (folders, status):
        monkeypatch.setattr(room, "SERVICE_FOLDER", tmp_path / "service")
    return folder


@contextmanager
def another_program(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A second program that answers, killed at the end."""
    env = {**os.environ, "RUNTIME_DIRECTORY": str(folder)}
    words = [sys.executable, "-c", SERVER]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "up\n"
            yield program
        finally:
            program.kill()


@contextmanager
def a_listener(path: Path) -> Iterator[socket.socket]:
    """Something else than gatecam behind a socket of the right name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(str(path))  # waits while too many others do
    client.settimeout(10)
    return client


def test_the_socket_is_its_users_alone(folder, no_umask):
    with StatusServer(pytest.fail):
        (path,) = folder.iterdir()
        assert path.stat().st_mode & 0o777 == 0o600


def test_whoever_asks_hears_the_snapshot_of_that_moment(folder):
    moments = iter([1.0, 2.0])
    with StatusServer(lambda: Health("0.1.0", PID, next(moments), "cpu")):
        heard = [ask_all()[0].health.up_s, ask_all()[0].health.up_s]
    assert heard == [1.0, 2.0]


def test_the_socket_and_the_thread_go_with_the_block(folder):
    before, threads = own_open_files(), threading.active_count()
    with StatusServer(lambda: HEALTH):
        assert [path.name for path in folder.iterdir()] == [f"{PID}.sock"]
    assert list(folder.iterdir()) == []
    assert (own_open_files(), threading.active_count()) == (before, threads)
    assert ask_all() == []


def test_clients_that_say_nothing_hold_nobody_up(folder):
    with StatusServer(lambda: HEALTH), ExitStack() as silent:
        for _ in range(50):
            silent.enter_context(connected(folder / f"{PID}.sock"))
        assert ask_all() == [Answer(PID, HEALTH)]


def test_a_client_that_does_not_take_its_answer_is_left(folder, monkeypatch):
    monkeypatch.setattr(status, "CLIENT_LIMIT_S", 0.1)
    many = Health("0.1.0", PID, 1.0, "cpu", troubles=("x" * 900_000,))  # more than a socket holds
    with StatusServer(lambda: many), connected(folder / f"{PID}.sock") as client:
        assert ask_all() == [Answer(PID, many)]
        received = 0
        while part := client.recv(65536):
            received += len(part)
        assert received < 900_000


def test_two_hundred_clients_later_nothing_is_left_open(folder):
    with StatusServer(lambda: HEALTH):
        ask_all()
        before = own_open_files()
        for _ in range(200):
            connected(folder / f"{PID}.sock").close()
        assert ask_all() == [Answer(PID, HEALTH)]  # clients are taken in turn, so all were
        assert own_open_files() <= before + 1  # the last one's may still be closing


def test_a_snapshot_that_fails_is_logged_and_the_next_one_is_answered(folder, caplog):
    snapshots: Iterator[Health | None] = iter([None, HEALTH])
    with StatusServer(lambda: next(snapshots)):
        with caplog.at_level(logging.ERROR):
            assert ask_all() == [Answer(PID, None)]
        assert ask_all() == [Answer(PID, HEALTH)]
    assert "`gatecam status` got no answer" in caplog.text


def test_every_program_of_the_user_answers_in_order(folder):
    with another_program(folder) as program, StatusServer(lambda: HEALTH):
        assert [answer.pid for answer in ask_all()] == sorted([PID, program.pid])
        assert all(answer.health.pid == answer.pid for answer in ask_all())


def test_what_a_killed_program_left_is_no_program_and_is_removed(folder):
    with another_program(folder) as program:
        program.kill()
        program.wait(30)
        left = folder / f"{program.pid}.sock"
        assert left.exists()
        assert ask_all() == []
        assert not left.exists()


def test_a_new_program_removes_what_killed_ones_left_and_takes_over_its_own_number(folder):
    for number in (PID, 99_999_999):
        with a_listener(folder / f"{number}.sock"):
            pass
    (folder / "starts.json").write_text("{}")
    with StatusServer(lambda: HEALTH):
        assert ask_all() == [Answer(PID, HEALTH)]
        assert sorted(path.name for path in folder.iterdir()) == [f"{PID}.sock", "starts.json"]


def test_a_program_that_hangs_is_there_and_says_nothing(folder, monkeypatch):
    monkeypatch.setattr(status, "ANSWER_LIMIT_S", 0.2)
    with another_program(folder) as program:
        program.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, program.pid, os.WSTOPPED | os.WNOWAIT)
        assert ask_all() == [Answer(program.pid, None)]
        program.send_signal(signal.SIGCONT)
        monkeypatch.setattr(status, "ANSWER_LIMIT_S", 30.0)
        assert ask_all()[0].health.pid == program.pid


def test_a_queue_that_is_full_for_long_is_a_hang_too(folder, monkeypatch):
    monkeypatch.setattr(status, "ANSWER_LIMIT_S", 0.2)
    with a_listener(folder / "7.sock") as listener, ExitStack() as waiting:
        listener.listen(0)
        waiting.enter_context(connected(folder / "7.sock"))
        assert ask_all() == [Answer(7, None)]


@pytest.mark.parametrize("said", [b"", b"hello", b"[]", b"{}", b'{"cameras": 5}'])
def test_an_answer_that_is_none_is_none(folder, said):
    with a_listener(folder / "7.sock") as listener:
        answers: list[list[Answer]] = []
        asking = threading.Thread(target=lambda: answers.append(ask_all()))
        asking.start()
        client, _ = listener.accept()
        client.sendall(said)
        client.close()
        asking.join(30)
    assert answers == [[Answer(7, None)]]


def test_an_answer_without_end_is_cut(folder, monkeypatch):
    monkeypatch.setattr(status, "MAX_ANSWER_BYTES", 100_000)
    with a_listener(folder / "7.sock") as listener:
        answers: list[list[Answer]] = []
        asking = threading.Thread(target=lambda: answers.append(ask_all()))
        asking.start()
        client, _ = listener.accept()
        with client, pytest.raises(OSError, match=r"Broken pipe|reset"):
            client.sendall(b" " * 100_000_000)  # would wait for ever for one who takes no more
        asking.join(30)
    assert answers == [[Answer(7, None)]]


def test_other_files_are_not_asked(folder):
    (folder / "camera-1234.lock").touch()
    with a_listener(folder / "other.sock"):
        assert ask_all() == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("x" * 120, "path too long"), ("a-file", "`gatecam status` cannot find this program: no")],
)
def test_where_no_socket_can_be_made_that_is_told_and_the_program_goes_on(
    folder, monkeypatch, caplog, name, said
):
    (folder / "a-file").touch()
    monkeypatch.setattr(status, "runtime_folder", lambda: folder / name)
    before = own_open_files()
    with caplog.at_level(logging.WARNING), StatusServer(lambda: HEALTH):
        pass
    assert said in caplog.text
    assert own_open_files() == before


def test_a_service_of_another_user_is_out_of_reach(folder, monkeypatch, tmp_path):
    assert not out_of_reach()
    (tmp_path / "service").mkdir(0o700)
    assert not out_of_reach()  # this user's own
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert out_of_reach()
