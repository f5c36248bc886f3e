"""A receiver of webhooks in tests, on 127.0.0.1: answers, fails, hangs or drips, as it is told."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Request:
    """What came: the first line, the headers by their names in lower case, the body."""

    line: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers each request with `answer`, bytes as they are; None hangs, and "drip" sends a byte at a time.

    What came lies in `requests`. The port stays the same from `start` to `start`.
    """

    OK = b"HTTP/1.1 204 No Content\r\n\r\n"

    def __init__(self) -> None:
        self.answer: bytes | str | None = self.OK
        self.requests: queue.Queue[Request] = queue.Queue()
        self.port = 0

    @property
    def url(self) -> str:
        """The address, with a password that must not show up anywhere."""
        return f"http://user:secret@127.0.0.1:{self.port}/hook?key=secret"

    def start(self) -> None:
        """Listen."""
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def kill(self) -> None:
        """Refuse connections from now on."""
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def __enter__(self) -> Receiver:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as stream:
            line = stream.readline().decode()
            headers = {}
            while (text := stream.readline().decode().strip()) != "":
                name, _, value = text.partition(": ")
                headers[name.lower()] = value
            self.requests.put(Request(line.strip(), headers, stream.read(int(headers["content-length"]))))
            if isinstance(self.answer, bytes):
                connection.sendall(self.answer)
            elif self.answer == "drip":
                while not self._over.wait(0.05):
                    connection.sendall(b"H")
            else:
                self._over.wait()
