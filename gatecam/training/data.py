"""Pictures and labels for training: ILC's and UTKFace's folders to face patches in one array.

A patch is a face with its surroundings, decoded once, at most `PATCH_PX` a side and never enlarged. The
classifier's crop is cut from it at training time by `vision.crops.crop_faces`, as serving does.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gatecam.capture.images import read_image
from gatecam.config import DetectorConfig
from gatecam.errors import DataError, SourceError
from gatecam.geometry import expand, iou, square
from gatecam.labels import GENDER_LABELS, age_band
from gatecam.types import Box, Detection, Floats, Image
from gatecam.vision.device import pick_device
from gatecam.vision.mtcnn import MtcnnDetector

PATCH_PX = 160
SURROUNDINGS = 0.7  # of the face's square, kept around it for jitter
UNKNOWN = -1
ILC_LABELS = ("with_mask", "with_incorrect_mask", "without_mask")  # in the order of labels.MASK_LABELS
BARE = 2
BATCH = 16

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """N faces with what is known of each; an unknown label is -1."""

    patches: Image  # (N, PATCH_PX, PATCH_PX, 3), the picture in the upper left corner
    sizes: NDArray[np.int32]  # (N, 2): height and width of the picture in its patch
    boxes: Floats  # (N, 4) px of the patch
    landmarks: Floats  # (N, 5, 2) px of the patch, NaN where not found
    mask: NDArray[np.int64]
    gender: NDArray[np.int64]
    age: NDArray[np.int64]
    face_px: Floats  # (N,): the shorter side of the labelled box in its picture
    suspect: NDArray[np.bool_]
    detected: NDArray[np.bool_]  # whether the box is the detector's
    keys: NDArray[np.str_]  # what must not be split: a group of ILC, a picture of UTKFace
    images: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.mask)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Faces:
        """The faces at `rows`."""
        return Faces(*(getattr(self, field.name)[rows] for field in fields(self)))

    def split(self, part: float, seed: int) -> tuple[Faces, Faces]:
        """Training and validation faces; `part` of the keys, by their hash, validate.

        A key's side depends on nothing but the key and the seed, so that it never moves when data are added.
        """
        held_out = np.array([_held_out(str(key), part, seed) for key in self.keys])
        return self.take(~held_out), self.take(held_out)


def _held_out(key: str, part: float, seed: int) -> bool:
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < part


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled face of a picture."""

    image: Path
    box: Box | None  # None: the picture is one face
    mask: int
    gender: int
    age: int
    suspect: bool
    key: str


def read_ilc(folder: Path) -> list[Row]:
    """The faces of an unpacked `ilc` folder (`faces.csv`, `images/`): mask labels only.

    Raises:
        DataError: a file or column is missing, or a value is not what the column holds.
    """

    def row(line: dict[str, str]) -> Row:
        box = Box(*(_number(line, name) for name in ("x1", "y1", "x2", "y2")))
        if box.width <= 0 or box.height <= 0:
            raise ValueError("expected x1 < x2 and y1 < y2")
        mask = _choice(line, "label", ILC_LABELS)
        suspect = _choice(line, "suspect", ("0", "1")) == 1
        image, key = folder / "images" / _text(line, "image"), _text(line, "group")
        return Row(image, box, mask, UNKNOWN, UNKNOWN, suspect, key)

    columns = ("image", "x1", "y1", "x2", "y2", "label", "suspect", "group")
    return _read_csv(folder / "faces.csv", columns, row)


def read_utkface(folder: Path) -> list[Row]:
    """The faces of an unpacked `utkface` folder (`people.csv`, `images/`): gender and age; taken as bare.

    Raises:
        DataError: a file or column is missing, or a value is not what the column holds.
    """

    def row(line: dict[str, str]) -> Row:
        gender, age = _choice(line, "gender", GENDER_LABELS), age_band(_number(line, "age"))
        image = _text(line, "image")
        return Row(folder / "images" / image, None, BARE, gender, age, False, image)

    return _read_csv(folder / "people.csv", ("image", "age", "gender"), row)


