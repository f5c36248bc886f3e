"""Write the page of `gatecam data label`, which shows how faces were decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gatecam.capture.images import read_image
from gatecam.geometry import iou
from gatecam.pictures.html import Page
from gatecam.training.detector.labelling import Decided, Decision
from gatecam.training.thumbs import around, fitted, jpeg
from gatecam.types import Box, Image

SHOWN = 120  # faces of each decision
THUMB_PX = 140
MARGIN = 1.2  # surroundings shown of a face, as a fraction of its box
DECIDED, LABELLED = (255, 200, 0), (0, 160, 255)  # colours of the decided box and of the label's

MEANING = {
    Decision.AGREED: "The least overlap comes first. Yellow is the decided box, blue the label.",
    Decision.LABELLED: "No teacher finds these labelled faces. Their labels may be wrong.",
    Decision.PLACED: "These pictures show one person. The least sure faces come first.",
    Decision.ADDED: "The teachers are sure of these faces without a label. The least sure ones come first.",
    Decision.DOUBTFUL: "Training ignores these places. The surest ones come first.",
}


class LabelPage:
    """Collects decided faces, and writes the most doubtful ones of each decision."""

    def __init__(self) -> None:
        self._faces: dict[Decision, list[tuple[float, Path, Decided]]] = {kind: [] for kind in Decision}

    def add(self, path: Path, decided: Sequence[Decided]) -> None:
        """Add the faces of a picture."""
        for face in decided:
            self._faces[face.decision].append((_rank(face), path, face))

    @property
    def faces(self) -> int:
        """Return the number of faces."""
        return sum(map(len, self._faces.values()))

    def write(self, path: Path) -> None:
        """Write the page.

        Raises:
            OutputError: the file cannot be written.
        """
        page = Page("Faces found by labels and teachers")
        page.table(("decision", "faces"), ((kind, len(faces)) for kind, faces in self._faces.items()))
        for kind, faces in self._faces.items():
            if faces:
                faces.sort(key=lambda ranked: ranked[0])
                page.heading(f"{kind.capitalize()}: {len(faces):,}")
                page.text(MEANING[kind])
                page.grid((_thumb(image, face), _caption(image, face)) for _, image, face in faces[:SHOWN])
        page.write(path)


def _rank(face: Decided) -> float:
    if face.decision == Decision.AGREED and face.row is not None and face.row.box is not None:
        return iou(face.box, face.row.box)
    return -face.score if face.decision == Decision.DOUBTFUL else face.score


def _caption(image: Path, face: Decided) -> str:
    return f"{image.name}, score {face.score:.2f}"


def _thumb(path: Path, face: Decided) -> bytes:
    """Return a small picture of the face with its boxes and landmarks."""
    image = read_image(path)
    part, x, y = around(image, face.box, MARGIN)
    scale = THUMB_PX / max(part.shape[:2])
    small = np.ascontiguousarray(fitted(part, THUMB_PX))
    if face.row is not None and face.row.box is not None:
        _draw(small, face.row.box, x, y, scale, LABELLED)
    _draw(small, face.box, x, y, scale, DECIDED)
    for px, py in [] if face.landmarks is None else face.landmarks.tolist():
        cv2.circle(small, (round((px - x) * scale), round((py - y) * scale)), 2, DECIDED, -1)
    return jpeg(small)


def _draw(image: Image, box: Box, x: int, y: int, scale: float, color: tuple[int, int, int]) -> None:
    corners = [round(v * scale) for v in (box.x1 - x, box.y1 - y, box.x2 - x, box.y2 - y)]
    cv2.rectangle(image, (corners[0], corners[1]), (corners[2], corners[3]), color, 2)
