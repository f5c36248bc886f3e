"""What the service manager hears: each message, on both kinds of sockets, and the watchdog fed by work."""

from __future__ import annotations

import logging
import os
import socket
import time

import pytest

from gatecam.kiosk.notify_socket import Notifier, Watchdog


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.bind(address)

    def hear(self) -> str:
        return self._socket.recv(4096).decode()

    def heard(self) -> list[str]:
        """All that has come; a datagram on this machine is there when its sender returns."""
        self._socket.setblocking(False)
        messages = []
        while True:
            try:
                messages.append(self.hear())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    manager = Manager(f"{tmp_path}/notify")
    yield manager
    manager.close()


@pytest.fixture
def env(manager, tmp_path):
    return {"NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "30000000"}


def test_each_message_arrives_in_the_words_of_the_protocol(manager, env):
    notifier = Notifier(env)
    notifier.ready()
    notifier.status("watches\ncamera\tgate ")
    notifier.extend_start(1.5)
    notifier.alive()
    notifier.stopping()
    assert manager.heard() == [
        "READY=1",
        "STATUS=watches camera gate",
        "EXTEND_TIMEOUT_USEC=1500000",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_reloading_carries_the_monotonic_time(manager, env):
    before = time.monotonic_ns() // 1000
    Notifier(env).reloading()
    first, second = manager.hear().splitlines()
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= time.monotonic_ns() // 1000


def test_an_abstract_socket_is_reached():
    name = f"gatecam-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    try:
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert manager.hear() == "READY=1"
    finally:
        manager.close()


def test_the_socket_is_that_of_the_processs_environment_by_default(manager, env, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", env["NOTIFY_SOCKET"])
    Notifier().ready()
    assert manager.hear() == "READY=1"


def test_without_a_manager_nothing_is_said_and_nothing_is_waited_for(monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *parts: pytest.fail("a socket was made"))
    notifier = Notifier({"WATCHDOG_USEC": "30000000"})
    notifier.ready()
    assert notifier.watchdog_s is None


def test_a_socket_of_another_kind_is_told_once_and_not_used(caplog):
    Notifier({"NOTIFY_SOCKET": "vsock:2:1234"}).ready()
    assert "NOTIFY_SOCKET=vsock:2:1234 is not a Unix socket" in caplog.text


def test_a_manager_that_went_is_told_once_and_heard_of_again_when_it_is_back(env, manager, tmp_path, caplog):
    notifier = Notifier(env)
    (tmp_path / "notify").rename(tmp_path / "away")
    with caplog.at_level(logging.WARNING):
        notifier.ready()
        notifier.alive()
    assert caplog.text.count("Cannot notify the service manager") == 1
    (tmp_path / "away").rename(tmp_path / "notify")
    notifier.alive()
    assert manager.hear() == "WATCHDOG=1"
    (tmp_path / "notify").unlink()
    notifier.alive()
    assert caplog.text.count("Cannot notify the service manager") == 2


@pytest.mark.parametrize(
    ("usec", "pid", "limit_s"),
    [
        ("30000000", None, 30.0),
        pytest.param("1500000", str(os.getpid()), 1.5, id="own"),  # workers of tests must agree on names
        ("30000000", "1", None),  # the watchdog waits for another process, which handed on its environment
        ("0", None, None),
        ("-1", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdogs_limit_is_read(usec, pid, limit_s):
    given = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    assert Notifier({key: value for key, value in given.items() if value is not None}).watchdog_s == limit_s


def test_the_watchdog_is_fed_by_judged_frames_a_quarter_of_its_limit_apart(manager, env):
    watchdog = Watchdog(Notifier(env))
    times_s = [100 + frame / 30 for frame in range(30 * 30)]  # 30 s of frames against a limit of 30 s
    for now_s in times_s:
        watchdog.feed(now_s)
    assert manager.heard() == ["WATCHDOG=1"] * 4


def test_cameras_known_to_be_lost_feed_it_too_at_the_same_pace(manager, env):
    watchdog = Watchdog(Notifier(env))
    watchdog.feed(0.0)
    for now_s in range(1, 16):
        watchdog.feed(float(now_s))
    assert manager.heard() == ["WATCHDOG=1"] * 2


def test_without_a_limit_it_is_not_fed(manager, env):
    del env["WATCHDOG_USEC"]
    Watchdog(Notifier(env)).feed(0.0)
    assert manager.heard() == []
