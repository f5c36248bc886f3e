"""Add a border to pictures that were cut out around a face, because the detector needs surroundings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gatecam.geometry import iou
from gatecam.types import Box, Detection, Floats, Image

SAME_FACE_IOU = 0.4  # a detected face is the labelled one above this overlap
GREY = (127, 127, 127)  # of the border; close to 0 after normalization

Found = tuple[Box, Floats, float]  # box and landmarks in pixels of the picture, and the score


@dataclass(frozen=True, slots=True, eq=False)
class Bordered:
    """Holds a picture as the detector sees it: scaled by `scale`, then with a border of `border` px."""

    seen: Image
    border: int
    scale: float

    def faces_in(self, detections: Sequence[Detection]) -> Iterator[Found]:
        """Yield boxes and landmarks in px of the original picture, with their scores."""
        for detection in detections:
            if detection.landmarks is not None:
                b = detection.box
                x1, y1, x2, y2 = ((v - self.border) / self.scale for v in (b.x1, b.y1, b.x2, b.y2))
                yield Box(x1, y1, x2, y2), (detection.landmarks - self.border) / self.scale, detection.score


def bordered(image: Image, longest_px: int | None = None) -> Bordered:
    """Put a grey border of half its longer side around a picture, shrunk to `longest_px` first."""
    scale = min(1.0, (longest_px or max(image.shape[:2])) / max(image.shape[:2]))
    small = shrunk(image, scale)
    border = max(small.shape[:2]) // 2
    padded = cv2.copyMakeBorder(small, *(border,) * 4, cv2.BORDER_CONSTANT, value=GREY)
    return Bordered(np.asarray(padded, np.uint8), border, scale)


def shrunk(image: Image, scale: float) -> Image:
    """Return a picture at a scale of at most 1."""
    if scale == 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def matching_face(labelled: Box, faces: Sequence[Found]) -> tuple[Box, Floats] | None:
    """Return the detected face that overlaps the labelled box most, or None if the overlap is too small."""
    overlaps = [iou(labelled, box) for box, _, _ in faces]
    best = max(range(len(faces)), key=overlaps.__getitem__, default=None)
    return faces[best][:2] if best is not None and overlaps[best] > SAME_FACE_IOU else None


def largest_face(faces: Sequence[Found]) -> tuple[Box, Floats] | None:
    """Return the face with the largest product of score and area, or None."""
    return max(faces, key=lambda face: face[2] * face[0].area)[:2] if faces else None
