"""Provide a fake analyzer that returns scripted faces, without torch and weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatecam.geometry import iou
from gatecam.settings.schema import Config
from gatecam.types import Box, Expected, Face, Image


class FakeAnalyzer:
    """Returns scripted faces, one list for each image. Returns no faces once the script has ended.

    With hints, it returns only the faces that overlap a hint. An image that came with hints and is searched
    whole in the next call shows the same faces again. `batches` records the number of images of each call,
    `hints` the hints of each image, and `applied` the settings given to `apply`.
    """

    def __init__(self, script: Iterable[Sequence[Face]] = ()) -> None:
        self._script = iter(script)
        self._shown: list[tuple[Image, Sequence[Face]]] = []  # images of the last call that had hints
        self.batches: list[int] = []
        self.hints: list[Sequence[Box] | None] = []
        self.applied: list[Config] = []

    @property
    def device(self) -> str:
        """Return the name of the fake device."""
        return "fake"

    @property
    def reason(self) -> str:
        """Return a fixed reason."""
        return "a script"

    def apply(self, config: Config) -> None:
        """Record the settings in `applied`."""
        self.applied.append(config)

    def analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        cameras: Sequence[str] | None = None,
        expected: Sequence[Sequence[Expected]] | None = None,
    ) -> list[list[Face]]:
        """Return the script's next lists, one for each image, whatever the image shows."""
        self.batches.append(len(images))
        given = [None] * len(images) if hints is None else hints
        self.hints.extend(given)
        before, self._shown = self._shown, []
        return [self._faces(image, boxes, before) for image, boxes in zip(images, given, strict=True)]

    def _faces(
        self, image: Image, hints: Sequence[Box] | None, before: list[tuple[Image, Sequence[Face]]]
    ) -> list[Face]:
        faces = next((shown for seen, shown in before if hints is None and seen is image), None)
        if faces is None:
            faces = next(self._script, ())
        if hints is None:
            return list(faces)
        self._shown.append((image, faces))
        return [face for face in faces if any(iou(face.detection.box, hint) > 0 for hint in hints)]
