"""Search pictures with the stock weights for landmarks of bare faces, and for unlabelled faces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.capture.images import read_image
from gatecam.errors import SourceError
from gatecam.runtime.files import replacing
from gatecam.settings.schema import DetectorConfig
from gatecam.training.data.patches import file_state
from gatecam.training.data.rows import Problem
from gatecam.training.data.tables import relative
from gatecam.types import Box, Detection, Floats, Image
from gatecam.vision.detector.stock import StockDetector
from gatecam.vision.device import pick_device

LONGEST_PX = 720  # of a scene; larger pictures are shrunk
MIN_FACE_PX = 20
CUT_OUT_PX = 320  # a portrait up to this size may be cut out around its face, so it is searched with a border
BORDER = (127, 127, 127)
BATCH = 16

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Teaching:
    """Holds the faces that the stock weights find, by picture. Unreadable pictures are missing."""

    found: dict[str, NDArray[np.float32]]  # by path: (k, 15) box, score, landmarks, in px of the scene

    def of(self, image: Path) -> list[tuple[Box, float, Floats]]:
        """Return the faces found in a picture: box, score and landmarks (5, 2)."""
        return [
            (Box(*map(float, row[:4])), float(row[4]), row[5:].reshape(5, 2))
            for row in self.found.get(str(image), np.zeros((0, 15), np.float32))
        ]


def read_scene_picture(path: Path) -> Image:
    """Read a picture for a scene, shrunk to `LONGEST_PX`.

    Raises:
        SourceError: it cannot be read.
    """
    return fitted(read_image(path))[0]


def fitted(image: Image) -> tuple[Image, float]:
    """Shrink a picture to `LONGEST_PX`. Return it and the scale."""
    scale = min(1.0, LONGEST_PX / max(image.shape[:2]))
    if scale == 1:
        return image, 1.0
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def taught(
    images: Sequence[Path], folder: Path, portraits: bool, progress: Progress, cache: Path
) -> tuple[Teaching, list[Problem]]:
    """Search pictures with the stock weights, or read the result from the cache.

    Args:
        images: the pictures to search.
        folder: the collection's folder. Problems name pictures relative to it.
        portraits: each picture shows one person, and a small one may be cut out around the face.
        progress: called with the number of pictures done and in total.
        cache: an .npz file. It is read if it was made from the same unchanged pictures, otherwise written.

    Returns:
        The faces found, and a problem for each unreadable picture.
    """
    states = [(relative(image, folder), file_state(image)) for image in images]
    made_of = repr((LONGEST_PX, MIN_FACE_PX, CUT_OUT_PX, portraits, states))
    stamp = hashlib.sha256(made_of.encode()).hexdigest()
    cached = _read_cache(cache, stamp, images)
    if cached is None:
        cached = _teach(images, folder, portraits, progress)
        _write_cache(cache, stamp, images, *cached)
    return cached


def _teach(
    images: Sequence[Path], folder: Path, portraits: bool, progress: Progress
) -> tuple[Teaching, list[Problem]]:
    device = pick_device("auto")
    detector = StockDetector(DetectorConfig(weights="stock", min_face_px=MIN_FACE_PX), device)
    found: dict[str, NDArray[np.float32]] = {}
    problems: list[Problem] = []
    for begin in range(0, len(images), BATCH):
        opened = []
        for path in images[begin : begin + BATCH]:
            try:
                opened.append((path, *_bordered(read_scene_picture(path), portraits)))
            except SourceError as error:
                what = f"picture cannot be read: {str(error).removeprefix(f'{path}: ')}"
                problems.append(Problem(relative(path, folder), what, "left out"))
        seen = [image for _, image, _ in opened]
        for (path, _, border), faces in zip(opened, detector.detect(seen), strict=True):
            found[str(path)] = np.array([_row(face, border) for face in faces], np.float32).reshape(-1, 15)
        progress(min(begin + BATCH, len(images)), len(images))
    return Teaching(found), problems


def _bordered(image: Image, portrait: bool) -> tuple[Image, int]:
    """Add a border of half the side to a cut-out portrait, so that a face that fills it can be found.

    Return the image and the border's width in px.
    """
    longer = max(image.shape[:2])
    if not portrait or longer > CUT_OUT_PX:
        return image, 0
    border = longer // 2
    padded = cv2.copyMakeBorder(image, *(border,) * 4, cv2.BORDER_CONSTANT, value=BORDER)
    return np.asarray(padded, np.uint8), border


def _row(face: Detection, border: int) -> list[float]:
    assert face.landmarks is not None
    box = face.box
    corners = [v - border for v in (box.x1, box.y1, box.x2, box.y2)]
    return [*corners, face.score, *(face.landmarks.astype(float).flatten() - border)]


def _read_cache(cache: Path, stamp: str, images: Sequence[Path]) -> tuple[Teaching, list[Problem]] | None:
    """Read a cache. Return None where it is missing, damaged or made from other pictures."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["stamp"]) != stamp:
                return None
            problems = [Problem(*texts) for texts in json.loads(str(stored["problems"]))]
            parts = np.split(stored["rows"], stored["counts"].clip(0).cumsum()[:-1])
            pairs = zip(images, stored["counts"], parts, strict=True)
            return Teaching({str(image): rows for image, count, rows in pairs if count >= 0}), problems
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None


def _write_cache(
    cache: Path, stamp: str, images: Sequence[Path], teaching: Teaching, problems: Sequence[Problem]
) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    told = json.dumps([(problem.where, problem.what, problem.done) for problem in problems])
    of_image = [teaching.found.get(str(image)) for image in images]
    counts = np.array([-1 if rows is None else len(rows) for rows in of_image])  # -1 is an unreadable picture
    rows = np.concatenate([np.zeros((0, 15), np.float32), *(rows for rows in of_image if rows is not None)])
    with replacing(cache) as part:
        np.savez(part, stamp=stamp, problems=told, counts=counts, rows=rows)
