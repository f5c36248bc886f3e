"""Notify the service manager of the program's state and feed its watchdog.

The protocol is sd_notify(3): datagrams of `NAME=value` lines to the socket named by `NOTIFY_SOCKET`.
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
    """Sends messages to the service manager, or does nothing if there is none.

    No method blocks for long or raises.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        """Read the socket and the watchdog's limit from `env`, by default the process's environment."""
        env = os.environ if env is None else env
        self._address = _address(env.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = _watchdog_s(env) if self._address else None
        self._healthy = True

    def ready(self) -> None:
        """Report that the program has started or has finished reloading."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Report in one line what the program does. `systemctl status` shows it."""
        self._send(f"STATUS={' '.join(text.split())}")

    def reloading(self) -> None:
        """Report that new settings are being applied, until `ready` is called."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Report that the program has begun to stop."""
        self._send("STOPPING=1")

    def extend_start(self, seconds: float) -> None:
        """Ask for this much more time to start, counted from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def alive(self) -> None:
        """Feed the manager's watchdog. `Watchdog` decides when."""
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
                log.warning("Cannot notify the service manager (%s).", error)
            self._healthy = False
        else:
            self._healthy = True


class Watchdog:
    """Feeds the manager's watchdog while work is done, so that a program that hangs is restarted.

    It is not fed by a timer, but by the live loop whenever frames were judged. While no camera has given a
    new frame there is nothing to judge, so the loop feeds it at each turn. Otherwise a loose cable, or a
    camera that gives a picture once a minute, would get the program killed. If a camera gives frames but none
    are judged, the watchdog is not fed.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._every_s = None if notifier.watchdog_s is None else notifier.watchdog_s / 4
        self._fed_s: float | None = None

    def feed(self, now_s: float) -> None:
        """Feed the watchdog, at most four times within its limit. `now_s` is monotonic."""
        if self._every_s is None:
            return
        if self._fed_s is None or now_s - self._fed_s >= self._every_s:
            self._fed_s = now_s
            self._notifier.alive()


def _address(given: str) -> str:
    """Return the socket's address. A leading @ stands for the zero byte of an abstract address."""
    if given.startswith("/"):
        return given
    if given.startswith("@"):
        return "\0" + given[1:]
    if given:
        log.warning("NOTIFY_SOCKET=%s is not a Unix socket: the service manager is not notified.", given)
    return ""


def _watchdog_s(env: Mapping[str, str]) -> float | None:
    """Return how long the manager waits for `WATCHDOG=1`.

    The result is None if the manager has no watchdog or watches another process.
    """
    try:
        limit_us, pid = int(env.get("WATCHDOG_USEC", "0")), int(env.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return limit_us / 1e6 if limit_us > 0 and pid == os.getpid() else None
