"""Turn rows into face patches in one array that fits in memory and in a cache.

A patch is a face with its surroundings. It is decoded once, is at most `PATCH_PX` on a side, and is never
enlarged. At training time `vision.crops.crop_faces` cuts the classifier's crop from it, as in live operation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gatecam.capture.images import read_image
from gatecam.errors import DataError, SourceError
from gatecam.geometry import expand, square
from gatecam.runtime.files import replacing
from gatecam.settings.schema import DetectorConfig
from gatecam.training.data.rows import Collection, Problem, Progress, Row
from gatecam.training.data.tables import relative
from gatecam.types import Box, Detection, Floats, Image
from gatecam.vision.bordered import Bordered, bordered, largest_face, matching_face, shrunk
from gatecam.vision.detector.build import Detector, build_detector
from gatecam.vision.detector.stock import StockDetector
from gatecam.vision.device import pick_backend, pick_device
from gatecam.vision.weights import find_weights, hash_of

PATCH_PX = 160
SURROUNDINGS = 0.7  # margin around the face's square for jitter, as a fraction of the square
CUT_OUT_PX = 2 * PATCH_PX  # pictures up to this size may be face crops and are searched with a border
SEARCH_PX = 400  # longer side of a large picture when searched for its one face: finds faces from 1/20 of it
MIN_FACE_PX = 20  # smallest face to search for
BATCH = 16
SHIPPED = "gatecam-mtcnn"


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Holds N faces and what is known about each. An unknown label is -1."""

    patches: Image  # (N, PATCH_PX, PATCH_PX, 3), each picture in the upper left corner
    sizes: NDArray[np.int32]  # (N, 2): height and width of the picture in its patch
    boxes: Floats  # (N, 4) px of the patch
    landmarks: Floats  # (N, 5, 2) px of the patch, NaN if not found
    mask: NDArray[np.int64]
    gender: NDArray[np.int64]
    age: NDArray[np.int64]
    face_px: (
        Floats  # (N,) shorter side, in the original picture, of the labelled box or else the detected one
    )
    suspect: NDArray[np.bool_]
    detected: NDArray[np.bool_]  # whether the box comes from the detector
    keys: NDArray[np.str_]  # a person or a scene, whose faces must stay in one part
    images: NDArray[np.str_]  # paths from the collection's folder
    years: NDArray[np.int64]  # age in years
    races: NDArray[np.str_]  # "" if unknown
    kinds: NDArray[np.str_]  # what covers the face and how, "" if unknown
    rows: NDArray[np.int64]  # indices into the collection's rows

    def __len__(self) -> int:
        return len(self.mask)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Faces:
        """Return the faces at `rows`, a mask or indices."""
        return Faces(*(getattr(self, field.name)[rows] for field in fields(self)))


def load_faces(
    collection: Collection, progress: Progress, cache: Path | None = None, detector: str = SHIPPED
) -> tuple[Faces, list[Problem]]:
    """Crop the patches of all rows.

    The box of a face comes from the detector if it finds the face, as in live operation, and otherwise from
    the label. In a picture without a labelled box, the face is the largest detection (score × area). If
    nothing is detected, the box is the median box of the person's other pictures, or the whole picture. The
    landmarks of a row are preferred to those of the detector.

    Args:
        collection: the faces whose pictures are read.
        progress: called with the number of finished pictures and of all pictures.
        cache: an .npz file. It is read if it was made from the same boxes, detector and unchanged pictures,
            and written otherwise. Labels are never read from it.
        detector: the weights that find the faces, by name or as a .safetensors file.

    Returns:
        The faces in the order of their rows, and the pictures that could not be used.

    Raises:
        DataError: none of the pictures can be read.
        ModelError: the detector's weights cannot be used.
    """
    stamp = _stamp(collection, hash_of(find_weights(detector, "detector.weights")))
    cached = _read_cache(cache, stamp) if cache is not None else None
    if cached is not None:
        return _labelled(cached[0], collection), cached[1]
    config = DetectorConfig(weights=detector, min_face_px=MIN_FACE_PX)
    cuts, problems = _cut_all(collection, build_detector(config, pick_backend("auto")), progress)
    if cache is not None:
        _write_cache(cache, stamp, cuts, problems)
    return _labelled(cuts, collection), problems


Cuts = dict[str, Any]  # the arrays of `Faces` that are cropped from pictures, by name


def _empty(count: int) -> Cuts:
    """Allocate the arrays for `count` faces."""
    return {
        "rows": np.arange(count),
        "patches": np.zeros((count, PATCH_PX, PATCH_PX, 3), np.uint8),
        "sizes": np.zeros((count, 2), np.int32),
        "boxes": np.zeros((count, 4), np.float32),
        "landmarks": np.full((count, 5, 2), np.nan, np.float32),
        "face_px": np.zeros(count, np.float32),
        "detected": np.zeros(count, bool),
    }


