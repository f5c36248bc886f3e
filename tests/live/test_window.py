"""The window ends upon q, Esc and its own button; a real one needs a display, which Xvfb stands for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from gatecam.live.window import Window

needs_xvfb = pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb")
PICTURE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def window(monkeypatch) -> Window:
    """A window without a display, of which no key is pressed and which stays visible."""
    monkeypatch.setenv("QT_QPA_PLATFORM", "")  # restored afterwards
    for name in ("namedWindow", "resizeWindow", "imshow", "destroyAllWindows", "setWindowProperty"):
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


def test_f_turns_the_full_screen_on_and_off_and_no_new_picture_leaves_it(window, monkeypatch):
    states, sizes, keys = [], [], iter([ord("f"), -1, ord("F"), -1])
    monkeypatch.setattr(cv2, "setWindowProperty", lambda title, what, value: states.append((what, value)))
    monkeypatch.setattr(cv2, "resizeWindow", lambda title, width, height: sizes.append((width, height)))
    monkeypatch.setattr(cv2, "waitKey", lambda wait_ms: next(keys, -1))
    with window:
        for side in (48, 96, 96, 96):
            assert window.show(np.zeros((side, side, 3), np.uint8))
    assert sizes == [(48, 48), (96, 96)]
    full = cv2.WND_PROP_FULLSCREEN
    assert states == [(full, cv2.WINDOW_FULLSCREEN), (full, cv2.WINDOW_NORMAL)]


@pytest.fixture
def display() -> Iterator[dict[str, str]]:
    """The environment of a program with a display of 1920 x 1080 px."""
    read_end, write_end = os.pipe()
    words = ["Xvfb", "-screen", "0", "1920x1080x24", "-displayfd", str(write_end)]
    server = subprocess.Popen(
        words, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as told:
            yield {**os.environ, "DISPLAY": f":{told.readline().strip()}"}
    finally:
        server.terminate()
        server.wait()


def shown_by(code: str, env: dict[str, str]) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    return done.stdout, done.stderr


@needs_xvfb
def test_a_real_window_opens_on_a_display_in_silence_whatever_the_desktop_tells_qt(display):
    display["QT_QPA_PLATFORM"] = "wayland"
    code = """
import numpy as np
from contextlib import ExitStack
from gatecam.live.window import open_window
with ExitStack() as stack:
    window = open_window(stack)
    print([window.show(np.zeros((48, 64, 3), np.uint8)) for _ in range(5)])
"""
    assert shown_by(code, display) == ("[True, True, True, True, True]\n", "")


@needs_xvfb
@pytest.mark.skipif(shutil.which("openbox") is None, reason="needs a window manager, openbox")
def test_a_real_window_fills_the_screen_and_keeps_the_pictures_shape(display):
    code = """
import cv2, numpy as np, time
from contextlib import ExitStack
from gatecam.live.window import TITLE, open_window
with ExitStack() as stack:
    window, end_s, rect = open_window(stack, full_screen=True), time.monotonic() + 20, ()
    while rect != (240, 0, 1440, 1080) and time.monotonic() < end_s:
        window.show(np.full((480, 640, 3), 200, np.uint8))
        rect = cv2.getWindowImageRect(TITLE)
    print(rect)
"""
    with subprocess.Popen(
        ["openbox"], env=display, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as manager:
        try:
            assert shown_by(code, display) == ("(240, 0, 1440, 1080)\n", "")
        finally:
            manager.terminate()
