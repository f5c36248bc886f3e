"""Augment scenes as cameras do: light, colour, blur, noise, compression and rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.training.detector.scenes import Scene
from gatecam.types import Floats, Image

GREY = (127, 127, 127)  # fills pixels beyond a picture's edge; close to 0 after normalisation
TURN_DEGREES = 20.0
TIGHT_SHARE = 0.3  # of the views of a face, in which the picture ends close to it
TIGHT_MARGINS = (-0.15, 0.45)  # from the face to the picture's edge, in parts of the face's side
COVERED_SHARE = 0.35  # of the views, in which a thing hides a part of one face, if one is found
COVERED_DEPTHS = (0.1, 0.45)  # of the face's side
COVER_RADII = (0.35, 0.8)  # of the thing's rounded edge, in parts of the face's side
GREY_SHARE = 0.2  # of the thing, at most, that is beyond a picture's edge


def look(image: Image, rng: np.random.Generator) -> Image:
    """Change the picture as if another camera in other light had taken it."""
    image = _lit(image, rng)
    if rng.random() < 0.08:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    if rng.random() < 0.2:
        image = _coarse(image, rng)
    if rng.random() < 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 1.6))), np.uint8)
    if rng.random() < 0.2:
        image = _noisy(image, rng)
    if rng.random() < 0.2:
        image = _compressed(image, rng)
    return image


def _lit(image: Image, rng: np.random.Generator) -> Image:
    """Change exposure, contrast and white balance, and sometimes make the picture nearly dark."""
    gain = np.exp(rng.normal(0, 0.25)) * (rng.uniform(0.25, 0.6) if rng.random() < 0.1 else 1.0)
    gamma = float(np.exp(rng.normal(0, 0.25)))
    tint = np.exp(rng.normal(0, 0.06, 3))
    ramp = (np.arange(256, dtype=np.float32) / 255) ** gamma
    table = np.clip(ramp[:, None] * gain * tint * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def _coarse(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    scale = float(rng.uniform(0.35, 0.9))
    small = cv2.resize(
        image, (max(8, int(width * scale)), max(8, int(height * scale))), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _noisy(image: Image, rng: np.random.Generator) -> Image:
    noise: NDArray[np.int16] = np.zeros_like(image, np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(noise, 0, float(rng.uniform(2, 16)))  # type: ignore[call-overload]  # OpenCV accepts numbers here
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def _compressed(image: Image, rng: np.random.Generator) -> Image:
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Cuts a square from a scene, rotated, mirrored and resized.

    Attributes:
        middle: (2,) px of the scene that become the middle of the window.
        scale: px of the window per px of the scene.
        size: side of the window in px.
        degrees: rotation.
        flip: mirror left and right.
    """

    middle: NDArray[np.float64]
    scale: float
    size: int
    degrees: float = 0.0
    flip: bool = False

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Return the matrix (2, 3) from px of the scene to px of the window."""
        matrix = cv2.getRotationMatrix2D((0.0, 0.0), self.degrees, self.scale)
        if self.flip:
            matrix[0] *= -1
        matrix[:, 2] = self.size / 2 - matrix[:, :2] @ self.middle
        return np.asarray(matrix)

    def boxes(self, boxes: Floats) -> Floats:
        """Convert boxes (n, 4) to the window. Their sides stay upright, which is accurate enough for small
        rotations.
        """
        matrix = self.matrix
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
        half = (boxes[:, 2:] - boxes[:, :2]) / 2 * self.scale
        return np.concatenate([middle - half, middle + half], 1).astype(np.float32)

    def cut(self, scene: Scene) -> Scene:
        """Cut the window from the scene. Pixels beyond the scene are grey."""
        matrix = self.matrix
        landmarks = scene.landmarks @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)
        if self.flip:
            landmarks = landmarks[:, [1, 0, 2, 4, 3]]
        image = self._image(scene.image, matrix)
        return Scene(image, self.boxes(scene.boxes), landmarks, scene.masks, self.boxes(scene.ignored))

    def _image(self, image: Image, matrix: NDArray[np.float64]) -> Image:
        """Return the window's pixels. The image is halved first where it shrinks much, so that no pixel is
        skipped.
        """
        half, shrink = 0.75 * self.size / self.scale, 1.0
        x, y = (int(max(0, v - half)) for v in self.middle)
        image = image[y : int(self.middle[1] + half) + 1, x : int(self.middle[0] + half) + 1]
        if not image.size:
            return np.full((self.size, self.size, 3), GREY[0], np.uint8)
        while self.scale / shrink < 0.6 and min(image.shape[:2]) >= 4:
            size = (image.shape[1] // 2, image.shape[0] // 2)
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            shrink /= 2
        part = matrix.copy()
        part[:, 2] = matrix[:, :2] @ np.array([x, y]) + matrix[:, 2]
        part[:, :2] /= shrink
        window = cv2.warpAffine(
            np.ascontiguousarray(image), part, (self.size,) * 2, flags=cv2.INTER_LINEAR, borderValue=GREY
        )
        return np.asarray(window, np.uint8)


def turn(rng: np.random.Generator) -> float:
    """Choose the degrees by which a scene is rotated, most often 0."""
    return float(rng.uniform(-TURN_DEGREES, TURN_DEGREES)) if rng.random() < 0.4 else 0.0


def tightened(scene: Scene, rng: np.random.Generator) -> Scene:
    """Make everything grey that is not close to one face, as if the picture ended there or cut the face.

    Other faces that the new edge cuts are ignored, and those beyond it are gone.
    """
    if not len(scene.boxes):
        return scene
    kept = int(rng.integers(len(scene.boxes)))
    box = scene.boxes[kept]
    side = float(np.sqrt(np.prod(box[2:] - box[:2])))
    edge = box + rng.uniform(*TIGHT_MARGINS, 4) * side * [-1, -1, 1, 1]
    x1, y1, x2, y2 = np.clip(edge, 0, max(scene.image.shape[:2])).round().astype(int)
    image = np.full_like(scene.image, GREY[0])
    image[y1:y2, x1:x2] = scene.image[y1:y2, x1:x2]
    seen = np.minimum(scene.boxes[:, 2:], edge[2:]) - np.maximum(scene.boxes[:, :2], edge[:2])
    share = seen.clip(0).prod(1) / (scene.boxes[:, 2:] - scene.boxes[:, :2]).prod(1).clip(1e-6)
    whole = (share > 0.9) | (np.arange(len(share)) == kept)
    cut = ~whole & (share > 0.1)
    ignored = np.concatenate([scene.ignored, scene.boxes[cut]])
    return Scene(image, scene.boxes[whole], scene.landmarks[whole], scene.masks[whole], ignored)


def covered_some(scenes: Sequence[Scene], rng: np.random.Generator) -> list[Scene]:
    """Hide a part of a face in some of a batch's scenes, behind pieces of the others."""
    return [
        covered(scene, scenes[int(rng.integers(len(scenes)))], rng) if rng.random() < COVERED_SHARE else scene
        for scene in scenes
    ]


