"""Whether a display answers, tried on sockets that stand for one."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

from gatecam.runtime.display import display_available, x11_reachable

NO_KEYS = Path("/nowhere")


@pytest.mark.parametrize(
    ("display", "said"),
    [
        ("", "DISPLAY is not set"),
        ("nonsense", "names no display"),
        (":", "names no display"),
        (":64000", "does not answer"),
        (f":{'9' * 5000}", "names no display"),
        ("127.0.0.1:99999999.0", "does not answer"),
        (f"{'h' * 80}:0", "does not answer"),
    ],
)
def test_a_display_that_is_not_there_is_told(display, said):
    reached, found = x11_reachable(display, NO_KEYS)
    assert not reached
    assert said in found


@contextmanager
def display_at(server: socket.socket, *wanted: bytes) -> Iterator[None]:
    """A display that lets in clients with a key that is wanted."""
    server.listen()

    def answer() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                hello = client.recv(1024)
                is_wanted = not wanted or hello[12:].removeprefix(b"MIT-MAGIC-COOKIE-1\0\0") in wanted
                client.sendall(b"\1\0\v\0\0\0\0\0" if is_wanted else b"\0\x06\v\0\0\0\2\0no key\0\0")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield
    server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def entry(number: int, key: bytes) -> bytes:
    texts = (b"door", str(number).encode(), b"MIT-MAGIC-COOKIE-1", key)
    return b"\1\0" + b"".join(len(text).to_bytes(2, "big") + text for text in texts)


@pytest.mark.skipif(sys.platform != "linux", reason="an abstract socket is a matter of Linux")
@pytest.mark.parametrize("form", [":{}", ":{}.0", "unix:{}"])
def test_a_local_display_that_answers_is_named(form):
    number = 60_000 + os.getpid() % 4000  # no other test's that runs at the same time
    display = form.format(number)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0/tmp/.X11-unix/X{number}")
        with display_at(server):
            assert x11_reachable(display, NO_KEYS) == (True, f"X11 display {display}")


def test_a_forwarded_display_lets_in_who_has_the_key(tmp_path):
    keys = tmp_path / "keys"
    with socket.create_server(("127.0.0.1", 0)) as server, display_at(server, b"right" * 4):
        number = server.getsockname()[1] - 6000
        display = f"127.0.0.1:{number}.0"
        for given in (b"", entry(number + 1, b"right" * 4), entry(number, b"wrong" * 4), b"damaged"):
            keys.write_bytes(given)
            reached, found = x11_reachable(display, keys)
            assert not reached
            assert found.endswith("does not let this user in by the keys in XAUTHORITY (no key)")
        keys.write_bytes(entry(number, b"wrong" * 4) + entry(number, b"right" * 4))
        assert x11_reachable(display, keys) == (True, f"X11 display {display}")


def test_a_display_that_hangs_up_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        display = f"127.0.0.1:{server.getsockname()[1] - 6000}"
        assert x11_reachable(display, NO_KEYS) == (False, f"DISPLAY={display} does not answer")


def test_an_opencv_without_windows_is_told(monkeypatch):
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    available, found = display_available({"DISPLAY": ":0"})
    assert not available
    assert "install opencv-python" in found


def test_linux_without_a_display_has_none(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT")
    assert display_available({}) == (False, "DISPLAY is not set")


def test_elsewhere_windows_are_taken_for_granted(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Windows")
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "WIN32")
    assert display_available({}) == (True, "Windows")