def _read_csv(path: Path, columns: Sequence[str], parse: Callable[[dict[str, str]], Row]) -> list[Row]:
    rows = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path}:1: the column {missing[0]} is missing; expected {', '.join(columns)}."
                )
            for line in reader:
                try:
                    rows.append(parse(line))
                except ValueError as error:
                    raise DataError(f"{path}:{reader.line_num}: {error}; mend or remove the line.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read; give the unpacked folder that holds it.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: not a CSV file in UTF-8 ({error}); give the one of the collection."
        ) from error
    if not rows:
        raise DataError(f"{path}: no faces in it; give the file of the collection.")
    return rows


def _text(line: dict[str, str], column: str) -> str:
    if not line[column]:
        raise ValueError(f"{column}: expected a name, got nothing")
    return line[column]


def _number(line: dict[str, str], column: str) -> float:
    """A number of 0 and more."""
    try:
        number = float(line[column])
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"{column}: expected a number of 0 and more, got {line[column]!r}")
    return number


def _choice(line: dict[str, str], column: str, allowed: Sequence[str]) -> int:
    """The index of a value among those allowed."""
    if line[column] not in allowed:
        raise ValueError(f"{column}: expected {' or '.join(allowed)}, got {line[column]!r}")
    return allowed.index(line[column])


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture that could not be used, and why."""

    image: Path
    reason: str


def load_faces(
    rows: Sequence[Row], progress: Progress, cache: Path | None = None
) -> tuple[Faces, list[Skipped]]:
    """Cut the patches of all rows; the box is the detector's where it finds the face, else the labelled one.

    Args:
        rows: faces, those of a picture next to each other.
        progress: called with pictures done and pictures in all.
        cache: an .npz file that is read if it was made from the same rows, and written if not. Skipped
            pictures are not forgotten over it: with any, nothing is written.

    Raises:
        DataError: none of the pictures can be read.
    """
    stamp = hashlib.sha256(repr((PATCH_PX, SURROUNDINGS, rows)).encode()).hexdigest()
    if cache is not None and (cached := _read_cache(cache, stamp)) is not None:
        return cached, []
    faces, skipped = _cut_all(rows, progress)
    if cache is not None and not skipped:
        cache.parent.mkdir(parents=True, exist_ok=True)
        part = cache.with_suffix(".part.npz")
        np.savez(part, stamp=stamp, **{field.name: getattr(faces, field.name) for field in fields(Faces)})
        part.replace(cache)
    return faces, skipped


def _read_cache(cache: Path, stamp: str) -> Faces | None:
    """The faces in a cache, or None where it is missing, damaged or was made from other rows."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["stamp"]) != stamp:
                return None
            return Faces(*(stored[field.name] for field in fields(Faces)))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None


def _cut_all(rows: Sequence[Row], progress: Progress) -> tuple[Faces, list[Skipped]]:
    by_image: dict[Path, list[Row]] = {}
    for row in rows:
        by_image.setdefault(row.image, []).append(row)
    device = pick_device("auto")
    detector = MtcnnDetector(DetectorConfig(min_face_px=20), device)
    cut: list[_Cut] = []
    skipped: list[Skipped] = []
    done = 0
    for images in _batches(list(by_image), skipped):
        found = detector.detect([torch.from_numpy(picture.padded).to(device) for picture in images])
        for picture, detections in zip(images, found, strict=True):
            cut.extend(_cut_picture(picture, by_image[picture.path], detections, skipped))
        done += len(images)
        progress(min(done + len(skipped), len(by_image)), len(by_image))
    if not cut:
        raise DataError(
            f"{rows[0].image.parent}: none of its pictures can be read; give the unpacked folder."
        )
    return _stacked(cut), skipped


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """A picture and what the detector sees of it: pictures of one face get a border to look beyond it."""

    path: Path
    image: Image
    padded: Image
    border: int


