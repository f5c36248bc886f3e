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
CELL_HEIGHT, CELL_WIDTH = 0.5, 0.6  # of the face's box, whose top edge is the second row's
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
FACE = (slice(1, 3), slice(1, 4))  # the cells of the face itself


def looks_of(image: Image, box: Box) -> Looks:
    """Return the colors around a face. The cost does not depend on the size of the face."""
    height, width = CELL_HEIGHT * box.height, CELL_WIDTH * box.width
    rows, rows_inside = _samples(box.y1 - height, height, ROWS, image.shape[0])
    columns, columns_inside = _samples(box.center[0] - COLUMNS / 2 * width, width, COLUMNS, image.shape[1])
    sampled = image[rows].take(columns, axis=1)
    cells = cv2.resize(sampled, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    colors = cv2.cvtColor(cells.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    colors[FACE] = 0.0
    return Looks(np.asarray(colors, np.float32), WEIGHTS * rows_inside[:, None] * columns_inside)


def _samples(start: float, cell: float, count: int, size: int) -> tuple[NDArray[np.intp], Floats]:
    """Return the pixels to sample along one axis, and which of the `count` cells lie inside the picture."""
    at = np.floor(start + (np.arange(count * SAMPLES) + 0.5) * (cell / SAMPLES)).astype(np.intp)
    inside = ((at >= 0) & (at < size)).reshape(count, SAMPLES).mean(axis=1) >= LEAST_INSIDE
    return at.clip(0, size - 1), inside.astype(np.float32)
