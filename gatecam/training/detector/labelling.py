"""Decide where the faces of a picture are, from its labels and from what public detectors find in it.

Annotators draw boxes in different ways, and leave out some faces. Teachers box all faces in the same way and
give landmarks. The decision about each face says how labels and teachers agreed:

    agreed    a label and a teacher mean the same face. The box is the teacher's.
    labelled  no teacher finds the labelled face. The box is the label's.
    placed    the face of a picture that shows one person. The box is the teacher's.
    added     the teachers are sure of a face without a label.
    doubtful  the teachers are not sure, or the label is doubtful and no teacher confirms it. Training ignores
              the face, so that it is not learnt as background.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gatecam.geometry import iou, overlap
from gatecam.training.data.rows import Row
from gatecam.types import Box, Detection, Floats

SAME_FACE_IOU = 0.3  # of a label and a detection, because annotators box the head or only the mask
SAME_DETECTION_IOU = 0.4  # of two teachers' detections
SURE_SCORE = 0.4  # mean score over all teachers, 0 for those that miss it, from which a face is added
DOUBTFUL_SCORE = 0.2  # the same, from which a face without a label is doubtful
CONFIRMING_SCORE = 0.1  # the same, from which teachers confirm a label


class Decision(StrEnum):
    """Says how a face was decided."""

    AGREED = "agreed"
    LABELLED = "labelled"
    PLACED = "placed"
    ADDED = "added"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """Holds one face of a picture."""

    box: Box  # px of the picture; parts may lie outside of it
    landmarks: Floats | None  # (5, 2) px
    decision: Decision
    score: float  # mean score of the teachers
    row: Row | None  # the label, or None for a face without one


def agreement(by_teacher: Sequence[Sequence[Detection]]) -> list[Detection]:
    """Join what the teachers find in one picture, best first.

    A face has the box and landmarks of the first teacher that finds it. Its score is the mean over all
    teachers.
    """
    faces: list[list[Detection]] = []
    for found in by_teacher:
        known = len(faces)
        for face in found:
            same = max(faces[:known], key=lambda joined: iou(joined[0].box, face.box), default=None)
            if same is not None and iou(same[0].box, face.box) >= SAME_DETECTION_IOU:
                same.append(face)
            else:
                faces.append([face])
    joined = [
        Detection(parts[0].box, sum(part.score for part in parts) / len(by_teacher), parts[0].landmarks)
        for parts in faces
    ]
    return sorted(joined, key=lambda face: -face.score)


def decide_scene(rows: Sequence[Row], faces: Sequence[Detection]) -> list[Decided]:
    """Decide the faces of a picture whose rows have boxes.

    Args:
        rows: all rows of the picture.
        faces: what `agreement` found in it.
    """
    free = list(faces)
    decided = []
    for row in sorted(rows, key=lambda row: -(row.box.area if row.box else 0)):
        assert row.box is not None
        best = max(free, key=lambda face: iou(face.box, row.box or face.box), default=None)
        if best is not None and iou(best.box, row.box) >= SAME_FACE_IOU and best.score >= CONFIRMING_SCORE:
            free.remove(best)
            decided.append(Decided(best.box, best.landmarks, Decision.AGREED, best.score, row))
        else:
            decision = Decision.DOUBTFUL if row.suspect else Decision.LABELLED
            decided.append(Decided(row.box, None, decision, 0.0, row))
    return [*decided, *_unlabelled(free, [face.box for face in decided])]


def decide_portrait(row: Row, faces: Sequence[Detection]) -> list[Decided]:
    """Decide the faces of a picture that shows one person, the largest. Return none if it was not found."""
    likely = [face for face in faces if face.score >= CONFIRMING_SCORE]
    if not likely:
        return []
    best = max(likely, key=lambda face: face.score * face.box.area)
    placed = Decided(best.box, best.landmarks, Decision.PLACED, best.score, row)
    return [placed, *_unlabelled((face for face in likely if face is not best), [best.box])]


def _unlabelled(faces: Iterable[Detection], taken: Sequence[Box]) -> list[Decided]:
    """Add the faces without a label, except those that largely lie in a face that is taken."""
    decided = []
    for face in faces:
        if face.score < DOUBTFUL_SCORE or any(_shared(face.box, box) > 0.5 for box in taken):
            continue
        decision = Decision.ADDED if face.score >= SURE_SCORE else Decision.DOUBTFUL
        decided.append(Decided(face.box, face.landmarks, decision, face.score, None))
    return decided


def _shared(a: Box, b: Box) -> float:
    """Return the overlap of two boxes, in parts of the smaller."""
    return overlap(a, b) / max(1e-6, min(a.area, b.area))