def _batches(paths: Sequence[Path], skipped: list[Skipped]) -> Iterator[list[_Picture]]:
    batch: list[_Picture] = []
    for path in paths:
        try:
            image = read_image(path)
        except SourceError as error:
            skipped.append(Skipped(path, str(error)))
            continue
        border = max(image.shape[:2]) // 2 if max(image.shape[:2]) <= 2 * PATCH_PX else 0
        around = (border, border, border, border)
        padded = cv2.copyMakeBorder(image, *around, cv2.BORDER_CONSTANT, value=(127, 127, 127))
        batch.append(_Picture(path, image, np.asarray(padded, np.uint8), border))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    row: Row
    patch: Image
    box: Floats
    landmarks: Floats
    face_px: float
    detected: bool


def _cut_picture(
    picture: _Picture, rows: Sequence[Row], detections: Sequence[Detection], skipped: list[Skipped]
) -> Iterator[_Cut]:
    height, width = picture.image.shape[:2]
    for row in rows:
        labelled = row.box or Box(0, 0, width, height)
        match = _match(labelled, detections, picture.border)
        box, landmarks = match or (labelled, np.full((5, 2), np.nan, np.float32))
        region = expand(square(box), SURROUNDINGS)
        x1, y1 = max(0, int(region.x1)), max(0, int(region.y1))
        x2, y2 = min(width, int(region.x2) + 1), min(height, int(region.y2) + 1)
        if x2 <= x1 or y2 <= y1:
            skipped.append(Skipped(picture.path, f"{picture.path}: a labelled box lies outside the picture."))
            continue
        patch = picture.image[y1:y2, x1:x2]
        scale = min(1.0, PATCH_PX / max(patch.shape[:2]))
        if scale < 1:
            size = (max(1, round(patch.shape[1] * scale)), max(1, round(patch.shape[0] * scale)))
            patch = np.asarray(cv2.resize(patch, size, interpolation=cv2.INTER_AREA), np.uint8)
        corner = np.array([x1, y1], np.float32)
        corners = np.array([[box.x1, box.y1], [box.x2, box.y2]], np.float32)
        placed = ((corners - corner) * scale).reshape(4)
        shorter = min(labelled.width, labelled.height)
        yield _Cut(row, patch, placed, (landmarks - corner) * scale, shorter, match is not None)


def _match(labelled: Box, detections: Sequence[Detection], border: int) -> tuple[Box, Floats] | None:
    """The detection that shows the labelled face, in pixels of the picture without its border."""
    best, found = 0.4, None
    for detection in detections:
        b = detection.box
        box = Box(b.x1 - border, b.y1 - border, b.x2 - border, b.y2 - border)
        overlap = iou(labelled, box)
        if overlap > best and detection.landmarks is not None:
            best, found = overlap, (box, detection.landmarks - border)
    return found


def _stacked(cuts: Sequence[_Cut]) -> Faces:
    patches = np.zeros((len(cuts), PATCH_PX, PATCH_PX, 3), np.uint8)
    for i, cut in enumerate(cuts):
        patches[i, : cut.patch.shape[0], : cut.patch.shape[1]] = cut.patch
    return Faces(
        patches=patches,
        sizes=np.array([cut.patch.shape[:2] for cut in cuts], np.int32),
        boxes=np.stack([cut.box for cut in cuts]).astype(np.float32),
        landmarks=np.stack([cut.landmarks for cut in cuts]).astype(np.float32),
        mask=np.array([cut.row.mask for cut in cuts], np.int64),
        gender=np.array([cut.row.gender for cut in cuts], np.int64),
        age=np.array([cut.row.age for cut in cuts], np.int64),
        face_px=np.array([cut.face_px for cut in cuts], np.float32),
        suspect=np.array([cut.row.suspect for cut in cuts]),
        detected=np.array([cut.detected for cut in cuts]),
        keys=np.array([cut.row.key for cut in cuts]),
        images=np.array([cut.row.image.name for cut in cuts]),
    )
