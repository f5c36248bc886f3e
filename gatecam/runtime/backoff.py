"""Choose the pauses between attempts to reach a camera: short at first, then longer, without end."""

from __future__ import annotations

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 2.0  # opening takes up to 3 s, so a stream that returns is seen within 5 s


class Pauses:
    """Spaces attempts so that they start 0.5, 1, 2, 2, ... s apart.

    At least 0.5 s pass after the end of the last attempt. An attempt that hung for long adds no more to that.
    """

    def __init__(self) -> None:
        self._spacing_s = FIRST_PAUSE_S

    def reset(self) -> None:
        """Go back to the shortest pause, because a frame has come."""
        self._spacing_s = FIRST_PAUSE_S

    def after(self, started_s: float, ended_s: float) -> float:
        """Return how long to wait, in s, after a failed attempt. The next pause is longer."""
        pause_s = max(FIRST_PAUSE_S, started_s + self._spacing_s - ended_s)
        self._spacing_s = min(2 * self._spacing_s, LONGEST_PAUSE_S)
        return pause_s
