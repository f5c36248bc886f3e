"""Gives memory back to the system that tensors of changing shapes leave in pieces.

What is in use stays the same however many frames are searched, but glibc keeps what lies free between: 2 %
more a thousand frames of changing sizes. Every 500 frames `malloc_trim` gives it back, in some 5 ms.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

FRAMES_BETWEEN = 500


class Trimmer:
    """Counts frames, and trims the heap now and then; does nothing where the C library cannot.

    Args:
        trim: what is called; glibc's `malloc_trim` by itself.
    """

    def __init__(self, trim: Callable[[], object] | None = None) -> None:
        self._trim = trim or _trim_of_glibc()
        self._since = 0

    def after(self, frames: int) -> None:
        """Note that so many frames were searched."""
        self._since += frames
        if self._since >= FRAMES_BETWEEN:
            self._since = 0
            self._trim()


def _trim_of_glibc() -> Callable[[], object]:
    found = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return (lambda: None) if found is None else lambda: found(0)
