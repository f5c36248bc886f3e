"""Run `gatecam data label`: let public detectors box the faces of pictures, and write what was decided."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gatecam.capture.images import read_image
from gatecam.capture.recording import open_recording
from gatecam.errors import DataError, SourceError
from gatecam.labels import GENDER_LABELS, MASK_LABELS
from gatecam.pictures.draw import save_image
from gatecam.runtime.files import write_output, write_table
from gatecam.runtime.outputs import require_apart, require_folder
from gatecam.runtime.progress import progress
from gatecam.settings.schema import DetectorConfig
from gatecam.training.data.corrections import Corrections, corrected, read_corrections
from gatecam.training.data.layouts import open_collection
from gatecam.training.data.loading import tell_problems
from gatecam.training.data.patches import file_state
from gatecam.training.data.rows import POINTS, UNKNOWN, Problem, Row
from gatecam.training.data.tables import relative
from gatecam.training.detector.found import Found
from gatecam.training.detector.label_page import LabelPage
from gatecam.training.detector.labelling import (
    Decided,
    Decision,
    agreement,
    decide_portrait,
    decide_scene,
)
from gatecam.training.detector.teachers import Teacher, load_teacher
from gatecam.training.runs import make_folder
from gatecam.types import Detection
from gatecam.vision.bordered import bordered
from gatecam.vision.detector.stock import StockDetector
from gatecam.vision.device import pick_device
from gatecam.vision.weights import hash_of

CUT_OUT_PX = 320  # a picture up to this size may be cut out around a face, so it is searched with a border
MIN_FACE_PX = 10  # smaller faces are not written
FEWEST = 24  # pictures of a source that are labelled in a trial
FRAMES_A_VIDEO = 50  # at most, evenly spread
TABLE, STAMP, FOUND = "faces.csv", "made_of.txt", "found.jsonl"
COLUMNS = (
    *("image", "x1", "y1", "x2", "y2", "label", "suspect", "group", "gender", "age", "race", "kind"),
    *(f"{point}_{axis}" for point in POINTS for axis in "xy"),
    *("decision", "score"),
)
MIDDLE_YEARS = (20, 45, 70)  # written for an age of which only the band is known


@dataclass(frozen=True, slots=True)
class _Picture:
    """Holds a picture to label, and its rows if it has labels."""

    path: Path
    key: str
    rows: Sequence[Row]


def label_and_write(
    data: Sequence[Path],
    teachers: Sequence[Path],
    out: Path,
    page_file: Path | None,
    corrections: Path | None = None,
    share: float = 1.0,
) -> None:
    """Label pictures, write `OUT/NAME/faces.csv` for each source, and print the number of faces by decision.

    A source that was labelled before, and has not changed since, is not labelled again. After a stop the same
    call continues.

    Args:
        data: collections of labelled pictures, and videos.
        teachers: ONNX files of detectors. Without any, facenet-pytorch's MTCNN is the teacher.
        out: the folder to write into.
        page_file: an HTML file to look through, or None. It is not written if nothing was labelled.
        corrections: a table of labels that a person corrected, or None.
        share: share of each source's pictures to label, for a quick trial.

    Raises:
        GatecamError: a source or teacher cannot be read, or a file cannot be written.
    """
    loaded: list[Teacher] = [load_teacher(path) for path in teachers]
    if not loaded:
        config = DetectorConfig(weights="stock", min_face_px=20)
        loaded = [StockDetector(config, pick_device("auto"))]
    known_better = read_corrections(corrections) if corrections is not None else {}
    names = [_name(path) for path in data]
    for path, name in zip(data, names, strict=True):
        if names.count(name) > 1:
            raise DataError(f"{path}: another source is called {name}, too. Rename one of the folders.")
        require_apart([out / name, out / name / TABLE], [path])
    if page_file is not None:
        require_folder(page_file)
    page = LabelPage()
    for path, name in zip(data, names, strict=True):
        folder = out / name
        make_folder(folder)
        pictures, problems = _pictures(path, folder, known_better)
        pictures = _some(pictures, share)
        stamp = _stamp(pictures, teachers)
        if _made_of(folder) == stamp:
            print(f"{folder / TABLE}: is up to date")
            continue
        lines, counts = [], Counter[Decision]()
        with closing(Found(folder / FOUND, stamp)) as found:
            for picture, decided in _label(name, pictures, loaded, found, problems):
                lines += [_line(picture, face, folder) for face in decided]
                counts.update(face.decision for face in decided)
                page.add(picture.path, decided)
            write_table(folder / TABLE, [COLUMNS, *lines])
            write_output(folder / STAMP, stamp)
            found.remove()
        tell_problems(name, problems)
        print(f"{folder / TABLE}: " + ", ".join(f"{counts[kind]:,} {kind}" for kind in Decision))
    if page_file is not None and page.faces:
        page.write(page_file)


def _name(path: Path) -> str:
    return path.stem if path.is_file() else path.resolve().name


def _pictures(path: Path, folder: Path, corrections: Corrections) -> tuple[list[_Picture], list[Problem]]:
    """Return the pictures of a collection, or some frames of a video, written as pictures to `folder`."""
    if path.is_file() and path.suffix.casefold() != ".csv":
        return _frames(path, folder / "images"), []
    collection = corrected(open_collection(path), corrections)
    of_image: dict[Path, list[Row]] = {}
    for row in collection.rows:
        of_image.setdefault(row.image, []).append(row)
    pictures = [_Picture(image, rows[0].key, rows) for image, rows in of_image.items()]
    return pictures, list(collection.problems)


def _some(pictures: list[_Picture], share: float) -> list[_Picture]:
    """Return a share of the pictures, but at least `FEWEST`. The same ones are chosen every time."""
    count = max(FEWEST, round(share * len(pictures)))
    by_hash = sorted(pictures, key=lambda p: hashlib.sha256(p.path.name.encode()).digest())
    chosen = {picture.path for picture in by_hash[:count]}
    return [picture for picture in pictures if picture.path in chosen]


def _frames(video: Path, folder: Path) -> list[_Picture]:
    make_folder(folder)
    recording = open_recording(video, image_fps=1)
    pictures = []
    with recording as frames:
        every = max(1, (recording.expected_frames or 0) // FRAMES_A_VIDEO)
        for frame in frames:
            if frame.index % every == 0:
                path = folder / f"{frame.index:06d}.jpg"
                save_image(path, frame.image)
                pictures.append(_Picture(path, video.stem, ()))
    return pictures


def _stamp(pictures: Sequence[_Picture], teachers: Sequence[Path]) -> str:
    """Hash everything that the labels depend on."""
    # Frames are written again each time, so their content tells whether the video changed.
    states = [(p, file_state(p.path) if p.rows else hash_of(p.path)) for p in pictures]
    made_of = repr((COLUMNS, [hash_of(path) for path in teachers], states))
    return hashlib.sha256(made_of.encode()).hexdigest()


def _made_of(folder: Path) -> str:
    try:
        return (folder / STAMP).read_text() if (folder / TABLE).exists() else ""
    except OSError:
        return ""


def _label(
    name: str,
    pictures: Sequence[_Picture],
    teachers: Sequence[Teacher],
    found: Found,
    problems: list[Problem],
) -> Iterator[tuple[_Picture, list[Decided]]]:
    """Yield each picture with its faces."""
    with progress(f"label {name}", len(pictures), "pictures") as tick:
        for done, picture in enumerate(pictures, 1):
            where = relative(picture.path, picture.path.parent.parent)
            try:
                faces = found.faces(done, partial(_faces, picture.path, teachers))
            except SourceError as error:
                what = f"picture cannot be read: {str(error).removeprefix(f'{picture.path}: ')}"
                problems.append(Problem(where, what, "left out"))
                continue
            if picture.rows and picture.rows[0].box is None:
                decided = decide_portrait(picture.rows[0], faces)
            else:
                decided = decide_scene(picture.rows, faces)
            if picture.rows and not decided:
                problems.append(Problem(where, "no teacher finds a face", "left out"))
            yield picture, decided
            tick(done, len(pictures))


def _faces(path: Path, teachers: Sequence[Teacher]) -> list[Detection]:
    """Return what the teachers agree on in a picture, in px of the picture."""
    image = read_image(path)
    if max(image.shape[:2]) > CUT_OUT_PX:
        found = [teacher.detect([image])[0] for teacher in teachers]
    else:
        shown = bordered(image)
        found = [
            [
                Detection(box, score, points)
                for box, points, score in shown.faces_in(teacher.detect([shown.seen])[0])
            ]
            for teacher in teachers
        ]
    return [face for face in agreement(found) if min(face.box.width, face.box.height) >= MIN_FACE_PX]


def _line(picture: _Picture, face: Decided, folder: Path) -> list[object]:
    row, box = face.row, face.box
    corners = [f"{value:.1f}" for value in (box.x1, box.y1, box.x2, box.y2)]
    mask, gender, age, race, kind = [""] * 5 if row is None else _labels(row)
    points = [""] * 2 * len(POINTS)
    if face.landmarks is not None:
        points = [f"{value:.1f}" for value in face.landmarks.flatten().tolist()]
    doubtful = int(face.decision == Decision.DOUBTFUL)
    known = [mask, doubtful, picture.key, gender, age, race, kind]
    image = os.path.relpath(picture.path, folder)
    return [image, *corners, *known, *points, face.decision.value, f"{face.score:.3f}"]


def _labels(row: Row) -> list[str]:
    """Return mask, gender, age, race and kind. A doubtful mask state is left out."""
    years = row.years if row.years != UNKNOWN or row.age == UNKNOWN else MIDDLE_YEARS[row.age]
    return [
        "" if row.mask == UNKNOWN or row.suspect else MASK_LABELS[row.mask],
        "" if row.gender == UNKNOWN else GENDER_LABELS[row.gender],
        "" if years == UNKNOWN else str(years),
        row.race,
        row.kind,
    ]
