"""Implement `gatecam predict --submission`: give every picture a class, as the contest requires.

Each picture shows one person, so its largest face is classified. Faces in such pictures have similar places.
So if the detector finds none, the usual place of the faces in the other pictures is classified instead.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatecam.app import build_analyzer, build_crop_classifier
from gatecam.capture.found import list_pictures
from gatecam.cli.inputs import say_loading
from gatecam.cli.predicting import Tally, read_batches
from gatecam.errors import DataError
from gatecam.labels import class_id
from gatecam.runtime.files import write_table
from gatecam.runtime.outputs import require_apart, require_folder
from gatecam.runtime.progress import progress
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from gatecam.training.data.layouts import UNLABELLED, open_collection
from gatecam.types import Box, Face, Image
from gatecam.vision.weights import find_weights, read_spec

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


def submit_all(config: Config, paths: Sequence[Path], out: Path, crops: bool) -> int:
    """Classify every picture, write a line for each in order, and return the number of problems.

    Raises:
        SourceError: a path does not exist, or there is no picture at all.
        DataError: an `info.csv` is invalid, or two pictures have the same name.
        OutputError: `out` cannot be written, or would overwrite an input.
    """
    require_folder(out)
    wanted, left_out = _all_wanted(paths)
    pictures = [picture.path for picture in wanted]
    require_apart([out], [*pictures, *(_table(path) for path in paths)])
    say_loading()
    judging = _Judging(config, pictures)
    if crops:
        judging.judge_at(None, range(len(pictures)))
    else:
        _judge_faces(judging)
    for sentence in judging.unreadable.values():
        print(f"gatecam: answered {UNREADABLE_CLASS} unseen: {sentence}", file=sys.stderr)
    _write(out, wanted, judging.answers)
    tally = Tally()
    for index, answer in enumerate(judging.answers):
        if index not in judging.unreadable:
            tally.add([answer])
    tally.say(f"written to {out}; {len(judging.unreadable)} answered unseen, {left_out} left out")
    return len(judging.unreadable) + left_out


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
            raise DataError(f"{picture.path}: goes by the name of {first}; give the pictures other names.")
    return wanted, left_out


def _table(path: Path) -> Path:
    """Return the path of the table that names the pictures, which may not exist."""
    return path if path.suffix.casefold() == ".csv" else path / INFO


class _Judging:
    """Collects an answer for each picture, and a sentence for each picture that could not be read."""

    def __init__(self, config: Config, pictures: Sequence[Path]) -> None:
        self.config, self.pictures = config, pictures
        self.answers = [UNREADABLE_CLASS] * len(pictures)
        self.unreadable: dict[int, str] = {}

    def find_faces(self) -> tuple[list[int], list[Box]]:
        """Answer where a face is found. Return the indices of the other pictures, and the relative boxes."""
        analyzer = build_analyzer(self.config, Telemetry())
        faceless: list[int] = []
        boxes: list[Box] = []
        with progress("predict", len(self.pictures), "pictures") as tick:
            for batch in read_batches(enumerate(self.pictures), self.unreadable):
                found = analyzer.analyze([image for _, image in batch])
                for (index, image), faces in zip(batch, found, strict=True):
                    if not faces:
                        faceless.append(index)
                        continue
                    face = max(faces, key=_area)
                    self.answers[index] = face.prediction.class_id
                    boxes.append(_relative(face.detection.box, image))
                tick(batch[-1][0] + 1)
        return faceless, boxes

    def judge_at(self, box: Box | None, indices: Sequence[int]) -> None:
        """Classify a relative box with the weights' margin around it, or None for the whole picture."""
        classifier = build_crop_classifier(self.config)
        margin = read_spec(find_weights(self.config.classifier.weights)).crop.margin
        done = 0
        with progress("predict without a detector", len(indices), "pictures") as tick:
            for batch in read_batches(((i, self.pictures[i]) for i in indices), self.unreadable):
                cut = [image if box is None else _cut(image, box, margin) for _, image in batch]
                judged = classifier.classify_crops(cut)
                for (index, _), prediction in zip(batch, judged, strict=True):
                    self.answers[index] = prediction.class_id
                done += len(batch)
                tick(done)


def _judge_faces(judging: _Judging) -> None:
    faceless, boxes = judging.find_faces()
    if not faceless:
        return
    box = _median(boxes) if boxes else None
    place = "at the others' median box" if boxes else "whole"
    print(
        f"gatecam: no face was found in {len(faceless)} of {len(judging.pictures)} pictures; "
        f"they are judged {place}",
        file=sys.stderr,
    )
    judging.judge_at(box, faceless)


def _area(face: Face) -> float:
    box = face.detection.box
    return (box.x2 - box.x1) * (box.y2 - box.y1)


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


def _write(out: Path, wanted: Sequence[Wanted], answers: Sequence[int]) -> None:
    rows = ((picture.image_id, answer) for picture, answer in zip(wanted, answers, strict=True))
    write_table(out, [COLUMNS, *rows])
