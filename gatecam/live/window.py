"""Show pictures in an OpenCV window, which reads its keys once for each picture."""

from __future__ import annotations

import logging
import os
import platform
from contextlib import ExitStack, suppress
from types import TracebackType

import cv2

from gatecam.runtime.display import display_available
from gatecam.runtime.logs import say
from gatecam.types import Image

QUIT_KEYS = (ord("q"), ord("Q"), 27)  # 27 is Esc
FULL_SCREEN_KEYS = (ord("f"), ord("F"))
TITLE = "gatecam"
MOST_WIDTH, MOST_HEIGHT = 1600, 900  # px of a new window


class Window:
    """Shows pictures until the user closes the window. Call `display_available` first.

    The window and the full screen, which the key f turns on and off, scale the picture and keep its shape.
    """

    def __enter__(self) -> Window:
        os.environ.setdefault("QT_LOGGING_RULES", "*=false")  # Qt warns about fonts that it does not need
        if platform.system() == "Linux":  # desktops set wayland, and OpenCV's Qt ends the process without it
            os.environ["QT_QPA_PLATFORM"] = "xcb"
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._size, self._is_full = (0, 0), False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(cv2.error):  # Qt raises if the last window is already closed
            cv2.destroyAllWindows()
            cv2.waitKey(1)  # lets the window system close it

    def show(self, image: Image) -> bool:
        """Show an RGB picture. Return False after q, Esc or a click on the close button."""
        height, width = image.shape[:2]
        # At the first picture, and when the number of cameras has changed
        if (width, height) != self._size and not self._is_full:
            scale = min(1.0, MOST_WIDTH / width, MOST_HEIGHT / height)
            cv2.resizeWindow(TITLE, round(width * scale), round(height * scale))
            self._size = width, height
        cv2.imshow(TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return self.is_open()

    def is_open(self) -> bool:
        """Handle the window's input. Return False after q, Esc or a click on the close button."""
        try:
            key = cv2.waitKey(1) & 0xFF
            if key in FULL_SCREEN_KEYS:
                self.toggle_full_screen()
            return key not in QUIT_KEYS and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # Qt raises if the last window is already closed
            return False

    def toggle_full_screen(self) -> None:
        """Fill the screen with the window, or go back to the window's size. This needs a window manager."""
        self._is_full = not self._is_full
        wanted = cv2.WINDOW_FULLSCREEN if self._is_full else cv2.WINDOW_NORMAL
        cv2.setWindowProperty(TITLE, cv2.WND_PROP_FULLSCREEN, wanted)


def open_window(stack: ExitStack, full_screen: bool = False) -> Window | None:
    """Open a window that closes with `stack`, and let it fill the screen if `full_screen` is set.

    Without a display, print a sentence to standard error and return None.
    """
    available, reason = display_available(os.environ)
    if not available:
        say(f"no window ({reason}): gatecam runs without one. Set DISPLAY to get it.", level=logging.WARNING)
        return None
    window = stack.enter_context(Window())
    if full_screen:
        window.toggle_full_screen()
    return window
