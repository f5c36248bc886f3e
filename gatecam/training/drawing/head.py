"""A head in space, fitted to five landmarks: where a thing on it falls in the picture.

Its unit is the distance between the eyes; the origin lies between them, x runs to the picture's right, y down
and z towards the camera. The measures are those of an average adult (Poston 2000, "Human Engineering Design
Data Digest": head breadth, nose protrusion, distance from eyes to chin) over 63 mm between the pupils.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gatecam.types import Floats

CHIN = 1.74  # y of the chin's tip
EAR = (1.14, 0.28, -1.05)  # where an ear loop vanishes behind the ear, on the right
AXIS_Z = -1.15  # the vertical axis around which the head is round

_LANDMARKS = np.array(
    [(-0.5, 0, 0), (0.5, 0, 0), (0, 0.62, 0.5), (-0.39, 1.1, 0.08), (0.39, 1.1, 0.08)], np.float32
)
_TO_AFFINE = np.linalg.pinv(np.hstack([_LANDMARKS, np.ones((5, 1), np.float32)]))
_WIDTH = ((-0.8, 0.0, 0.4, 0.8, 1.2, 1.6, 1.85, 2.1, 2.6), (1.0, 1.1, 1.12, 1.06, 0.96, 0.8, 0.7, 0.66, 0.7))
_FRONT = (
    (-0.8, 0.0, 0.3, 0.62, 1.1, 1.5, 1.74, 1.9, 2.3, 2.8),
    (0, 0.1, 0.2, 0.28, 0.3, 0.27, 0.2, -0.12, -0.42, -0.45),
)


def floats(values: ArrayLike) -> Floats:
    """Values as an array of the type in which everything is drawn."""
    return np.asarray(values, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """An affine camera that maps the model's landmarks to the picture's."""

    matrix: Floats  # (2, 3) px a unit
    origin: Floats  # (2,) px
    rotation: Floats  # (3, 3); the third row gives the depth, larger is nearer
    unit_px: float

    @classmethod
    def of(cls, landmarks: Floats) -> Pose:
        """The pose of (5, 2) landmarks: eyes, nose, mouth corners.

        The columns for x and y follow the landmarks, so that long and broad faces are met; the one for z
        rests on the nose alone and is held to what a rotation of that size allows.

        Raises:
            ValueError: a landmark was not found.
        """
        if not np.isfinite(landmarks).all():
            raise ValueError("landmarks: expected found ones, got NaN")
        affine = (_TO_AFFINE @ landmarks.astype(np.float64)).T  # (2, 4)
        matrix, origin = affine[:, :3].copy(), affine[:, 3]
        matrix[1, 2] *= 0.6  # noses differ in length more than heads in pitch
        _, sizes, _ = np.linalg.svd(matrix)
        unit_px = max(float(np.sqrt(sizes[0] * sizes[1])), 0.5)
        depth = float(np.hypot(*matrix[:, 2]))
        matrix[:, 2] *= min(1.0, 0.95 * unit_px / max(depth, 1e-6))
        left, _, right = np.linalg.svd(matrix / unit_px, full_matrices=False)
        rows = left @ right
        rotation = np.vstack([rows, np.cross(rows[0], rows[1])])
        return cls(matrix.astype(np.float32), origin.astype(np.float32), rotation.astype(np.float32), unit_px)

    def px(self, points: Floats) -> Floats:
        """(..., 2) pixels of (..., 3) points in space."""
        return np.asarray(points @ self.matrix.T + self.origin, np.float32)

    @property
    def yaw(self) -> float:
        """The sine of the angle by which the nose points to the picture's right."""
        return float(np.clip(self.matrix[0, 2] / self.unit_px, -1, 1))


def width(y: Floats) -> Floats:
    """Half the breadth of a head at heights `y`."""
    return np.interp(y, *_WIDTH).astype(np.float32)


def front(y: Floats) -> Floats:
    """How far the skin's middle, nose and lips left out, stands out at heights `y`."""
    return np.interp(y, *_FRONT).astype(np.float32)


def around(theta: Floats, y: Floats, off: Floats | float = 0.0, broader: Floats | float = 1.0) -> Floats:
    """(..., 3) points around the head at angles `theta` from the middle, standing `off` the skin."""
    x = (width(y) * broader + off * 0.5) * np.sin(theta)
    z = AXIS_Z + (front(y) - AXIS_Z + off) * np.cos(theta)
    return np.stack(np.broadcast_arrays(x, y, z), -1).astype(np.float32)
