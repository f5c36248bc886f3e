"""Pauses between attempts to reach a camera: short after a picture, then growing, and without end."""

from __future__ import annotations

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 2.0  # with an opening of up to 3 s, a stream that returns is seen again within 5 s


class Pauses:
    """Attempts start 0.5, 1, 2, 2, ... s apart, and 0.5 s after the end of the last one at least.

    An attempt that hung for long has paused already, so only that half second is added.
    """

    def __init__(self) -> None:
        self._spacing_s = FIRST_PAUSE_S

    def reset(self) -> None:
        """Start with the shortest pause again: a picture has come."""
        self._spacing_s = FIRST_PAUSE_S

    def after(self, started_s: float, ended_s: float) -> float:
        """How long to wait, in s, after an attempt that failed; the next pause is longer."""
        pause_s = max(FIRST_PAUSE_S, started_s + self._spacing_s - ended_s)
        self._spacing_s = min(2 * self._spacing_s, LONGEST_PAUSE_S)
        return pause_s
