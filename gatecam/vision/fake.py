"""Floor 3: the fake of an analyzer: scripted faces for whatever takes faces; no torch, no weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatecam.types import Box, Face, Image


class FakeAnalyzer:
    """Finds the faces that a script holds, one list an image; none once the script has ended.

    `batches` notes how many images each call brought.
    """

    def __init__(self, script: Iterable[Sequence[Face]] = ()) -> None:
        self._script = iter(script)
        self.batches: list[int] = []

    def analyze(
        self, images: Sequence[Image], hints: Sequence[Sequence[Box]] | None = None
    ) -> list[list[Face]]:
        """The script's next lists, one an image, whatever it shows."""
        self.batches.append(len(images))
        return [list(next(self._script, ())) for _ in images]
