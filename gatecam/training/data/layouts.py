"""Read a collection of labelled pictures in any known layout as rows, and list its problems.

The layout is recognized by the columns of a CSV file or by the names of folders. A bad line or file does not
stop the others. It becomes a `Problem` that says what was done about it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gatecam.capture.formats import is_system_file
from gatecam.errors import DataError
from gatecam.runtime.picture_files import IMAGE_SUFFIXES
from gatecam.training.data import contest
from gatecam.training.data import label_words as words
from gatecam.training.data.rows import BARE, POINTS, UNKNOWN, Collection, Landmarks, Row
from gatecam.training.data.tables import (
    Line,
    Notes,
    Pictures,
    columns_of,
    read_table,
    relative,
)
from gatecam.types import Box

CONTEST = "the contest's, one folder per person"
UNLABELLED = "the contest's unlabelled half"
CLASS_FOLDERS = "one folder per class"
BOXES = "a CSV with boxes"
FACES = "a CSV of faces"
CORNERS = ("x1", "y1", "x2", "y2")
COLUMNS = {  # required columns of each layout. The first layout that fits is used.
    CONTEST: ("gender", "age", "path"),
    UNLABELLED: ("imageid",),
    BOXES: ("image", *CORNERS),
}
FARTHEST_PX = 1e6  # from a picture's corner; numbers beyond are mistakes, and too large to compute with
USED = {  # columns of faces, and those that `gatecam data label` adds for people to read
    *("image", "label", "gender", "age", "group", "suspect", "race", "kind", "decision", "score"),
    *(f"{point}_{axis}" for point in POINTS for axis in "xy"),
}
LABELS = ("label", "gender", "age")  # one of these columns besides `image` makes a CSV of faces
EXPECTED = (
    "a CSV file with the columns id,gender,race,age,path or ImageID, or with image and at least one of "
    "label, gender, age and x1,y1,x2,y2, or folders named as 000001_female_Asian_45 or as a class (0 to 17, "
    "correct, none …)"
)


def open_collections(paths: Sequence[Path]) -> list[Collection]:
    """Open all collections and give each a unique name.

    Raises:
        DataError: a collection cannot be opened, or is given twice.
    """
    real = [path.resolve() for path in paths]
    for path, again in zip(paths, real, strict=True):
        if real.count(again) > 1:
            raise DataError(f"{path}: is given twice; give each collection once.")
    collections: list[Collection] = []
    for path in paths:
        opened = open_collection(path)
        taken = {collection.name for collection in collections}
        number, name = 1, opened.name
        while name in taken:
            number += 1
            name = f"{opened.name}-{number}"
        collections.append(replace(opened, name=name))
    return collections


def open_collection(path: Path) -> Collection:
    """Read the rows of a folder or CSV file in any layout, without decoding pictures.

    Raises:
        DataError: the layout is not recognized, or nothing usable is left.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder. Check the path.")
    tables = _tables(path) if path.is_dir() else [path]
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise DataError(f"{path}: contains several tables ({names}). Choose one of them.")
    folder = path if path.is_dir() else path.parent
    notes = Notes(folder)
    layout, rows = _read_listed(tables[0], notes) if tables else _read_folders(notes)
    problems = notes.close()
    if not rows:
        why = f" ({problems[0].where}: {problems[0].what})" if problems else ""
        raise DataError(
            f"{path}: contains no usable face{why}. Fix it, or choose another folder or CSV file."
        )
    return Collection(folder.resolve().name or "data", layout, folder, rows, problems)


def _tables(folder: Path) -> list[Path]:
    """Return the CSV files of a folder whose columns match a known layout."""
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and not is_system_file(path.name))
    return [path for path in files if path.suffix.casefold() == ".csv" and _layout_of(columns_of(path))]


def _layout_of(columns: Sequence[str]) -> str | None:
    faces = FACES if "image" in columns and set(LABELS) & set(columns) else None
    return next((layout for layout, needed in COLUMNS.items() if set(needed) <= set(columns)), faces)


