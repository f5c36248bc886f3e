"""Build scenes, which are pictures with everything known about their faces.

The detector learns from scenes, and its mistakes are mined in them. A scene's faces have boxes. Bare faces
that the stock weights found also have landmarks. Copies of such a scene with masks drawn on those faces keep
the landmarks. Doubtful faces and likely faces without a box are ignored. They teach nothing, in particular
not that they are background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatecam.capture.images import read_image
from gatecam.geometry import iou
from gatecam.training.data.rows import UNKNOWN, Row
from gatecam.training.detector.teaching import Teaching, fitted, read_scene_picture
from gatecam.training.drawing import dress
from gatecam.types import Box, Floats, Image

SAME_FACE_IOU = 0.4
UNBOXED_SCORE = 0.9  # score of the stock weights from which a face without a box is ignored
BARE = 2
# of the copies' faces: mask worn right, worn wrong, no mask (bare or behind another thing)
DRESSED_SHARES = (0.55, 0.25, 0.2)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Holds a picture and its n faces."""

    image: Image  # (H, W, 3) RGB
    boxes: Floats  # (n, 4) px
    landmarks: Floats  # (n, 5, 2) px, NaN where unknown
    masks: NDArray[np.int64]  # (n,) mask state, -1 where unknown
    ignored: Floats  # (m, 4) px: doubtful faces, and faces without a labelled box


@dataclass(frozen=True, slots=True, eq=False)
class BoxFit:
    """Predicts the box that labellers would draw around a face from its landmarks.

    It is a linear map from the five landmarks, relative to their middle and in parts of their spread, to the
    box's corners in the same measure. Pictures without boxes thus get the same kind of box.
    """

    weights: Floats  # (11, 4)

    @staticmethod
    def of(landmarks: Floats, boxes: Floats) -> BoxFit:
        """Fit landmarks (n, 5, 2) to boxes (n, 4) by least squares, then twice without the worst tenth."""
        inputs, targets = _measured(landmarks), _corners(landmarks, boxes)
        kept = np.ones(len(inputs), bool)
        for _ in range(3):
            weights, *_ = np.linalg.lstsq(inputs[kept], targets[kept], rcond=None)
            error = np.abs(inputs @ weights - targets).max(1)
            kept = error <= np.quantile(error, 0.9)
        return BoxFit(weights.astype(np.float32))

    def box(self, landmarks: Floats) -> Floats:
        """Return the box (4,) of landmarks (5, 2)."""
        middle, spread = _frame(landmarks[None])
        corners = (_measured(landmarks[None]) @ self.weights)[0] * spread[0] + np.tile(middle[0], 2)
        return np.asarray(corners, np.float32)


def _frame(landmarks: Floats) -> tuple[Floats, Floats]:
    middle = landmarks.mean(1)  # (n, 2)
    spread = np.sqrt(((landmarks - middle[:, None]) ** 2).sum(2).mean(1))  # (n,)
    return middle, np.maximum(spread, 1e-3)


def _measured(landmarks: Floats) -> Floats:
    middle, spread = _frame(landmarks)
    inputs = ((landmarks - middle[:, None]) / spread[:, None, None]).reshape(len(landmarks), 10)
    return np.concatenate([inputs, np.ones((len(inputs), 1), inputs.dtype)], 1)


def _corners(landmarks: Floats, boxes: Floats) -> Floats:
    middle, spread = _frame(landmarks)
    return np.asarray((boxes - np.tile(middle, 2)) / spread[:, None])


def boxed_scene(rows: Sequence[Row], teaching: Teaching, unboxed: Sequence[Box] = ()) -> Scene:
    """Build the scene of one picture from all its rows, which have boxes.

    Args:
        rows: all rows of the picture.
        teaching: the faces that the stock weights find in it.
        unboxed: faces without a row, in px of the picture. They are ignored.

    Raises:
        SourceError: the picture cannot be read.
    """
    image, scale = fitted(read_image(rows[0].image))
    found = teaching.of(rows[0].image)
    boxes, landmarks, masks = [], [], []
    ignored = [_scaled(box, scale) for box in unboxed]
    for row in rows:
        assert row.box is not None
        corners = _scaled(row.box, scale)
        box = Box(*corners)
        if row.suspect:
            ignored.append(corners)
            continue
        best = max(found, key=lambda face: iou(face[0], box), default=None)
        known = row.mask == BARE and best is not None and iou(best[0], box) > SAME_FACE_IOU
        boxes.append(corners)
        masks.append(row.mask)
        landmarks.append(best[2] if known and best else np.full((5, 2), np.nan, np.float32))
    given = [Box(*map(float, corners)) for corners in [*boxes, *ignored]]
    for face, score, _ in found:
        if score >= UNBOXED_SCORE and all(_shared(face, box) < 0.3 for box in given):
            ignored.append([face.x1, face.y1, face.x2, face.y2])
    return _scene(image, boxes, landmarks, masks, ignored)


def _scaled(box: Box, scale: float) -> list[float]:
    return [value * scale for value in (box.x1, box.y1, box.x2, box.y2)]


def _shared(a: Box, b: Box) -> float:
    """Return the overlap of two boxes, in parts of the smaller."""
    width, height = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(0.0, width) * max(0.0, height) / max(1e-6, min(a.area, b.area))


def _scene(
    image: Image,
    boxes: Sequence[Sequence[float]],
    landmarks: Sequence[Floats],
    masks: Sequence[int],
    ignored: Sequence[Sequence[float]],
) -> Scene:
    return Scene(
        image,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(landmarks, np.float32).reshape(-1, 5, 2),
        np.array(masks, np.int64),
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def portrait_scene(row: Row, teaching: Teaching, fit: BoxFit | None) -> Scene | None:
    """Build the scene of a picture that shows one face. Return None where the face was not found.

    Args:
        row: the picture's row, without a box.
        teaching: the faces that the stock weights find in it.
        fit: predicts the face's box. None takes the box of the stock weights.

    Raises:
        SourceError: the picture cannot be read.
    """
    found = teaching.of(row.image)
    if not found:
        return None
    box, _, landmarks = max(found, key=lambda face: face[1] * face[0].area)
    image = read_scene_picture(row.image)
    corners = _scaled(box, 1.0) if fit is None else fit.box(landmarks).tolist()
    return _scene(image, [corners], [landmarks], [row.mask], [])


def empty_scene(image: Image) -> Scene:
    """Build the scene of a picture without a face."""
    return _scene(image, [], [], [], [])


def dressed_scene(scene: Scene, rng: np.random.Generator) -> Scene | None:
    """Draw something on every bare face with known landmarks. Return None where there is no such face.

    The landmarks stay those of the bare face. `DRESSED_SHARES` gives the shares of the mask states.
    """
    image, masks, drawn = scene.image, scene.masks.copy(), False
    for i in np.flatnonzero(np.isin(scene.masks, (BARE, UNKNOWN))):
        if np.isnan(scene.landmarks[i]).any() or _profile(scene.landmarks[i]):
            continue
        state = int(rng.choice(3, p=DRESSED_SHARES))
        dressed = dress(image, scene.landmarks[i], state, rng)
        image, masks[i], drawn = dressed.image, dressed.state, True
    return Scene(image, scene.boxes, scene.landmarks, masks, scene.ignored) if drawn else None


def _profile(landmarks: Floats) -> bool:
    """Return whether the face is turned too far to draw a mask on it well."""
    eyes, mouth = landmarks[1] - landmarks[0], landmarks[3:].mean(0) - landmarks[:2].mean(0)
    return float(np.hypot(*eyes)) < 0.45 * float(np.hypot(*mouth))
