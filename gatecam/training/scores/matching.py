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
from gatecam.geometry import clip, iou, overlap
from gatecam.runtime.files import write_table
from gatecam.training.data.rows import UNKNOWN, Collection, Landmarks, Problem, Progress, Row
from gatecam.training.data.split import image_name
from gatecam.training.data.tables import read_lines
from gatecam.training.detector.teachers import Teacher
from gatecam.types import Box, Detection, Image

SAME_FACE_IOU = 0.5
IGNORED_SHARE = 0.5  # a detection is ignored if this share of it lies in an ignored box
BATCH = 8  # pictures per detector call
COLUMNS = ("image", "x1", "y1", "x2", "y2")

KnownFaces = Mapping[str, Sequence[Box]]  # by picture


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """Holds a face that should be found, and what is known about it, as in a `Row`."""

    box: Box
    mask: int
    gender: int = UNKNOWN
    age: int = UNKNOWN
    race: str = ""
    kind: str = ""
    landmarks: Landmarks | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """Holds what is known about one picture."""

    image: str  # its path from the collection's folder
    path: Path
    key: str  # pictures of one key show the same person or scene
    faces: tuple[LabelledFace, ...]
    ignored: tuple[Box, ...]  # faces that are doubtful, small, outside, or known without a label
    collection: str = ""


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
            labels = (row.mask, row.gender, row.age, row.race, row.kind, row.landmarks)
            faces.append(LabelledFace(row.box, *labels))
    return Truth(name, rows[0].image, rows[0].key, tuple(faces), tuple(ignored), collection.name)


def match(
    truth: Truth,
    detections: Iterable[Detection],
    min_face_px: int,
    at_iou: float = SAME_FACE_IOU,
    frame: Image | None = None,
) -> Match:
    """Match detections with a picture's faces to tell which faces are found and which detections are false.

    A detection that finds no face is no error in these cases: half of it lies in an ignored box, its IoU with
    an ignored box is at least `at_iou`, or its shorter side is below `min_face_px`.

    Args:
        truth: what is known about the picture.
        detections: what the detector found in it.
        min_face_px: shorter side of the smallest face that counts.
        at_iou: the IoU from which a detection and a box are the same face.
        frame: the picture. If it is given, parts of boxes outside of it do not count. A face outside is
            ignored.
    """

    def seen(box: Box) -> Box:
        return box if frame is None else clip(box, frame.shape[1], frame.shape[0])

    if outside := [face for face in truth.faces if frame is not None and not seen(face.box).area]:
        kept = tuple(face for face in truth.faces if face not in outside)
        truth = replace(truth, faces=kept, ignored=(*truth.ignored, *(face.box for face in outside)))
    faces = [seen(face.box) for face in truth.faces]
    ignored = [seen(box) for box in truth.ignored]
    found: list[Detection | None] = [None] * len(faces)
    false = []
    for detection in sorted(detections, key=lambda detection: -detection.score):
        box = seen(detection.box)
        overlaps = [iou(box, face) if hit is None else 0.0 for face, hit in zip(faces, found, strict=True)]
        best = max(range(len(overlaps)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= at_iou:
            found[best] = detection
        elif side_px(box) >= min_face_px and not _is_ignored(box, ignored, at_iou):
            false.append(detection)
    return Match(truth, tuple(found), tuple(false))


def side_px(box: Box) -> float:
    """Return the shorter side of a box, which counts as the size of a face."""
    return min(box.width, box.height)


def _is_ignored(box: Box, ignored: Iterable[Box], at_iou: float) -> bool:
    return any(
        iou(box, other) >= at_iou or overlap(box, other) >= IGNORED_SHARE * box.area for other in ignored
    )


def search(
    detectors: Sequence[Teacher],
    paths: Sequence[Path],
    problems: list[Problem],
    progress: Progress,
) -> Iterator[tuple[int, Image, list[list[Detection]]]]:
    """Run each detector on each picture, and yield the picture's index, it, and each detector's detections.

    Pictures that cannot be read are added to `problems` and skipped.
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
            yield index, image, [found[place] for found in by_detector]
        progress(min(begin + BATCH, len(paths)), len(paths))


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
