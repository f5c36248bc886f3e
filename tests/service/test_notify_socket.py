"""The service manager hears what it should, and its absence or failure stops nothing."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator

import pytest

from gatecam.service.notify_socket import Notifier, Watchdog

Heard = Callable[[], list[str]]


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path) -> Iterator[tuple[dict[str, str], Heard]]:
    """The environment of a service, and all that its manager has heard."""
    path = str(tmp_path / "notify") if request.param == "path" else f"@gatecam-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path.replace("@", "\0"))
        listening.setblocking(False)

        def heard() -> list[str]:
            said = []
            while True:
                try:
                    said.append(listening.recv(4096).decode())
                except BlockingIOError:
                    return said

        yield {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "8000000"}, heard


def test_each_message_is_as_the_manager_expects(manager):
    env, heard = manager
    notifier = Notifier(env)
    notifier.ready()
    notifier.status("watches\n2 cameras")
    notifier.extend_start(2.5)
    notifier.stopping()
    notifier.alive()
    assert heard() == [
        "READY=1", "STATUS=watches 2 cameras", "EXTEND_TIMEOUT_USEC=2500000", "STOPPING=1", "WATCHDOG=1"
    ]  # fmt: skip
    notifier.reloading()
    (reloading,) = heard()
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_the_watchdog_is_fed_with_frames_a_quarter_of_its_time_apart(manager):
    env, heard = manager
    watchdog = Watchdog(Notifier(env))
    for tenth in range(41):  # 4 s of an 8 s limit
        watchdog.judged(100 + tenth / 10)
    assert heard() == ["WATCHDOG=1"] * 3
    watchdog.idle(150.0)
    assert heard() == ["WATCHDOG=1"]


def test_nothing_is_fed_without_work(manager):
    env, heard = manager
    Watchdog(Notifier(env))
    assert heard() == []


def test_another_process_s_watchdog_is_not_fed(manager):
    env, heard = manager
    watchdog = Watchdog(Notifier({**env, "WATCHDOG_PID": str(os.getpid() + 1)}))
    watchdog.judged(100.0)
    assert heard() == []


def test_without_a_manager_nothing_happens():
    notifier = Notifier({})
    notifier.ready()
    Watchdog(notifier).judged(1.0)
    assert notifier.watchdog_s is None


@pytest.mark.parametrize("limit", ["", "soon", "-1"])
def test_a_limit_that_makes_no_sense_is_none(limit, tmp_path):
    assert Notifier({"NOTIFY_SOCKET": str(tmp_path), "WATCHDOG_USEC": limit}).watchdog_s is None


def test_a_manager_that_is_gone_is_told_of_once(tmp_path, caplog):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with caplog.at_level(logging.WARNING):
        notifier.ready()
        notifier.alive()
    assert len(caplog.records) == 1
