"""Give every picture a class, as the contest requires (`gatecam predict --submission`).

Each picture shows one person, so its largest face is classified. Faces in such pictures have similar places.
So if the detector finds none, the usual place of the faces in the other pictures is classified instead.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatecam.capture.found import list_pictures
from gatecam.capture.images import read_batches
from gatecam.errors import DataError
from gatecam.labels import class_id
from gatecam.ports import CropClassifier, FaceAnalyzer
from gatecam.runtime.files import write_table
from gatecam.runtime.outputs import require_apart, require_folder
from gatecam.runtime.progress import progress
from gatecam.training.data.layouts import UNLABELLED, open_collection
from gatecam.types import Box, Image

INFO = "info.csv"
COLUMNS = ("ImageID", "ans")
# Answer for an unreadable picture: a woman with a correct mask. Five of seven pictures of a person show a
# correct mask, and three of five people are women (the contest's training half, see pstage-chronicle).
UNREADABLE_CLASS = class_id(mask=0, gender=1, age=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names a picture that needs an answer, by its name in the contest and its path."""

    image_id: str
    path: Path


class Submission:
    """Collects an answer for each picture, in the contest's order.

    `unreadable` holds a sentence for each picture that could not be read, by its index. `left_out` counts the
    lines of tables that could not be used.
    """

    def __init__(self, paths: Sequence[Path], out: Path) -> None:
        """List the pictures, and check that `out` can be written.

        Raises:
            SourceError: a path does not exist, or there is no picture at all.
            DataError: an `info.csv` is invalid, or two pictures have the same name.
            OutputError: `out` cannot be written, or would overwrite an input.
        """
        require_folder(out)
        self._out = out
        self._wanted, self.left_out = _all_wanted(paths)
        self._pictures = [picture.path for picture in self._wanted]
        require_apart([out], [*self._pictures, *(_table(path) for path in paths)])
        self.answers = [UNREADABLE_CLASS] * len(self._pictures)
        self.unreadable: dict[int, str] = {}

    def classify_faces(self, analyzer: FaceAnalyzer) -> tuple[list[int], list[Box]]:
        """Answer where a face is found. Return the indices of the other pictures, and the relative boxes."""
        faceless: list[int] = []
        boxes: list[Box] = []
        with progress("predict", len(self._pictures), "pictures") as tick:
            for batch in read_batches(enumerate(self._pictures), self.unreadable):
                found = analyzer.analyze([image for _, image in batch])
                for (index, image), faces in zip(batch, found, strict=True):
                    if not faces:
                        faceless.append(index)
                        continue
                    face = max(faces, key=lambda face: face.detection.box.area)
                    self.answers[index] = face.prediction.class_id
                    boxes.append(_relative(face.detection.box, image))
                tick(batch[-1][0] + 1)
        return faceless, boxes

    def classify_faceless(
        self, classifier: CropClassifier, margin: float, faceless: Sequence[int], boxes: Sequence[Box]
    ) -> None:
        """Classify the median box of the other pictures' faces with a margin around it.

        If no picture has a face, classify each as a whole.
        """
        place = "at the median box of the other pictures' faces" if boxes else "whole"
        print(
            f"gatecam: no face was found in {len(faceless)} of {len(self._pictures)} pictures; "
            f"they are classified {place}",
            file=sys.stderr,
        )
        self._classify_at(classifier, faceless, _median(boxes) if boxes else None, margin)

    def classify_whole(self, classifier: CropClassifier) -> None:
        """Classify each picture as one face that is already cut."""
        self._classify_at(classifier, range(len(self._pictures)), None)

    def write(self) -> None:
        """Report the unreadable pictures, and write all answers."""
        for sentence in self.unreadable.values():
            print(f"gatecam: class {UNREADABLE_CLASS} is assumed: {sentence}", file=sys.stderr)
        ids = (picture.image_id for picture in self._wanted)
        write_table(self._out, [COLUMNS, *zip(ids, self.answers, strict=True)])

    def _classify_at(
        self, classifier: CropClassifier, indices: Sequence[int], box: Box | None, margin: float = 0.0
    ) -> None:
        done = 0
        with progress("predict without a detector", len(indices), "pictures") as tick:
            for batch in read_batches(((i, self._pictures[i]) for i in indices), self.unreadable):
                cut = [image if box is None else _cut(image, box, margin) for _, image in batch]
                for (index, _), prediction in zip(batch, classifier.classify_crops(cut), strict=True):
                    self.answers[index] = prediction.class_id
                done += len(batch)
                tick(done)


def _all_wanted(paths: Sequence[Path]) -> tuple[list[Wanted], int]:
    """Return the pictures of all paths, and how many lines of their tables could not be used."""
    wanted: list[Wanted] = []
    left_out = 0
    for path in paths:
        if not _table(path).is_file():
            wanted += [Wanted(picture.name, picture) for picture in list_pictures([path])]
            continue
        collection = open_collection(_table(path))
        if collection.layout != UNLABELLED:
            raise DataError(f"{_table(path)}: has no column ImageID; give a table that has, or pictures.")
        for problem in collection.problems:
            print(f"gatecam: {problem.where}: {problem.what}; {problem.done}", file=sys.stderr)
        left_out += sum(problem.done == "left out" for problem in collection.problems)
        wanted += [Wanted(row.key, row.image) for row in collection.rows]
    by_id: dict[str, Path] = {}
    for picture in wanted:
        first = by_id.setdefault(picture.image_id, picture.path)
        if first != picture.path:
            raise DataError(f"{picture.path}: has the same name as {first}; give one of them another name.")
    return wanted, left_out


def _table(path: Path) -> Path:
    """Return the path of the table that names the pictures, which may not exist."""
    return path if path.suffix.casefold() == ".csv" else path / INFO


def _relative(box: Box, image: Image) -> Box:
    height, width = image.shape[:2]
    return Box(box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)


def _median(boxes: Sequence[Box]) -> Box:
    corners = np.median([(box.x1, box.y1, box.x2, box.y2) for box in boxes], axis=0)
    return Box(*map(float, corners))


def _cut(image: Image, box: Box, margin: float) -> Image:
    """Return the square around a relative box, with a margin of `margin` times its side."""
    height, width = image.shape[:2]
    x, y = (box.x1 + box.x2) / 2 * width, (box.y1 + box.y2) / 2 * height
    half = max((box.x2 - box.x1) * width, (box.y2 - box.y1) * height) * (1 + margin) / 2
    left, right = np.clip([round(x - half), round(x + half)], 0, width)
    top, bottom = np.clip([round(y - half), round(y + half)], 0, height)
    return image[top : max(bottom, top + 1), left : max(right, left + 1)]