def _read_listed(table: Path, notes: Notes) -> tuple[str, list[Row]]:
    columns, lines = read_table(table, notes)
    layout = _layout_of(columns)
    if layout is None:
        raise DataError(
            f"{table}: its columns match no known layout ({','.join(columns)}); expected {EXPECTED}."
        )
    if layout == CONTEST:
        return layout, contest.read_listed(table, lines, notes)
    pictures = Pictures(notes)
    if layout == UNLABELLED:
        if "ans" in columns:
            notes.add(table, "column ans holds no true labels", "not used")
        return layout, _unlabelled(lines, pictures, notes)
    faces = [(line.where, _face(line, pictures, layout == BOXES, notes)) for line in lines]
    pictures.list_the_rest(table.name)
    unused = [name for name in columns if name and name not in {*USED, *COLUMNS.get(layout, ())}]
    if unused:
        notes.add(table, f"columns are not known: {', '.join(unused)}", "not used")
    if lines and "group" not in columns:
        notes.add(table, "people are unknown", "each picture counts as a different person")
    return layout, _once_each([(where, row) for where, row in faces if row is not None], notes)


def _unlabelled(lines: Sequence[Line], pictures: Pictures, notes: Notes) -> list[Row]:
    """Return a row for every line in order, even for lines without a picture.

    A submission needs a prediction for every line.
    """
    rows = []
    for line in lines:
        name = line.values["imageid"]
        if not name:
            notes.add(line.where, "ImageID is missing", "left out")
            continue
        image = pictures.find(name, line.where)
        if image is None:
            notes.add(line.where, f"picture is missing: {name}", "kept, because a submission needs its line")
        path = image or notes.folder / "images" / name
        rows.append(Row(path, None, UNKNOWN, UNKNOWN, UNKNOWN, False, name))
    return rows


def _face(line: Line, pictures: Pictures, boxed: bool, notes: Notes) -> Row | None:
    """Return the row of a line, or None if the line is unusable. Columns that are missing stay unknown."""
    values = line.values
    image = pictures.find(values["image"], line.where) if values["image"] else None
    if image is None:
        notes.add(line.where, f"picture is missing: {values['image'] or 'none is named'}", "left out")
        return None
    box = _box(line, notes) if boxed else None
    labels = _labels(line, boxed, notes)
    if labels is None or (boxed and box is None):
        return None
    mask, gender, years = labels
    if values.get("group") == "":
        notes.add(line.where, "group is missing", "treated as a group of its own")
    suspect = values.get("suspect", "0")
    if suspect not in ("0", "1"):
        notes.add(line.where, f"suspect is neither 0 nor 1: {suspect!r}", "treated as doubtful")
    race = values.get("race", "").casefold()
    key = values.get("group") or values["image"]
    kind, landmarks = words.kind(values.get("kind", "")), _landmarks(values)
    return Row(image, box, mask, gender, words.band(years), suspect != "0", key, years, race, kind, landmarks)


def _landmarks(values: Mapping[str, str]) -> Landmarks | None:
    """Return the landmarks of a line that `gatecam data label` wrote, or None where any is missing."""
    try:
        pairs = [(float(values[f"{point}_x"]), float(values[f"{point}_y"])) for point in POINTS]
    except (KeyError, ValueError):
        return None
    return tuple(pairs)


def _labels(line: Line, boxed: bool, notes: Notes) -> tuple[int, int, int] | None:
    """Return the mask state, gender and years of a line, or None if it states labels and none is valid.

    A label without a column is unknown, and so is an empty one of a face with a box. An exception are tables
    with `age` and `gender` but without `label`, such as those of UTKFace and FairFace: their faces are bare.
    """
    values = line.values
    known = {
        "label": words.mask_state(values.get("label", "")),
        "gender": words.gender(values.get("gender", "")),
        "age": words.years(values.get("age", "")),
    }
    stated = [name for name in known if name in values and (values[name] or not boxed)]
    wrong = [name for name in stated if known[name] == UNKNOWN]
    for name in wrong:
        done = "left out, because no label of the face is valid" if wrong == stated else "left unknown"
        notes.add(line.where, f"{name} is not valid: {values[name]!r}", done)
    if stated and wrong == stated:
        return None
    bare = "label" not in values and stated == ["gender", "age"]
    return BARE if bare else known["label"], known["gender"], known["age"]


