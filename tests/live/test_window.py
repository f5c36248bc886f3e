"""The window ends upon q, Esc and its own button; a real one needs a display, which Xvfb stands for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from gatecam.live.window import Window

PICTURE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def window(monkeypatch) -> Window:
    """A window without a display, of which no key is pressed and which stays visible."""
    for name in ("namedWindow", "resizeWindow", "imshow", "destroyAllWindows"):
        monkeypatch.setattr(cv2, name, lambda *words: None)
    monkeypatch.setattr(cv2, "waitKey", lambda wait_ms: -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, what: 1.0)
    return Window()


def test_it_stays_open_while_nobody_asks(window):
    with window:
        assert window.show(PICTURE)
        assert window.is_open()


@pytest.mark.parametrize(
    ("key", "stays"), [(ord("q"), False), (ord("Q"), False), (27, False), (ord("x"), True)]
)
def test_q_and_esc_end_it(window, monkeypatch, key, stays):
    monkeypatch.setattr(cv2, "waitKey", lambda wait_ms: key | 0x100000)  # Num Lock is on
    with window:
        assert window.show(PICTURE) is stays


def test_a_window_that_is_gone_is_closed(window, monkeypatch):
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, what: 0.0)
    with window:
        assert not window.show(PICTURE)


def test_qt_that_forgot_its_last_window_is_no_error(window, monkeypatch):
    def fail(*words):
        raise cv2.error("NULL guiReceiver (please create a window)")

    monkeypatch.setattr(cv2, "getWindowProperty", fail)
    monkeypatch.setattr(cv2, "destroyAllWindows", fail)
    with window:
        assert not window.show(PICTURE)


def test_colours_and_size_reach_opencv_as_it_wants_them(window, monkeypatch):
    shown, sizes = [], []
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "resizeWindow", lambda title, width, height: sizes.append((width, height)))
    red = np.zeros((2160, 3840, 3), np.uint8)
    red[..., 0] = 255
    with window:
        window.show(red)
        window.show(red)
    assert shown[0][0, 0].tolist() == [0, 0, 255]
    assert sizes == [(1600, 900)]


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb")
def test_a_real_window_opens_on_a_display_in_silence():
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end)],
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as told:
            display = f":{told.readline().strip()}"
        code = """
import sys, os, numpy as np
from contextlib import ExitStack
from gatecam.live.window import open_window
with ExitStack() as stack:
    window = open_window(stack)
    print([window.show(np.zeros((48, 64, 3), np.uint8)) for _ in range(5)])
"""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "DISPLAY": display},
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        server.terminate()
        server.wait()
    assert (done.stdout, done.stderr) == ("[True, True, True, True, True]\n", "")
