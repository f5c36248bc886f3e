"""Choose the pauses between attempts: short at first, then twice as long each time, up to a limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pauses:
    """Holds the shortest, the longest and the latest pause, in s.

    The defaults are for cameras: opening one takes up to 3 s, so a stream that returns is seen within 5 s.
    """

    first_s: float = 0.5
    longest_s: float = 2.0
    last_s: float = 0.0

    def reset(self) -> None:
        """Go back to the shortest pause, because an attempt has succeeded."""
        self.last_s = 0.0

    def next(self, spent_s: float = 0.0) -> float:
        """Return how long to wait after a failed attempt that took `spent_s`.

        The pause counts from the start of the attempt, but is never shorter than the first one.
        """
        self.last_s = min(self.longest_s, max(self.first_s, 2 * self.last_s))
        return max(self.first_s, self.last_s - spent_s)
