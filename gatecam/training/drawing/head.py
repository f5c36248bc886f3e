"""Fit a head in space to five landmarks, to find where a thing on the head falls in the picture.

The unit is the distance between the eyes. The origin is between them, x points to the picture's right, y down
and z towards the camera. The measures are those of an average adult (Poston 2000, "Human Engineering Design
Data Digest": head breadth, nose protrusion, distance from eyes to chin) over 63 mm between the pupils.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gatecam.types import Floats

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
    """Convert values to a float32 array."""
    return np.asarray(values, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Maps points of the head to the picture with an affine camera."""

    matrix: Floats  # (2, 3) px per unit
    origin: Floats  # (2,) px
    rotation: Floats  # (3, 3); the third row gives the depth, where larger is nearer
    unit_px: float

    @classmethod
    def of(cls, landmarks: Floats) -> Pose:
        """Fit the pose to landmarks (5, 2): eyes, nose, mouth corners.

        The columns for x and y follow the landmarks, which suits long and broad faces. The column for z
        depends on the nose alone, so it is limited to what a rotation of that size allows.

        Raises:
            ValueError: a landmark was not found.
        """
        if not np.isfinite(landmarks).all():
            raise ValueError("landmarks: expected finite values, got NaN")
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
        """Return the pixels (..., 2) of points in space (..., 3)."""
        return np.asarray(points @ self.matrix.T + self.origin, np.float32)

    @property
    def yaw(self) -> float:
        """Return the sine of the angle by which the nose points to the picture's right."""
        return float(np.clip(self.matrix[0, 2] / self.unit_px, -1, 1))


def width(y: Floats) -> Floats:
    """Return half the breadth of a head at heights `y`."""
    return np.interp(y, *_WIDTH).astype(np.float32)


def front(y: Floats) -> Floats:
    """Return how far the skin in the middle stands out at heights `y`, without nose and lips."""
    return np.interp(y, *_FRONT).astype(np.float32)


def around(theta: Floats, y: Floats, off: Floats | float = 0.0, broader: Floats | float = 1.0) -> Floats:
    """Return points (..., 3) around the head at angles `theta` from the middle, `off` units off the skin."""
    x = (width(y) * broader + off * 0.5) * np.sin(theta)
    z = AXIS_Z + (front(y) - AXIS_Z + off) * np.cos(theta)
    return np.stack(np.broadcast_arrays(x, y, z), -1).astype(np.float32)