def covered(scene: Scene, source: Scene, rng: np.random.Generator) -> Scene:
    """Hide a part of one face behind a round piece of another scene: clothes, hair, hands or a seat.

    Return the scene itself if it has no face, or if no piece without a face was found.
    """
    if not len(scene.boxes):
        return scene
    x1, y1, x2, y2 = scene.boxes[int(rng.integers(len(scene.boxes)))]
    side = float(np.sqrt((x2 - x1) * (y2 - y1)))
    radius = max(2, round(rng.uniform(*COVER_RADII) * side))
    piece = _faceless(source, rng)
    if piece is None:
        return scene
    piece = np.asarray(cv2.resize(piece, (2 * radius, 2 * radius), interpolation=cv2.INTER_AREA), np.uint8)
    angle = rng.uniform(0, 2 * np.pi)
    away = side / 2 - rng.uniform(*COVERED_DEPTHS) * side + radius
    left = (x1 + x2) / 2 + np.cos(angle) * away - radius
    top = (y1 + y2) / 2 + np.sin(angle) * away - radius
    move = np.array([[1, 0, left], [0, 1, top]], np.float32)
    disc = cv2.circle(np.zeros(piece.shape[:2], np.uint8), (radius, radius), radius - 1, 255, -1, cv2.LINE_AA)
    size = (scene.image.shape[1], scene.image.shape[0])
    share = cv2.warpAffine(disc, move, size)[..., None] / np.float32(255)
    image = (scene.image * (1 - share) + cv2.warpAffine(piece, move, size) * share).astype(np.uint8)
    return Scene(image, scene.boxes, scene.landmarks, scene.masks, scene.ignored)


def _faceless(scene: Scene, rng: np.random.Generator) -> Image | None:
    """Return a square piece near a face of a scene that shows no face, or None after a few tries."""
    if not len(scene.boxes):
        return None
    faces = np.concatenate([scene.boxes, scene.ignored])
    height, width = scene.image.shape[:2]
    for _ in range(12):
        x1, y1, x2, y2 = scene.boxes[int(rng.integers(len(scene.boxes)))]
        size = max(4, round(rng.uniform(0.4, 1.0) * (x2 - x1)))
        x = round(rng.uniform(1.5 * x1 - 0.5 * x2, 1.5 * x2 - 0.5 * x1) - size / 2)
        y = round(rng.uniform(1.5 * y1 - 0.5 * y2, 2.5 * y2 - 1.5 * y1) - size / 2)
        apart = (
            (faces[:, 0] >= x + size) | (faces[:, 2] <= x) | (faces[:, 1] >= y + size) | (faces[:, 3] <= y)
        )
        if not apart.all() or x < 0 or y < 0 or x + size > width or y + size > height:
            continue
        piece = scene.image[y : y + size, x : x + size]
        if (piece == GREY[0]).all(2).mean() < GREY_SHARE:
            return piece
    return None
