"""Return free memory to the system, which glibc would keep.

Tensors of changing shapes leave gaps between the memory in use. Without this, memory grows by 2 % per
thousand frames of changing sizes, although the memory in use stays the same. `malloc_trim` returns the gaps
every `FRAMES_BETWEEN` frames, which takes about 5 ms.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

FRAMES_BETWEEN = 500


class Trimmer:
    """Counts frames and trims the heap every `FRAMES_BETWEEN` frames. Without glibc it does nothing.

    Args:
        trim: the function to call. None is glibc's `malloc_trim`.
    """

    def __init__(self, trim: Callable[[], object] | None = None) -> None:
        self._trim = trim or _trim_of_glibc()
        self._since = 0

    def after(self, frames: int) -> None:
        """Count frames that were searched, and trim when it is time."""
        self._since += frames
        if self._since >= FRAMES_BETWEEN:
            self._since = 0
            self._trim()


def _trim_of_glibc() -> Callable[[], object]:
    found = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return (lambda: None) if found is None else lambda: found(0)
