"""Cameras of tests: Motion JPEG over HTTP with faults on demand, on 127.0.0.1."""

from __future__ import annotations

import contextlib
import io
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import TracebackType

import numpy as np
import PIL.Image

BOUNDARY = b"--frame\r\n"
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
PERIOD_S = 1 / 30


@lru_cache
def jpeg(level: int = 200, width: int = 64, height: int = 48, mode: str = "RGB") -> bytes:
    """A picture of one colour, or of one grey or CMYK shade, whose first channel is `level`."""
    colour = {"RGB": (level, 0, 0), "L": level, "CMYK": (255 - level, 255, 255, 0)}[mode]
    buffer = io.BytesIO()
    PIL.Image.new(mode, (width, height), colour).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def noise(count: int, seed: int = 0) -> bytes:
    """Bytes that mean nothing."""
    return np.random.default_rng(seed).bytes(count)


def part(picture: bytes) -> bytes:
    """A picture as one part of the stream."""
    return (
        BOUNDARY
        + b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
        + picture
        + b"\r\n"
    )


class Viewer:
    """One connection of the camera under test, for a plan to write to; any call may end the plan."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self._connection = connection
        self._over = over

    def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._connection.sendall(data)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        if self._over.wait(seconds):
            raise ConnectionAbortedError

    def pictures(
        self, count: int = 1_000_000, picture: bytes | None = None, period_s: float = PERIOD_S
    ) -> None:
        """Send a picture again and again."""
        for _ in range(count):
            self.send(part(picture or jpeg()))
            self.wait(period_s)

    def film(self, pictures: Iterable[bytes], fps: float) -> None:
        """Send pictures at a steady rate, whatever the sending takes."""
        start_s = time.monotonic()
        for index, picture in enumerate(pictures):
            self.wait(max(0.0, start_s + index / fps - time.monotonic()))
            self.send(part(picture))

    def hang(self) -> None:
        """Send nothing more, and keep the connection."""
        self._over.wait()

    def drip(self, data: bytes, period_s: float = 1.0) -> None:
        """Send one byte at a time, and keep the connection."""
        for at in range(len(data)):
            self.send(data[at : at + 1])
            self.wait(period_s)
        self.hang()


Plan = Callable[[Viewer], None]


class MjpegServer:
    """Motion JPEG over HTTP as IP cameras send it, on a port that stays the same from `start` to `start`.

    `plans` are what the connections to come are sent, one each; then `plan` holds for all others.
    `Viewer.pictures` is the plan of a camera in good health. `head` is sent before any plan.
    """

    def __init__(self, *plans: Plan, plan: Plan = Viewer.pictures, head: bytes = HEAD) -> None:
        self.plans = list(plans)
        self.plan = plan
        self.head = head
        self.connections = 0
        self.port = 0
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        """The address, with a password that must not show up anywhere."""
        return f"http://user:secret@127.0.0.1:{self.port}/live?password=secret"

    def start(self) -> None:
        """Listen."""
        self._over = threading.Event()
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._sockets = [listener]
        self._threads = [threading.Thread(target=self._accept, args=(listener,))]
        self._threads[0].start()

    def kill(self) -> None:
        """Cut all connections and refuse new ones."""
        self._over.set()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()
        self._sockets, self._threads = [], []

    def __enter__(self) -> MjpegServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _accept(self, listener: socket.socket) -> None:
        while not self._over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(connection)
            self.connections += 1
            plan = self.plans.pop(0) if self.plans else self.plan
            thread = threading.Thread(target=self._serve, args=(connection, plan))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, plan: Plan) -> None:
        with contextlib.suppress(OSError):  # the camera under test went away
            while b"\r\n\r\n" not in (data := connection.recv(65536)):
                if not data:
                    return
            connection.sendall(self.head)
            plan(Viewer(connection, self._over))
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that nobody is given by chance until it is used.

    The system takes ports for outgoing connections from 32768 on (`net.ipv4.ip_local_port_range`).
    """
    while True:
        port = 10_000 + secrets.randbelow(
            20_000
        )  # tests that run side by side may have seeded `random` alike
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
