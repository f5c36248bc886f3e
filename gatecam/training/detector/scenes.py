"""Build scenes, which are pictures with everything known about their faces.

The detector learns from scenes, and its mistakes are mined in them. A scene's faces have boxes, and landmarks
where a teacher found the face. Copies of a scene with masks drawn on its bare faces keep the landmarks.
Doubtful faces are ignored. They teach nothing, in particular not that they are background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatecam.capture.images import read_image
from gatecam.geometry import clip
from gatecam.training.data.rows import BARE, UNKNOWN, Row
from gatecam.training.drawing import dress
from gatecam.types import Floats, Image
from gatecam.vision.bordered import shrunk

LONGEST_PX = 720  # of a scene; larger pictures are shrunk
PORTRAIT_PX = 320  # a picture of one face up to this size is a portrait

# of the copies' faces: mask worn right, worn wrong, no mask (bare or behind another thing)
DRESSED_SHARES = (0.55, 0.25, 0.2)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Holds a picture and its n faces."""

    image: Image  # (H, W, 3) RGB
    boxes: Floats  # (n, 4) px; a face that the picture's edge cuts may lie partly outside
    landmarks: Floats  # (n, 5, 2) px, NaN where unknown
    masks: NDArray[np.int64]  # (n,) mask state, -1 where unknown
    ignored: Floats  # (m, 4) px: doubtful faces


def read_scene_picture(path: Path) -> tuple[Image, float]:
    """Read a picture for a scene, shrunk to `LONGEST_PX`. Return it and its scale.

    Raises:
        SourceError: it cannot be read.
    """
    image = read_image(path)
    scale = min(1.0, LONGEST_PX / max(image.shape[:2]))
    return shrunk(image, scale), scale


def scene_of(rows: Sequence[Row]) -> Scene:
    """Build the scene of one picture from all its rows, which have boxes. Boxes outside of it are left out.

    Raises:
        SourceError: the picture cannot be read.
    """
    image, scale = read_scene_picture(rows[0].image)
    height, width = (round(side / scale) for side in image.shape[:2])
    rows = [row for row in rows if row.box is None or clip(row.box, width, height).area > 0]
    faces = [row for row in rows if not row.suspect]
    unknown = np.full((5, 2), np.nan)
    landmarks = [unknown if row.landmarks is None else np.array(row.landmarks) for row in faces]
    return Scene(
        image,
        _corners(faces, scale),
        np.array(landmarks, np.float32).reshape(-1, 5, 2) * scale,
        np.array([row.mask for row in faces], np.int64),
        _corners([row for row in rows if row.suspect], scale),
    )


def _corners(rows: Sequence[Row], scale: float) -> Floats:
    boxes = [(row.box.x1, row.box.y1, row.box.x2, row.box.y2) for row in rows if row.box is not None]
    return np.array(boxes, np.float32).reshape(-1, 4) * scale


def is_portrait(scene: Scene) -> bool:
    """Return whether a scene is a small picture of one face."""
    return len(scene.boxes) == 1 and max(scene.image.shape[:2]) <= PORTRAIT_PX


def empty_scene(path: Path) -> Scene:
    """Build the scene of a picture without a face.

    Raises:
        SourceError: the picture cannot be read.
    """
    image, _ = read_scene_picture(path)
    nothing = _corners([], 1.0)
    return Scene(image, nothing, np.zeros((0, 5, 2), np.float32), np.zeros(0, np.int64), nothing)


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
