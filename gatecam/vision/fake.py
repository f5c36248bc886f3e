"""The fake of an analyzer: scripted faces for whatever takes faces; no torch, no weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatecam.geometry import iou
from gatecam.settings.config import Config
from gatecam.types import Box, Expected, Face, Image


class FakeAnalyzer:
    """Finds the faces that a script holds, one list an image; none once the script has ended.

    With hints it finds those that a hint overlaps; searched whole in the next call, an image shows the
    same faces. `batches` notes how many images each call brought, `hints` what came with each image,
    `applied` the settings that it was told to go by.
    """

    def __init__(self, script: Iterable[Sequence[Face]] = ()) -> None:
        self._script = iter(script)
        self._shown: list[tuple[Image, Sequence[Face]]] = []  # of the last call's images with hints
        self.batches: list[int] = []
        self.hints: list[Sequence[Box] | None] = []
        self.applied: list[Config] = []

    @property
    def device(self) -> str:
        """It runs nowhere."""
        return "fake"

    @property
    def reason(self) -> str:
        """It has none."""
        return "a script"

    def apply(self, config: Config) -> None:
        """Note the settings in `applied`."""
        self.applied.append(config)

    def analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        cameras: Sequence[str] | None = None,
        expected: Sequence[Sequence[Expected]] | None = None,
    ) -> list[list[Face]]:
        """The script's next lists, one an image, whatever it shows."""
        self.batches.append(len(images))
        given = [None] * len(images) if hints is None else hints
        self.hints.extend(given)
        before, self._shown = self._shown, []
        return [self._look(image, boxes, before) for image, boxes in zip(images, given, strict=True)]

    def _look(
        self, image: Image, hints: Sequence[Box] | None, before: list[tuple[Image, Sequence[Face]]]
    ) -> list[Face]:
        faces = next((shown for seen, shown in before if hints is None and seen is image), None)
        if faces is None:
            faces = next(self._script, ())
        if hints is None:
            return list(faces)
        self._shown.append((image, faces))
        return [face for face in faces if any(iou(face.detection.box, hint) > 0 for hint in hints)]
