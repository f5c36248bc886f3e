"""Measure the colors of what surrounds a face: hair, neck, shoulders and clothes.

The region around the face is divided into 7 × 5 cells, and each becomes one mean color. The cells of the face
itself are left out, so nothing of it is kept. What remains tells apart people in different clothes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.types import Box, Floats, Image, Looks

ROWS, COLUMNS = 7, 5
CELL_HEIGHT, CELL_WIDTH = 0.5, 0.6  # of the face's box. The second row begins at the top edge of the box.
SAMPLES = 8  # pixels in each direction that are averaged per cell, however large the face
LEAST_INSIDE = 0.75  # a cell counts if at least this part of it lies in the picture

# From the top: hair, eyes, mouth, neck, and three rows of clothes. The outer cells of clothes hold arms and
# background in turn, so they count less.
WEIGHTS: Floats = np.array(
    [
        [0.0, 0.5, 1.0, 0.5, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.7, 0.7, 0.7, 0.0],
        [0.5, 1.0, 1.0, 1.0, 0.5],
        [0.5, 1.0, 1.0, 1.0, 0.5],
        [0.5, 1.0, 1.0, 1.0, 0.5],
    ],
    np.float32,
)
_SHARES = np.arange(256) / 255
LINEAR: Floats = np.where(_SHARES <= 0.04045, _SHARES / 12.92, ((_SHARES + 0.055) / 1.055) ** 2.4).astype(
    "f4"
)
# From linear sRGB to CIE XYZ in shares of the white (IEC 61966-2-1), and from their cube roots to CIE Lab
TO_XYZ: Floats = np.array(
    [[0.433953, 0.212671, 0.017758], [0.376219, 0.715160, 0.109477], [0.189828, 0.072169, 0.872765]],
    np.float32,
)
TO_LAB: Floats = np.array([[0, 500, 0], [116, -500, 200], [0, 0, -200]], np.float32)
LAB_OFFSET: Floats = np.array([16, 0, 0], np.float32)
FACE = (slice(1, 3), slice(1, 4))  # the cells of the face itself


def looks_of(image: Image, box: Box) -> Looks:
    """Return the colors around a face. The cost does not depend on the size of the face."""
    height, width = CELL_HEIGHT * box.height, CELL_WIDTH * box.width
    rows, rows_inside = _samples(box.y1 - height, height, ROWS, image.shape[0])
    columns, columns_inside = _samples(box.center[0] - COLUMNS / 2 * width, width, COLUMNS, image.shape[1])
    sampled = image[rows].take(columns, axis=1)
    cells = cv2.resize(sampled, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    colors = _lab(np.asarray(cells, np.uint8))
    colors[FACE] = 0.0
    return Looks(colors, WEIGHTS * rows_inside[:, None] * columns_inside)


def _lab(rgb: Image) -> Floats:
    """Convert sRGB (rows, columns, 3) to CIE Lab with the white D65, in the same shape.

    OpenCV's conversion fills a large table first, which would delay the first verdict by a sixth of a second.
    """
    xyz = LINEAR[rgb] @ TO_XYZ
    roots = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return roots @ TO_LAB - LAB_OFFSET


def _samples(start: float, cell: float, count: int, size: int) -> tuple[NDArray[np.intp], Floats]:
    """Return the pixels to sample along one axis, and which of the `count` cells lie inside the picture."""
    at = np.floor(start + (np.arange(count * SAMPLES) + 0.5) * (cell / SAMPLES)).astype(np.intp)
    inside = ((at >= 0) & (at < size)).reshape(count, SAMPLES).mean(axis=1) >= LEAST_INSIDE
    return at.clip(0, size - 1), inside.astype(np.float32)
