"""The window: OpenCV's, kept alive a frame at a time."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from types import TracebackType

import cv2

from gatecam.runtime.display import display_available
from gatecam.types import Image

QUIT_KEYS = (ord("q"), ord("Q"), 27)  # 27 is Esc
TITLE = "gatecam"


class Window:
    """Shows pictures until the visitor's side closes it; call `display_available` first."""

    def __enter__(self) -> Window:
        os.environ.setdefault("QT_LOGGING_RULES", "*=false")  # Qt warns of fonts that it does not need
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._size = (0, 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(cv2.error):  # Qt knows of no windows once the last one was closed
            cv2.destroyAllWindows()
            cv2.waitKey(1)  # lets the window system act on it

    def show(self, image: Image) -> bool:
        """Show an RGB picture; False once q, Esc or the window's own button asked to end."""
        height, width = image.shape[:2]
        if (width, height) != self._size:  # the first picture, or another number of cameras
            scale = min(1.0, 1600 / width, 900 / height)
            cv2.resizeWindow(TITLE, round(width * scale), round(height * scale))
            self._size = width, height
        cv2.imshow(TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return self.is_open()

    def is_open(self) -> bool:
        """Answer the window system; False once q, Esc or the window's own button asked to end."""
        try:
            key = cv2.waitKey(1) & 0xFF
            return key not in QUIT_KEYS and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # Qt knows of no windows once the last one was closed
            return False


def open_window(stack: ExitStack) -> Window | None:
    """A window that closes with `stack`; without a display None, and a sentence on standard error."""
    available, reason = display_available(os.environ)
    if not available:
        print(f"gatecam: no window ({reason}): go on without one, or set DISPLAY.", file=sys.stderr)
        return None
    return stack.enter_context(Window())
