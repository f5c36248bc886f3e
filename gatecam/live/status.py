"""Report the health of a running program on a socket that only its own user can reach.

A client that connects to `<pid>.sock` in the runtime folder gets one JSON object and the end of the stream.
Nothing is read from the client.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gatecam.live.health import Health
from gatecam.runtime.folders import SERVICE_FOLDER, readable_folders, runtime_folder

CLIENT_LIMIT_S = 1.0  # a client that does not read its answer delays the next one by at most this
ANSWER_LIMIT_S = 3.0  # each to connect and to read a whole answer
MAX_ANSWER_BYTES = 1024 * 1024
WAITING_CLIENTS = 64  # the system refuses more at once
RETRY_S = 0.02  # pause before a refused client connects again
PAUSE_S = 1.0  # after a failed accept, for example because too many files are open

log = logging.getLogger(__name__)


class StatusServer:
    """Answers clients in a daemon thread while its context is open.

    The thread serves one client at a time. When the context closes, the thread ends and the socket is closed
    and removed. If no socket can be created, that is logged and the program continues without it.
    """

    def __init__(self, snapshot: Callable[[], Health]) -> None:
        """Prepare the server. The thread calls `snapshot` for each client and logs its exceptions."""
        self._snapshot = snapshot
        self._path: Path | None = None
        self._wake, self._woken = socket.socketpair()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            folder = runtime_folder()
            _remove_stale(folder)
            listener = _listen(folder / f"{os.getpid()}.sock")
        except OSError as error:
            log.warning("`gatecam status` cannot find this program: no socket can be created (%s).", error)
            return self
        self._path = folder / f"{os.getpid()}.sock"
        self._thread = threading.Thread(target=self._serve, args=(listener,), name="status", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._woken.close()
        if self._thread is not None:
            self._thread.join(2 * CLIENT_LIMIT_S)
        self._wake.close()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()

    def _serve(self, listener: socket.socket) -> None:
        with listener, selectors.DefaultSelector() as ready:
            ready.register(listener, selectors.EVENT_READ)
            ready.register(self._wake, selectors.EVENT_READ)
            while not any(key.fileobj is self._wake for key, _ in ready.select()):
                try:
                    client, _ = listener.accept()
                except OSError as error:
                    log.warning("`gatecam status` got no answer (%s).", error)
                    if _paused(self._wake):
                        return
                else:
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        with client:
            try:
                said = json.dumps(self._snapshot().to_dict()).encode("ascii")
                client.settimeout(CLIENT_LIMIT_S)
                client.sendall(said)
            except OSError:
                pass  # the client is gone or did not read its answer
            except Exception:  # an error in the snapshot must not end the thread
                log.exception("`gatecam status` got no answer.")


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds the health of one running program, or None if it did not answer, for example because it hangs."""

    pid: int
    health: Health | None


def ask_all(env: Mapping[str, str] | None = None) -> list[Answer]:
    """Ask every running gatecam of this user for its health, and for root also the service.

    The answers are sorted by process id. Each program has `ANSWER_LIMIT_S` to answer. Sockets that killed
    programs left are removed.
    """
    paths = [path for folder in readable_folders(env) for path in _sockets(folder)]
    answers = [answer for answer in map(_ask, paths) if answer is not None]
    return sorted(answers, key=lambda answer: answer.pid)


def out_of_reach() -> bool:
    """Check whether there may be a service that only root can ask."""
    return SERVICE_FOLDER.is_dir() and SERVICE_FOLDER not in readable_folders()


def _listen(path: Path) -> socket.socket:
    """Open a socket that listens before it gets its final name.

    Otherwise another program could take it for a socket that a killed program left.
    """
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(new))  # fails if the name exists, and follows no link
        new.chmod(0o600)
        listener.listen(WAITING_CLIENTS)
        listener.setblocking(False)
        new.replace(path)
    except OSError:
        listener.close()
        raise
    return listener


def _paused(wake: socket.socket) -> bool:
    """Wait for `PAUSE_S`. Return whether the server was told to end meanwhile."""
    with selectors.DefaultSelector() as ready:
        ready.register(wake, selectors.EVENT_READ)
        return bool(ready.select(PAUSE_S))


def _sockets(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.sock") if path.stem.isdecimal()]


def _remove_stale(folder: Path) -> None:
    for path in _sockets(folder):
        with _client() as client, suppress(OSError):
            _connect(client, path)


def _client() -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(ANSWER_LIMIT_S)
    return client


def _connect(client: socket.socket, path: Path) -> bool:
    """Connect to a socket. If no program listens there any more, remove the socket and return False."""
    end_s = time.monotonic() + ANSWER_LIMIT_S
    while True:
        try:
            client.connect(str(path))
        except BlockingIOError:  # too many clients wait, and the socket's time-out does not cover this case
            if time.monotonic() >= end_s:
                raise
            time.sleep(RETRY_S)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(OSError):
                path.unlink()
            return False
        else:
            return True


def _ask(path: Path) -> Answer | None:
    health = None
    with _client() as client, suppress(OSError, ValueError, KeyError, TypeError):
        if not _connect(client, path):
            return None
        health = Health.from_dict(json.loads(_read_all(client)))
    return Answer(int(path.stem), health)


def _read_all(client: socket.socket) -> bytes:
    """Read until the other end closes, with limits for the size and the total time."""
    said, end_s = bytearray(), time.monotonic() + ANSWER_LIMIT_S
    while (left_s := end_s - time.monotonic()) > 0 and len(said) <= MAX_ANSWER_BYTES:
        client.settimeout(left_s)
        part = client.recv(65536)
        if not part:
            return bytes(said)
        said += part
    raise TimeoutError
