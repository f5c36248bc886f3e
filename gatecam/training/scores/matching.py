"""Match detections with labelled boxes to tell found faces, false detections and those that do not count.

The rules follow COCO's evaluation at a single IoU (Lin et al. 2014, "Microsoft COCO: Common Objects in
Context", `evaluateImg` of pycocotools). Detections are matched in order of their scores. Each finds the
unmatched face that it overlaps most. A detection on something that is ignored is no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gatecam.capture.images import read_image
from gatecam.errors import DataError, SourceError
from gatecam.geometry import clip, iou
from gatecam.runtime.files import write_table
from gatecam.training.data.rows import Collection, Problem, Progress, Row
from gatecam.training.data.split import image_name
from gatecam.training.data.tables import read_lines
from gatecam.types import Box, Detection, Image
from gatecam.vision.detector.build import Detector

SAME_FACE_IOU = 0.5
IGNORED_SHARE = 0.5  # a detection is ignored if this share of it lies in an ignored box
BATCH = 8  # pictures per detector call
COLUMNS = ("image", "x1", "y1", "x2", "y2")

KnownFaces = Mapping[str, Sequence[Box]]  # by picture


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """Holds a face that should be found. `mask` is an index in `labels.MASK_LABELS`."""

    box: Box
    mask: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Holds what is known about one picture."""

    image: str  # its path from the collection's folder
    path: Path
    key: str  # pictures of one key show the same person or scene
    faces: tuple[LabelledFace, ...]
    ignored: tuple[Box, ...]  # faces with a doubtful label, small ones, and known ones without a label


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Holds a detector's results on one picture, without detections of ignored or too small faces."""

    truth: Truth
    found: tuple[Detection | None, ...]  # for each face of the truth, None if missed
    false: tuple[Detection, ...]


def truths_of(
    collection: Collection, rows: Iterable[Row], known: KnownFaces, min_face_px: int
) -> list[Truth]:
    """Return the pictures of some rows, each with the faces that count and the boxes that are ignored.

    Args:
        rows: all rows of the pictures that are scored.
        known: real faces without a label, by the picture's path or name.
        min_face_px: faces with a shorter side below this do not count.

    Raises:
        DataError: a row has no box.
    """
    of_image: dict[Path, list[Row]] = {}
    for row in rows:
        of_image.setdefault(row.image, []).append(row)
    return [_truth(collection, of_picture, known, min_face_px) for of_picture in of_image.values()]


def _truth(collection: Collection, rows: Sequence[Row], known: KnownFaces, min_face_px: int) -> Truth:
    name = image_name(collection, rows[0])
    faces, ignored = [], [*known.get(name, ()), *known.get(Path(name).name, ())]
    for row in rows:
        if row.box is None:
            raise DataError(
                f"{collection.folder}: its faces have no boxes to score against. Choose --data with boxes."
            )
        if row.suspect or side_px(row.box) < min_face_px:
            ignored.append(row.box)
        else:
            faces.append(LabelledFace(row.box, row.mask))
    return Truth(name, rows[0].image, rows[0].key, tuple(faces), tuple(ignored))


def match(truth: Truth, detections: Iterable[Detection], min_face_px: int) -> Match:
    """Match detections with a picture's faces to tell which faces are found and which detections are false.

    A detection that finds no face is no error in these cases: half of it lies in an ignored box, its IoU with
    an ignored box is at least 0.5, or its shorter side is below `min_face_px`.
    """
    found: list[Detection | None] = [None] * len(truth.faces)
    false = []
    for detection in sorted(detections, key=lambda detection: -detection.score):
        overlaps = [
            iou(detection.box, face.box) if found[index] is None else 0.0
            for index, face in enumerate(truth.faces)
        ]
        best = max(range(len(overlaps)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= SAME_FACE_IOU:
            found[best] = detection
        elif side_px(detection.box) >= min_face_px and not _is_ignored(detection.box, truth.ignored):
            false.append(detection)
    return Match(truth, tuple(found), tuple(false))


def side_px(box: Box) -> float:
    """Return the shorter side of a box, which counts as the size of a face."""
    return min(box.width, box.height)


def _is_ignored(box: Box, ignored: Iterable[Box]) -> bool:
    return any(
        iou(box, other) >= SAME_FACE_IOU or _overlap(box, other) >= IGNORED_SHARE * box.area
        for other in ignored
    )


def _overlap(a: Box, b: Box) -> float:
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(0.0, width) * max(0.0, height)


def search(
    detectors: Sequence[Detector],
    paths: Sequence[Path],
    problems: list[Problem],
    progress: Progress,
) -> Iterator[tuple[int, list[list[Detection]]]]:
    """Run each detector on each picture, and yield the picture's index and each detector's detections.

    Boxes are clipped to the picture, like labelled ones. Pictures that cannot be read are added to `problems`
    and skipped.
    """
    for begin in range(0, len(paths), BATCH):
        opened = []
        for index in range(begin, min(begin + BATCH, len(paths))):
            try:
                opened.append((index, read_image(paths[index])))
            except SourceError as error:
                what = f"picture cannot be read: {str(error).removeprefix(f'{paths[index]}: ')}"
                problems.append(Problem(str(paths[index]), what, "left out"))
        images = [image for _, image in opened]
        by_detector = [detector.detect(images) if images else [] for detector in detectors]
        for place, (index, image) in enumerate(opened):
            yield index, [[_within(image, face) for face in found[place]] for found in by_detector]
        progress(min(begin + BATCH, len(paths)), len(paths))


def _within(image: Image, detection: Detection) -> Detection:
    height, width = image.shape[:2]
    return replace(detection, box=clip(detection.box, width, height))


def read_known(path: Path) -> dict[str, list[Box]]:
    """Read real faces without a label from a CSV file with the columns image,x1,y1,x2,y2, in pixels.

    A picture is named by its path from its collection's folder, or by its file name alone.

    Returns:
        The boxes by picture.

    Raises:
        DataError: the file cannot be read, or a line has no valid box.
    """
    known: dict[str, list[Box]] = {}
    for where, line in read_lines(path, COLUMNS, "a list of faces"):
        known.setdefault(line["image"], []).append(_box_of(line, where))
    return known


def _box_of(line: Mapping[str, str], where: str) -> Box:
    try:
        box = Box(*(float(line[name]) for name in COLUMNS[1:]))
    except ValueError:
        box = Box(0, 0, 0, 0)
    if not box.area > 0:
        raise DataError(f"{where}: expected a box with x1 < x2 and y1 < y2, in pixels; fix the line.")
    return box


def require_known(known: KnownFaces, path: Path, collections: Sequence[Collection]) -> None:
    """Check that a list of known faces names at least one picture of these collections.

    Raises:
        DataError: none of its pictures is in the collections.
    """
    names = {image_name(collection, row) for collection in collections for row in collection.rows}
    if known and not names & set(known) and not {Path(name).name for name in names} & set(known):
        raise DataError(
            f"{path}: none of its pictures is in the data, for example {next(iter(known))}. Name each by "
            "its path from the collection's folder."
        )


def write_false(path: Path, matches: Iterable[Match]) -> int:
    """Write every false detection as `image,x1,y1,x2,y2,score`, and return the number of detections.

    Lines that turn out to be real faces can be used as a list for `read_known`.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = [(m.truth.image, d.box, d.score) for m in matches for d in m.false]
    rows = [
        (image, *(f"{value:.1f}" for value in (box.x1, box.y1, box.x2, box.y2)), f"{score:.4f}")
        for image, box, score in lines
    ]
    write_table(path, [(*COLUMNS, "score"), *rows])
    return len(lines)
