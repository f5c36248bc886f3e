"""Whether a display answers, tried on sockets that stand for one."""

from __future__ import annotations

import os
import socket
import sys

import cv2
import pytest

from gatecam.runtime.display import display_available, x11_reachable


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
    reached, found = x11_reachable(display)
    assert not reached
    assert said in found


@pytest.mark.skipif(sys.platform != "linux", reason="an abstract socket is a matter of Linux")
@pytest.mark.parametrize("form", [":{}", ":{}.0", "unix:{}"])
def test_a_local_display_that_answers_is_named(form):
    number = 60_000 + os.getpid() % 4000  # no other test's that runs at the same time
    display = form.format(number)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0/tmp/.X11-unix/X{number}")
        server.listen()
        assert x11_reachable(display) == (True, f"X11 display {display}")


def test_a_forwarded_display_that_answers_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        display = f"127.0.0.1:{server.getsockname()[1] - 6000}.0"
        assert x11_reachable(display) == (True, f"X11 display {display}")


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
