"""Tells the service manager how the program stands, and that frames are judged.

The protocol is sd_notify(3): datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

SEND_TIMEOUT_S = 1.0

log = logging.getLogger(__name__)


class Notifier:
    """Messages to the service manager; without one, each does nothing. None blocks for long or raises."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        """Take the socket and the watchdog's limit from `env`, the process's environment by default."""
        env = os.environ if env is None else env
        self._address = _address(env.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = _watchdog_s(env) if self._address else None
        self._healthy = True

    def ready(self) -> None:
        """The program is up, or has finished reloading."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """What the program does, as `systemctl status` shows it: one line."""
        self._send(f"STATUS={' '.join(text.split())}")

    def reloading(self) -> None:
        """New settings are being applied; `ready` ends that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The program has begun to end."""
        self._send("STOPPING=1")

    def extend_start(self, seconds: float) -> None:
        """Starting will take so much longer from now on."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def alive(self) -> None:
        """The watchdog is fed; see `Watchdog`."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_TIMEOUT_S)
                sender.sendto(message.encode(errors="replace"), self._address)
        except OSError as error:
            if self._healthy:
                log.warning("The service manager cannot be told anything (%s).", error)
            self._healthy = False
        else:
            self._healthy = True


class Watchdog:
    """Feeds the manager's watchdog with work done, so that a program that hangs is ended and started again.

    No timer feeds it: whoever judges frames calls `judged`. While every camera is known to be lost or
    blind there is nothing to judge, and the loop that supervises them calls `idle` at each turn: a program
    is not to be killed for its cable. A camera that should give frames and whose frames nobody judges
    feeds nothing.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._every_s = None if notifier.watchdog_s is None else notifier.watchdog_s / 4
        self._fed_s: float | None = None

    def judged(self, now_s: float) -> None:
        """Frames were judged; `now_s` is monotonic."""
        self._feed(now_s)

    def idle(self, now_s: float) -> None:
        """No camera sees, which was noticed and told: there is nothing to judge."""
        self._feed(now_s)

    def _feed(self, now_s: float) -> None:
        if self._every_s is None:
            return
        if self._fed_s is None or now_s - self._fed_s >= self._every_s:
            self._fed_s = now_s
            self._notifier.alive()


def _address(given: str) -> str:
    """The socket's address; a leading @ stands for the zero byte of an abstract one."""
    if given.startswith("/"):
        return given
    if given.startswith("@"):
        return "\0" + given[1:]
    if given:
        log.warning("NOTIFY_SOCKET=%s is no Unix socket: the service manager is told nothing.", given)
    return ""


def _watchdog_s(env: Mapping[str, str]) -> float | None:
    """How long the manager waits for `WATCHDOG=1`; None where it does not, or waits for another process."""
    try:
        limit_us, pid = int(env.get("WATCHDOG_USEC", "0")), int(env.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return limit_us / 1e6 if limit_us > 0 and pid == os.getpid() else None