def _box(line: Line, notes: Notes) -> Box | None:
    corners = [line.values[name] for name in CORNERS]
    try:
        x1, y1, x2, y2 = map(float, corners)
    except ValueError:
        x1 = y1 = x2 = y2 = math.nan
    if not (
        -FARTHEST_PX < x1 < x2 < FARTHEST_PX and -FARTHEST_PX < y1 < y2 < FARTHEST_PX and min(x2, y2) > 0
    ):
        what = f"box is not valid: expected numbers, x1 < x2 and y1 < y2, got {','.join(corners)}"
        notes.add(line.where, what, "left out")
        return None
    return Box(x1, y1, x2, y2)


def _once_each(rows: Iterable[tuple[str, Row]], notes: Notes) -> list[Row]:
    """Return the rows without repetitions.

    A face with contradictory labels becomes doubtful. A picture in several groups stays in its first one.
    """
    kept: dict[tuple[Path, Box | None], Row] = {}
    keys: dict[Path, str] = {}
    for where, row in rows:
        key = keys.setdefault(row.image, row.key)
        if key != row.key:
            notes.add(where, f"picture is in two groups: {key}, {row.key}", f"assigned to {key}")
            row = replace(row, key=key)
        first = kept.setdefault((row.image, row.box), row)
        if first is row:
            continue
        if replace(first, suspect=row.suspect) == row:
            notes.add(where, "face is listed twice", "used once")
        else:
            notes.add(
                where, "face is listed twice with other labels", "the first is used and marked doubtful"
            )
            kept[row.image, row.box] = replace(first, suspect=True)
    return list(kept.values())


def _read_folders(notes: Notes) -> tuple[str, list[Row]]:
    folder = notes.folder
    for root in (folder / "images", folder):
        names = _folders(root)
        if any(contest.is_person(name) for name in names):
            return CONTEST, contest.read_named(root, notes)
        if any(words.class_of_folder(name) for name in names):
            return CLASS_FOLDERS, _read_classes(root, notes)
    inside = [name for name in _folders(folder) if _is_collection(folder / name)]
    if inside:
        raise DataError(
            f"{folder}: contains collections but is not one itself. Choose {' or '.join(inside)} inside it."
        )
    raise DataError(f"{folder}: its layout is not recognized; expected a folder with {EXPECTED}.")


def _is_collection(folder: Path) -> bool:
    names = [*_folders(folder), *_folders(folder / "images")]
    return bool(_tables(folder)) or any(contest.is_person(n) or words.class_of_folder(n) for n in names)


def _folders(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(e.name for e in os.scandir(root) if e.is_dir() and not is_system_file(e.name))


def _read_classes(root: Path, notes: Notes) -> list[Row]:
    """Return the pictures in and below the folders that are named after classes."""
    notes.add(root, "people are unknown", "each picture counts as a different person")
    rows = []
    for path in sorted(root.iterdir()):
        labels = words.class_of_folder(path.name) if path.is_dir() else None
        if is_system_file(path.name):
            notes.system.append(path)
        elif labels is None:
            what = "folder is not a class" if path.is_dir() else "file is not in a class folder"
            notes.add(path, f"{what}: expected {words.CLASS_FOLDERS}", "left out")
        else:
            rows += [
                Row(image, None, *labels, False, relative(image, notes.folder))
                for image in _pictures_below(path, notes)
            ]
    return rows


def _pictures_below(folder: Path, notes: Notes) -> Iterator[Path]:
    for below, inner, names in os.walk(folder):
        inner.sort()
        for path in (Path(below) / name for name in sorted(names)):
            if is_system_file(path.name):
                notes.system.append(path)
            elif path.suffix.casefold() in IMAGE_SUFFIXES:
                yield path
            else:
                notes.add(path, f"file extension is unexpected: {path.suffix or 'none'}", "left out")
