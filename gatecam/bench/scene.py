"""Draw the pictures for measurements: an entrance with faces that stay and hardly move.

The face is cut from a portrait of the astronaut Eileen Collins, by NASA, in the public domain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import cv2
import numpy as np

from gatecam.capture.images import read_image
from gatecam.pictures.video import VideoWriter
from gatecam.types import Image

FPS = 30.0
FACE_HEIGHT = 0.22  # of the head, in parts of the picture's height; sixteen fit at the same size
COLUMNS = 8
SWAY_PX = 3  # by which a head moves to and fro, because no one stands still
NOISE = 2.0  # standard deviation of a camera's noise, of 255


def draw(width: int, height: int, faces: int, count: int) -> Iterator[Image]:
    """Yield pictures (height, width, 3) of an entrance with faces at `FPS`, the same in every call.

    Without faces the scene is still and even its noise stays the same, as a camera's encoder makes of an
    empty room.
    """
    room = _room(width, height)
    head = _head(round(FACE_HEIGHT * height))
    rng = np.random.default_rng(7)
    noise = [rng.normal(0, NOISE, room.shape).astype(np.float32) for _ in range(4 if faces else 1)]
    for index in range(count):
        picture = room.copy()
        for number in range(faces):
            x, y = _place(number, faces, width, height, head.shape[1])
            phase = 2 * math.pi * (index / FPS / 2 + number / 7)
            x, y = x + round(SWAY_PX * math.sin(phase)), y + round(SWAY_PX * math.cos(phase) / 2)
            picture[y : y + head.shape[0], x : x + head.shape[1]] = head
        yield np.clip(picture + noise[index % len(noise)], 0, 255).astype(np.uint8)


def write_clip(path: Path, width: int, height: int, faces: int, count: int) -> None:
    """Record such pictures as a video.

    Raises:
        OutputError: the file cannot be written.
    """
    with VideoWriter(path, FPS) as writer:
        for index, picture in enumerate(draw(width, height, faces, count)):
            writer.write(picture, index / FPS)


def _room(width: int, height: int) -> Image:
    shade = np.linspace(150, 90, height, dtype=np.float32)[:, None, None]
    return np.broadcast_to(shade, (height, width, 3)).astype(np.uint8)


def _head(height: int) -> Image:
    with as_file(files("gatecam") / "assets" / "bench-face.png") as path:
        portrait = read_image(path)
    width = round(portrait.shape[1] * height / portrait.shape[0])
    return np.asarray(cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA))


def _place(number: int, faces: int, width: int, height: int, head_px: int) -> tuple[int, int]:
    """Return the upper left corner of a head. Heads are in rows of eight."""
    columns = min(faces, COLUMNS)
    rows = -(-faces // COLUMNS)
    row, column = divmod(number, COLUMNS)
    x = width * (column + 0.5) / columns - head_px / 2
    y = height * (row + 0.5) / rows - FACE_HEIGHT * height / 2
    return min(max(round(x), SWAY_PX), width - head_px - SWAY_PX), max(round(y), SWAY_PX)