def _labelled(cuts: Cuts, collection: Collection) -> Faces:
    rows = [collection.rows[i] for i in cuts["rows"]]
    return Faces(
        **cuts,
        mask=np.array([row.mask for row in rows], np.int64),
        gender=np.array([row.gender for row in rows], np.int64),
        age=np.array([row.age for row in rows], np.int64),
        suspect=np.array([row.suspect for row in rows]),
        keys=np.array([row.key for row in rows]),
        images=np.array([relative(row.image, collection.folder) for row in rows]),
        years=np.array([row.years for row in rows], np.int64),
        races=np.array([row.race for row in rows]),
        kinds=np.array([row.kind for row in rows]),
    )


def _stamp(collection: Collection, detector: str) -> str:
    """Hash what the crops depend on: detector, boxes, keys, sizes and modification times of the pictures."""
    states = {image: file_state(image) for image in dict.fromkeys(row.image for row in collection.rows)}
    asked = [
        (
            relative(row.image, collection.folder),
            states[row.image],
            row.box,
            "" if row.box else row.key,
            row.landmarks,
        )
        for row in collection.rows
    ]
    return hashlib.sha256(
        repr((PATCH_PX, SURROUNDINGS, SEARCH_PX, MIN_FACE_PX, detector, asked)).encode()
    ).hexdigest()


