"""Encode the picture that is kept of an alert. Its file says where the face is, and whether it is blurred."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import PIL.Image

from gatecam.pictures.draw import blur_faces
from gatecam.types import Box, Image, Step

LARGEST_PX = 1280  # width of a snapshot
QUALITY = 88


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """Says where the face of the event is, in px of the picture, and whether its faces are blurred."""

    box: Box | None = None
    blurred: bool = True


def snapshot_jpeg(image: Image, face: Box | None, hidden: Sequence[Box] | None) -> bytes:
    """Return a picture as JPEG with its facts in the comment.

    Args:
        image: the picture.
        face: the place of the event's face.
        hidden: the places to blur. None blurs nothing.
    """
    shown = image if hidden is None else blur_faces(image, hidden)
    box = None if face is None else [round(value, 1) for value in (face.x1, face.y1, face.x2, face.y2)]
    facts = json.dumps({"box": box, "blurred": hidden is not None})
    file = io.BytesIO()
    PIL.Image.fromarray(shown).save(file, "JPEG", quality=QUALITY, comment=facts.encode("ascii"))
    return file.getvalue()


def shrunk_step(step: Step, largest_px: int = LARGEST_PX) -> Step:
    """Return a step whose picture is at most so wide, with the boxes of its faces and tracks in that size."""
    height, width = step.frame.image.shape[:2]
    scale = largest_px / width
    if scale >= 1:
        return step
    size = (largest_px, max(1, round(height * scale)))
    image = np.asarray(cv2.resize(step.frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    tracks = tuple(replace(track, box=_scaled(track.box, scale)) for track in step.tracks)
    faces = tuple(
        replace(face, detection=replace(face.detection, box=_scaled(face.detection.box, scale)))
        for face in step.faces
    )
    return replace(step, frame=replace(step.frame, image=image), faces=faces, tracks=tracks)


def _scaled(box: Box, scale: float) -> Box:
    return Box(box.x1 * scale, box.y1 * scale, box.x2 * scale, box.y2 * scale)
