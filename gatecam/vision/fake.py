"""Floor 3: the fake of an analyzer: scripted faces for whatever takes faces; no torch, no weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatecam.geometry import iou
from gatecam.types import Box, Face, Image


class FakeAnalyzer:
    """Finds the faces that a script holds, one list an image; none once the script has ended.

    With hints it finds those that a hint overlaps; searched whole right after, an image shows the same
    faces. `batches` notes how many images each call brought, `hints` what came with each image.
    """

    def __init__(self, script: Iterable[Sequence[Face]] = ()) -> None:
        self._script = iter(script)
        self._hinted: Image | None = None  # the last image, if it came with hints
        self._faces: Sequence[Face] = ()  # that the last image shows
        self.batches: list[int] = []
        self.hints: list[Sequence[Box] | None] = []

    def analyze(
        self, images: Sequence[Image], hints: Sequence[Sequence[Box] | None] | None = None
    ) -> list[list[Face]]:
        """The script's next lists, one an image, whatever it shows."""
        self.batches.append(len(images))
        given = [None] * len(images) if hints is None else hints
        self.hints.extend(given)
        return [self._look(image, boxes) for image, boxes in zip(images, given, strict=True)]

    def _look(self, image: Image, hints: Sequence[Box] | None) -> list[Face]:
        if hints is not None or image is not self._hinted:
            self._faces = next(self._script, ())
        self._hinted = None if hints is None else image
        if hints is None:
            return list(self._faces)
        return [f for f in self._faces if any(iou(f.detection.box, hint) > 0 for hint in hints)]
