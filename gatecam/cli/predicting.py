"""Implement `gatecam predict`: write a line of JSON for each picture, in the given order."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from gatecam.app import build_analyzer, build_crop_classifier, build_finder
from gatecam.capture.found import list_pictures
from gatecam.capture.images import read_image
from gatecam.cli.inputs import say_loading
from gatecam.errors import OutputError, SourceError
from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.pictures.draw import PICTURE_SUFFIXES, draw_faces, save_image
from gatecam.ports import FaceFinder
from gatecam.runtime.files import open_stream
from gatecam.runtime.logs import say
from gatecam.runtime.outputs import numbered, require_apart
from gatecam.runtime.progress import progress
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from gatecam.types import Box, Detection, Face, Image, Prediction

BATCH = 8  # pictures analyzed at once
# Or fewer if they have more pixels than this, because large photographs take gigabytes
BATCH_PIXELS = 24_000_000

Judge = Callable[[Sequence[Image]], list[list[Face]]]
Report = Callable[[int], None]


class Tally:
    """Counts pictures, and their faces by the most probable state of the mask."""

    def __init__(self) -> None:
        self._pictures = 0
        self._masks = [0, 0, 0]

    def add(self, class_ids: Iterable[int]) -> None:
        """Add the faces of one picture, given by their classes."""
        self._pictures += 1
        for class_id in class_ids:
            self._masks[class_id // 6] += 1

    def say(self, rest: str) -> None:
        """Report on standard error what was found, followed by the rest of the line."""
        right, wrong, none = self._masks
        found = f"{_count(self._pictures, 'picture')}, {_count(sum(self._masks), 'face')}"
        say(f"{found}: {right} with the mask worn right, {wrong} worn wrong, {none} without; {rest}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def predict_all(
    config: Config, paths: Sequence[Path], out: Path | None, crops: bool, annotate: Path | None, blur: bool
) -> int:
    """Process all pictures, write the results, and return how many pictures could not be read.

    Raises:
        SourceError: a path does not exist, or there is no picture at all.
        OutputError: `out` or `annotate` cannot be written, or would overwrite an input.
    """
    pictures = list_pictures(paths)
    drawn: Sequence[Path | None] = _drawn_names(pictures, annotate) if annotate else [None] * len(pictures)
    require_apart([path for path in (out, *drawn) if path], pictures)
    with ExitStack() as stack:
        stream = _open(out, stack)
        if annotate:
            _make_folder(annotate)
        say_loading()
        judge = _crop_judge(config) if crops else build_analyzer(config, Telemetry()).analyze
        finder = build_finder(config, thorough=True) if annotate and blur else None
        tick = _progress(stack, len(pictures), stream)
        unreadable: dict[int, str] = {}
        tally = Tally()
        for batch in read_batches(enumerate(pictures), unreadable):
            for (index, image), faces in zip(batch, judge([image for _, image in batch]), strict=True):
                tally.add(face.prediction.class_id for face in faces)
                stream.write(json.dumps(picture_to_dict(pictures[index], faces)) + "\n")
                if target := drawn[index]:
                    save_image(target, draw_faces(image, faces, _hidden(image, faces, finder)))
            tick(batch[-1][0] + 1)
    for sentence in unreadable.values():
        print(f"gatecam: skipped {sentence}", file=sys.stderr)
    places = f"written to {out or 'standard output'}" + (f", drawn in {annotate}" if annotate else "")
    tally.say(f"{places}; {len(unreadable)} skipped")
    return len(unreadable)


def _hidden(image: Image, faces: Sequence[Face], finder: FaceFinder | None) -> list[Box]:
    """Return the boxes to blur: the classified faces, and whatever else may be a face."""
    return [] if finder is None else [*(face.detection.box for face in faces), *finder.find(image)]


def picture_to_dict(path: Path, faces: Sequence[Face]) -> dict[str, Any]:
    """Return the line of one picture as a dictionary (DESIGN.md, "Files that others read")."""
    return {"image": str(path), "faces": [_face_to_dict(face) for face in faces]}


def _face_to_dict(face: Face) -> dict[str, Any]:
    box, judged = face.detection.box, face.prediction
    return {
        "box": [round(float(v), 1) for v in (box.x1, box.y1, box.x2, box.y2)],
        "score": round(float(face.detection.score), 4),
        "mask": _by_label(MASK_LABELS, judged.mask.tolist()),
        "gender": _by_label(GENDER_LABELS, judged.gender.tolist()),
        "age": _by_label(AGE_LABELS, judged.age.tolist()),
        "class_id": judged.class_id,
    }


def _by_label(labels: Sequence[str], probabilities: Sequence[float]) -> dict[str, float]:
    return {label: round(p, 4) for label, p in zip(labels, probabilities, strict=True)}


def _crop_judge(config: Config) -> Judge:
    """Return a function that takes each picture as one face, with the whole picture as box and score 1."""
    classifier = build_crop_classifier(config)

    def judge(images: Sequence[Image]) -> list[list[Face]]:
        judged = classifier.classify_crops(images)
        return [[_as_face(image, prediction)] for image, prediction in zip(images, judged, strict=True)]

    return judge


def _as_face(image: Image, prediction: Prediction) -> Face:
    return Face(Detection(Box(0, 0, image.shape[1], image.shape[0]), 1.0), prediction)


def read_batches(
    pictures: Iterable[tuple[int, Path]], unreadable: dict[int, str]
) -> Iterator[list[tuple[int, Image]]]:
    """Yield batches of numbered pictures. `unreadable` gets a sentence per picture that cannot be read."""
    batch: list[tuple[int, Image]] = []
    for number, path in pictures:
        try:
            batch.append((number, read_image(path)))
        except SourceError as error:
            unreadable[number] = str(error)
        if len(batch) == BATCH or sum(image.size // 3 for _, image in batch) > BATCH_PIXELS:
            yield batch
            batch = []
    if batch:
        yield batch


def _progress(stack: ExitStack, total: int, stream: IO[str]) -> Report:
    """Return a progress bar, or nothing if the lines of JSON go to the terminal anyway."""
    if stream.isatty():
        return lambda done: None
    return stack.enter_context(progress("predict", total, "pictures"))


def _open(out: Path | None, stack: ExitStack) -> IO[str]:
    if out is None:
        return sys.stdout
    return stack.enter_context(open_stream(out))


def _drawn_names(pictures: Sequence[Path], folder: Path) -> list[Path]:
    """Return the path of each drawn picture: its own name, with a number if several share it."""
    stems = numbered(path.stem for path in pictures)
    return [folder / f"{stem}{_suffix(path)}" for stem, path in zip(stems, pictures, strict=True)]


def _suffix(path: Path) -> str:
    return path.suffix if path.suffix.lower() in PICTURE_SUFFIXES else ".png"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}): choose another folder.") from error
