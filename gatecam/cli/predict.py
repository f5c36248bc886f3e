"""Run `gatecam predict`, which classifies faces in pictures, or writes the contest's answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from gatecam.cli.options import BlurOption, ConfigOption, check_there, say_loading
from gatecam.errors import OutputError
from gatecam.runtime.files import open_stream
from gatecam.runtime.logs import say
from gatecam.runtime.progress import progress

if TYPE_CHECKING:
    from gatecam.ports import CropClassifier, FaceFinder
    from gatecam.settings.schema import Config
    from gatecam.types import Box, Face, Image


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATHS...", help="Pictures or folders of pictures.", callback=check_there),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write one JSON object per picture and line here instead of printing it."
        ),
    ] = None,
    crops: Annotated[bool, typer.Option("--crops", help="Take each picture as one cropped face.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each picture with its faces drawn.")
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the contest's CSV instead (ImageID,ans): the class of each picture's largest face, "
            "in the order of info.csv if there is one.",
        ),
    ] = None,
    blur: BlurOption = None,
    config: ConfigOption = None,
) -> None:
    """Find and classify faces in pictures. Unreadable pictures are listed and skipped, with exit code 1."""
    from gatecam.settings.loading import load

    settings = load(config).config.for_any_picture()
    if submission is not None:
        if out or annotate:
            raise OutputError("--submission is written alone; leave out --out and --annotate.")
        problems = _submit(settings, paths, submission, crops)
    else:
        blurred = settings.privacy.blur_faces if blur is None else blur
        problems = _predict(settings, paths, out, crops, annotate, blurred)
    if problems:
        raise typer.Exit(1)


def _predict(
    config: Config, paths: Sequence[Path], out: Path | None, crops: bool, annotate: Path | None, blur: bool
) -> int:
    """Process all pictures, write the results, and return how many pictures could not be read."""
    from gatecam.app import build_analyzer, build_crop_classifier, build_finder
    from gatecam.capture.found import list_pictures
    from gatecam.capture.images import read_batches
    from gatecam.pictures.draw import draw_faces, save_image
    from gatecam.runtime.outputs import require_apart
    from gatecam.runtime.telemetry import Telemetry

    pictures = list_pictures(paths)
    drawn: Sequence[Path | None] = _drawn_names(pictures, annotate) if annotate else [None] * len(pictures)
    require_apart([path for path in (out, *drawn) if path], pictures)
    with ExitStack() as stack:
        stream = sys.stdout if out is None else stack.enter_context(open_stream(out))
        if annotate:
            _make_folder(annotate)
        say_loading()
        judge = (
            _judge_of_crops(build_crop_classifier(config))
            if crops
            else build_analyzer(config, Telemetry()).analyze
        )
        finder = build_finder(config, thorough=True) if annotate and blur else None
        tick = _progress(stack, len(pictures), stream)
        unreadable: dict[int, str] = {}
        tally = _Tally()
        for batch in read_batches(enumerate(pictures), unreadable):
            for (index, image), faces in zip(batch, judge([image for _, image in batch]), strict=True):
                tally.add(face.prediction.class_id for face in faces)
                stream.write(json.dumps(_to_dict(pictures[index], faces)) + "\n")
                if target := drawn[index]:
                    save_image(target, draw_faces(image, faces, _hidden(image, faces, finder)))
            tick(batch[-1][0] + 1)
    for sentence in unreadable.values():
        print(f"gatecam: skipped {sentence}", file=sys.stderr)
    places = f"written to {out or 'standard output'}" + (f", drawn in {annotate}" if annotate else "")
    tally.say(f"{places}; {len(unreadable)} skipped")
    return len(unreadable)


def _submit(config: Config, paths: Sequence[Path], out: Path, crops: bool) -> int:
    """Classify every picture, write a line for each in order, and return the number of problems."""
    from gatecam.app import build_analyzer, build_crop_classifier
    from gatecam.runtime.telemetry import Telemetry
    from gatecam.training.scores.submission import Submission
    from gatecam.vision.weights import find_weights, read_spec

    submission = Submission(paths, out)
    say_loading()
    if crops:
        submission.classify_whole(build_crop_classifier(config))
    else:
        faceless, boxes = submission.classify_faces(build_analyzer(config, Telemetry()))
        if faceless:
            margin = read_spec(find_weights(config.classifier.weights)).crop.margin
            submission.classify_faceless(build_crop_classifier(config), margin, faceless, boxes)
    submission.write()
    unreadable, tally = submission.unreadable, _Tally()
    for index, answer in enumerate(submission.answers):
        if index not in unreadable:
            tally.add([answer])
    tally.say(f"written to {out}; {len(unreadable)} answered unseen, {submission.left_out} left out")
    return len(unreadable) + submission.left_out


class _Tally:
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


def _hidden(image: Image, faces: Sequence[Face], finder: FaceFinder | None) -> list[Box]:
    """Return the boxes to blur: the classified faces, and whatever else may be a face."""
    return [] if finder is None else [*(face.detection.box for face in faces), *finder.find(image)]


def _to_dict(path: Path, faces: Sequence[Face]) -> dict[str, Any]:
    """Return the line of one picture as a dictionary (DESIGN.md, "Files that others read")."""
    return {"image": str(path), "faces": [_face_to_dict(face) for face in faces]}


def _face_to_dict(face: Face) -> dict[str, Any]:
    from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS

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


def _judge_of_crops(classifier: CropClassifier) -> Callable[[Sequence[Image]], list[list[Face]]]:
    """Return a function that takes each picture as one face, with the whole picture as box and score 1."""
    from gatecam.types import Box, Detection, Face

    def judge(images: Sequence[Image]) -> list[list[Face]]:
        boxes = [Box(0, 0, image.shape[1], image.shape[0]) for image in images]
        judged = zip(boxes, classifier.classify_crops(images), strict=True)
        return [[Face(Detection(box, 1.0), prediction)] for box, prediction in judged]

    return judge


def _progress(stack: ExitStack, total: int, stream: IO[str]) -> Callable[[int], None]:
    """Return a progress bar, or nothing if the lines of JSON go to the terminal anyway."""
    if stream.isatty():
        return lambda done: None
    return stack.enter_context(progress("predict", total, "pictures"))


def _drawn_names(pictures: Sequence[Path], folder: Path) -> list[Path]:
    """Return the path of each drawn picture: its own name, with a number if several share it."""
    from gatecam.pictures.draw import PICTURE_SUFFIXES
    from gatecam.runtime.outputs import numbered

    stems = numbered(path.stem for path in pictures)
    suffixes = (path.suffix if path.suffix.lower() in PICTURE_SUFFIXES else ".png" for path in pictures)
    return [folder / f"{stem}{suffix}" for stem, suffix in zip(stems, suffixes, strict=True)]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}): choose another folder.") from error