def file_state(image: Path) -> tuple[int, int] | None:
    """Return a picture's file size and modification time, or None if the file is missing.

    A cache is valid as long as these stay the same.
    """
    try:
        status = image.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _read_cache(cache: Path, stamp: str) -> tuple[Cuts, list[Problem]] | None:
    """Return the contents of a cache, or None if it is missing, damaged or made from something else."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if str(stored["stamp"]) != stamp:
                return None
            problems = [Problem(*texts) for texts in json.loads(str(stored["problems"]))]
            return {name: stored[name] for name in _empty(0)}, problems
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None


def _write_cache(cache: Path, stamp: str, cuts: Cuts, problems: Sequence[Problem]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    listed = json.dumps([(problem.where, problem.what, problem.done) for problem in problems])
    with replacing(cache) as part:
        np.savez(part, stamp=stamp, problems=listed, **cuts)


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """Holds a picture and its version for the detector, with a border if small or shrunk if large."""

    path: Path
    image: Image
    view: Bordered


def _picture(path: Path, one_person: bool) -> _Picture:
    image = read_image(path)
    longer = max(image.shape[:2])
    if longer <= CUT_OUT_PX:
        return _Picture(path, image, bordered(image))
    scale = min(1.0, SEARCH_PX / longer) if one_person else 1.0
    return _Picture(path, image, Bordered(shrunk(image, scale), 0, scale))


def _cut_all(collection: Collection, detector: Detector, progress: Progress) -> tuple[Cuts, list[Problem]]:
    by_image: dict[Path, list[int]] = {}
    for index, row in enumerate(collection.rows):
        by_image.setdefault(row.image, []).append(index)
    cutter = _Cutter(collection)
    images = list(by_image)
    for begin in range(0, len(images), BATCH):
        batch = images[begin : begin + BATCH]
        pictures = [picture for path in batch if (picture := cutter.read(path, by_image[path]))]
        found = detector.detect([picture.view.seen for picture in pictures])
        for picture, detections in zip(pictures, found, strict=True):
            cutter.cut_picture(picture, by_image[picture.path], detections)
        progress(begin + len(batch), len(images))
    cutter.cut_unfound()
    cut = cutter.cuts["sizes"][:, 0] > 0
    if not cut.any():
        why = f" ({cutter.problems[0].what})" if cutter.problems else ""
        raise DataError(
            f"{collection.folder}: none of its pictures can be used{why}. Provide the complete folder."
        )
    if cut.all():  # do not copy the patches of all faces
        return cutter.cuts, cutter.problems
    return {name: values[cut] for name, values in cutter.cuts.items()}, cutter.problems


class _Cutter:
    """Crops faces from their pictures into preallocated arrays."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._found: dict[str, list[Floats]] = {}  # by key: boxes as fractions of their picture
        self._unfound: list[int] = []
        self.cuts = _empty(len(collection.rows))
        self.problems: list[Problem] = []

    def read(self, path: Path, indices: Sequence[int]) -> _Picture | None:
        """Read the picture of some rows. If this fails, note a problem and return None."""
        try:
            return _picture(path, all(self._collection.rows[i].box is None for i in indices))
        except SourceError as error:
            self._note(path, "picture cannot be read", str(error).removeprefix(f"{path}: "), "left out")
            return None

    def cut_picture(self, picture: _Picture, indices: Sequence[int], detections: Sequence[Detection]) -> None:
        """Crop the faces of a picture. Remember the rows whose face was not found for `cut_unfound`."""
        faces = list(picture.view.faces_in(detections))
        height, width = picture.image.shape[:2]
        whole = Box(0, 0, width, height)
        for index in indices:
            row = self._collection.rows[index]
            labelled = row.box or (whole if picture.view.border else None)
            match = matching_face(labelled, faces) if labelled else None
            if match is None and row.box is None:
                labelled, match = None, largest_face(faces)
            if match is None and row.box is None:
                self._unfound.append(index)
                continue
            box, landmarks = match or (row.box or whole, None)
            detected = match is not None
            if row.landmarks is not None:
                landmarks = np.array(row.landmarks, np.float32)
            if row.box is None:
                self._remember(row, box, picture.image)
            self._cut(index, picture.image, box, landmarks, labelled or box, detected)

    def cut_unfound(self) -> None:
        """Crop the faces that were not found, at the median place of the person's others if there are any.

        Otherwise the whole picture is used.
        """
        for index in self._unfound:
            row = self._collection.rows[index]
            picture = self.read(row.image, [index])
            if picture is None:
                continue
            height, width = picture.image.shape[:2]
            others = self._found.get(row.key)
            x1, y1, x2, y2 = np.median(others, axis=0).tolist() if others else (0, 0, 1, 1)
            box = Box(x1 * width, y1 * height, x2 * width, y2 * height)
            if others or not picture.view.border:
                done = (
                    "cropped where the person's other pictures show the face"
                    if others
                    else "the whole picture is used"
                )
                self._note(row.image, "face is not found", "", done)
            self._cut(index, picture.image, box, None, box, False)

    def _remember(self, row: Row, box: Box, image: Image) -> None:
        height, width = image.shape[:2]
        part = np.array([box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height], np.float32)
        self._found.setdefault(row.key, []).append(part)

    def _cut(
        self,
        index: int,
        image: Image,
        box: Box,
        landmarks: Floats | None,
        labelled: Box,
        detected: bool,
    ) -> None:
        height, width = image.shape[:2]
        region = expand(square(box), SURROUNDINGS)
        x1, y1 = max(0, int(region.x1)), max(0, int(region.y1))
        x2, y2 = min(width, int(region.x2) + 1), min(height, int(region.y2) + 1)
        if x2 <= x1 or y2 <= y1:
            self._note(self._collection.rows[index].image, "box lies outside the picture", "", "left out")
            return
        scale = min(1.0, PATCH_PX / max(x2 - x1, y2 - y1))
        patch = shrunk(image[y1:y2, x1:x2], scale)
        corner = np.array([x1, y1], np.float32)
        corners = np.array([[box.x1, box.y1], [box.x2, box.y2]], np.float32)
        cuts = self.cuts
        cuts["patches"][index, : patch.shape[0], : patch.shape[1]] = patch
        cuts["sizes"][index] = patch.shape[:2]
        cuts["boxes"][index] = ((corners - corner) * scale).reshape(4)
        cuts["face_px"][index] = min(labelled.width, labelled.height)
        cuts["detected"][index] = detected
        if landmarks is not None:
            cuts["landmarks"][index] = (landmarks - corner) * scale

    def _note(self, image: Path, what: str, details: str, done: str) -> None:
        where = relative(image, self._collection.folder)
        self.problems.append(Problem(where, f"{what}: {details}" if details else what, done))


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """Holds a row's complete picture and the landmarks of its face."""

    row: Row
    image: Image
    landmarks: Floats | None  # (5, 2), None if the face was not found


def portraits(rows: Sequence[Row], notes: list[Problem]) -> Iterator[Portrait]:
    """Yield the picture of each row. Pictures that cannot be read are added to `notes` instead.

    Each row must have a picture of its own.
    """
    device = pick_device("auto")
    detector = StockDetector(DetectorConfig(min_face_px=MIN_FACE_PX), device)
    for begin in range(0, len(rows), BATCH):
        opened = []
        for row in rows[begin : begin + BATCH]:
            try:
                opened.append((row, _picture(row.image, row.box is None)))
            except SourceError as error:
                notes.append(Problem(str(row.image), f"picture cannot be read: {error}", "left out"))
        found = detector.detect([picture.view.seen for _, picture in opened])
        for (row, picture), detections in zip(opened, found, strict=True):
            faces = list(picture.view.faces_in(detections))
            match = largest_face(faces) if row.box is None else matching_face(row.box, faces)
            yield Portrait(row, picture.image, match[1] if match else None)
