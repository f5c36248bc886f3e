"""Turn bare faces into a data set in the contest's layout, with seven labelled pictures per person.

`DIR/images/000001_female_Asian_45/` holds `mask1.jpg` … `mask5.jpg`, `incorrect_mask.jpg` and `normal.jpg`.
`DIR/train.csv` lists the people, `masks.csv` says what covers each face, and `sources.csv` names the picture
that each person comes from. Position and light vary among the seven pictures as in separate shots. All seven
are drawn from the same photograph, so the pose is the same in all of them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from gatecam.errors import DataError, OutputError
from gatecam.labels import GENDER_LABELS, MASK_LABELS
from gatecam.runtime.files import write_output, write_table
from gatecam.training.data.contest import SEVEN
from gatecam.training.data.patches import Portrait, portraits
from gatecam.training.data.rows import BARE, UNKNOWN, Problem, Row, may_have_beard
from gatecam.training.data.tables import read_lines
from gatecam.training.drawing import Dressed, Wear, draw_mask, dress, pick_makes
from gatecam.types import Floats, Image

WRONG = MASK_LABELS.index("incorrect")
MASKS_CSV, STAMP_JSON = "masks.csv", "synthesis.json"
MASKS_COLUMNS = ("path", "file", "kind")

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Holds a bare face that may become a person."""

    number: int  # among all candidates, from 1
    row: Row
    source: str  # the picture's name, with that of its collection

    @property
    def folder(self) -> str:
        """Return the name of the person's folder in the contest's layout."""
        row = self.row
        return f"{self.number:06d}_{GENDER_LABELS[row.gender]}_{self.race}_{row.years}"

    @property
    def race(self) -> str:
        """Return the race as the contest spells it, in letters that a folder's name may have."""
        return (self.row.race or "unknown").replace("/", "-").capitalize()


@dataclass(slots=True)
class Synthesis:
    """Holds the people that were drawn, what covers each of their faces, and why others were left out."""

    people: list[Candidate] = field(default_factory=list)  # in order
    kinds: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by folder, in the order of SEVEN
    problems: list[Problem] = field(default_factory=list)


def candidates_of(rows: Iterable[tuple[Row, str]], seed: int) -> list[Candidate]:
    """Return one bare face of known gender and age for each person, in a random order that `seed` decides.

    Raises:
        DataError: there is no such face.
    """
    first: dict[str, tuple[Row, str]] = {}
    for row, source in rows:
        if row.mask == BARE and row.gender != UNKNOWN and row.years != UNKNOWN and not row.suspect:
            first.setdefault(row.key, (row, source))
    if not first:
        raise DataError(
            "these pictures contain no bare face with gender and age. Choose a collection with such faces."
        )
    order = np.random.default_rng(seed).permutation(len(first))
    known = list(first.values())
    return [Candidate(number, *known[i]) for number, i in enumerate(order.tolist(), 1)]


def synthesize(
    candidates: Sequence[Candidate], out: Path, people: int, seed: int, progress: Progress
) -> Synthesis:
    """Draw up to `people` people, and keep those that an earlier run has finished.

    Args:
        candidates: used in this order. Those whose face is not found are left out.
        out: the folder to fill. It is created if missing.
        seed: decides all random choices. The same seed gives the same pictures.

    Raises:
        OutputError: the folder contains something else, or cannot be written to.
    """
    done = Synthesis()
    try:
        kept = _claim(out, candidates, seed)
        with (out / MASKS_CSV).open("a", newline="", encoding="utf-8") as file:
            for candidate, portrait in _found(candidates, kept, done.problems):
                if portrait is None:
                    kinds = kept[candidate.folder]
                else:
                    kinds = _draw_person(candidate, portrait, out / "images", seed)
                    file.write(_person_lines(candidate.folder, kinds))
                    file.flush()
                done.people.append(candidate)
                done.kinds[candidate.folder] = kinds
                progress(len(done.people))
                if len(done.people) == people:
                    break
        _write_tables(out, done)
    except OSError as error:
        raise OutputError(
            f"{error.filename or out}: cannot be written ({error.strerror}). Free some space and run "
            "the same command again to continue, or choose another folder."
        ) from error
    return done


def _claim(out: Path, candidates: Sequence[Candidate], seed: int) -> dict[str, tuple[str, ...]]:
    """Create the folder, or check that it belongs to a run with the same candidates and seed.

    Returns:
        What covers the faces of the people that are already finished, by folder.
    """
    listed = repr([(candidate.folder, candidate.source) for candidate in candidates])
    stamp = json.dumps({"seed": seed, "people": hashlib.sha256(listed.encode()).hexdigest()}) + "\n"
    path = out / STAMP_JSON
    if path.is_file():
        if path.read_text(encoding="utf-8") != stamp:
            raise OutputError(
                f"{out}: contains people from other pictures or another seed. Choose another folder."
            )
        return _finished(out)
    if out.is_dir() and any(out.iterdir()):
        raise OutputError(f"{out}: is not empty. Choose another folder.")
    (out / "images").mkdir(parents=True, exist_ok=True)
    path.write_text(stamp, encoding="utf-8")
    (out / MASKS_CSV).write_text(_lines([MASKS_COLUMNS]), encoding="utf-8")
    return {}


def _finished(out: Path) -> dict[str, tuple[str, ...]]:
    """Return what covers the faces of the finished people, and remove unfinished lines and folders."""
    lines: dict[str, list[tuple[str, str]]] = {}
    if (out / MASKS_CSV).is_file():
        for _, line in read_lines(out / MASKS_CSV, MASKS_COLUMNS, "another folder"):
            lines.setdefault(line["path"], []).append((line["file"], line["kind"]))
    files = [f"{stem}.jpg" for stem in SEVEN]
    kept = {
        folder: tuple(kind for _, kind in of_person)
        for folder, of_person in lines.items()
        if [name for name, _ in of_person] == files
        and all((out / "images" / folder / name).is_file() for name in files)
    }
    for path in (out / "images").iterdir():
        if path.name not in kept:
            shutil.rmtree(path)
    write_output(out / MASKS_CSV, _mask_lines(kept))
    return kept


def _found(
    candidates: Sequence[Candidate], kept: Mapping[str, object], problems: list[Problem]
) -> Iterator[tuple[Candidate, Portrait | None]]:
    """Yield the people in order, each with a portrait if the person is still to be drawn."""
    wanted = [candidate.row for candidate in candidates if candidate.folder not in kept]
    pictures = portraits(wanted, problems)
    waiting = None
    for candidate in candidates:
        if candidate.folder in kept:
            yield candidate, None
            continue
        waiting = waiting or next(pictures, None)
        if waiting is None or waiting.row is not candidate.row:
            continue  # the candidate's picture could not be read
        if waiting.landmarks is None:
            problems.append(Problem(candidate.source, "face is not found", "left out"))
        else:
            yield candidate, waiting
        waiting = None


def _draw_person(candidate: Candidate, portrait: Portrait, images: Path, seed: int) -> tuple[str, ...]:
    """Write the seven pictures of a person, and return what covers the face in each."""
    rng = np.random.default_rng((seed, candidate.number))
    unfinished = images / f"{candidate.folder}.part"
    unfinished.mkdir(exist_ok=True)
    kinds = []
    for stem, shot in zip(SEVEN, _seven(candidate.row, portrait, rng), strict=True):
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(88, 96))]
        _, coded = cv2.imencode(".jpg", cv2.cvtColor(shot.image, cv2.COLOR_RGB2BGR), quality)
        (unfinished / f"{stem}.jpg").write_bytes(coded.tobytes())
        kinds.append(shot.kind)
    unfinished.rename(images / candidate.folder)
    return tuple(kinds)


def _seven(row: Row, portrait: Portrait, rng: np.random.Generator) -> Iterator[Dressed]:
    """Yield the shots of a person in the order of SEVEN: five different masks, one worn wrong, and none."""
    makes = pick_makes(5, rng)
    for make in makes:
        image, landmarks = _another_shot(portrait, rng)
        yield draw_mask(image, landmarks, make, Wear.RIGHT, rng)
    beard = may_have_beard(row.gender, row.years)
    for state in (WRONG, BARE):
        image, landmarks = _another_shot(portrait, rng)
        yield dress(image, landmarks, state, rng, beard)


def _another_shot(portrait: Portrait, rng: np.random.Generator) -> tuple[Image, Floats]:
    """Return picture and landmarks as in another shot, with the head slightly moved and the light changed."""
    image, landmarks = portrait.image, portrait.landmarks
    assert landmarks is not None
    height, width = image.shape[:2]
    middle = tuple(float(v) for v in landmarks.mean(0))
    matrix = cv2.getRotationMatrix2D(middle, float(rng.normal(0, 2)), float(rng.normal(1, 0.02)))
    matrix[:, 2] = matrix[:, 2] + rng.normal(0, 0.012, 2) * (width, height)
    moved = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    lit = (moved / np.float32(255)) ** rng.normal(1, 0.06) * rng.normal(1, 0.04) * rng.normal(1, 0.012, 3)
    placed = landmarks @ matrix[:, :2].T + matrix[:, 2]
    return np.clip(lit * 255, 0, 255).astype(np.uint8), placed.astype(np.float32)


def _write_tables(out: Path, done: Synthesis) -> None:
    """Write the tables of a finished run, each atomically."""
    people: list[Sequence[str]] = [("id", "gender", "race", "age", "path")]
    sources = [("path", "source")]
    for candidate in done.people:
        row = candidate.row
        labels = (GENDER_LABELS[row.gender], candidate.race, str(row.years))
        people.append((f"{candidate.number:06d}", *labels, candidate.folder))
        sources.append((candidate.folder, candidate.source))
    write_table(out / "train.csv", people)
    write_table(out / "sources.csv", sources)
    write_output(out / MASKS_CSV, _mask_lines(done.kinds))


def _mask_lines(kinds: Mapping[str, Sequence[str]]) -> str:
    return _lines([MASKS_COLUMNS]) + "".join(map(_person_lines, kinds, kinds.values()))


def _person_lines(folder: str, kinds: Sequence[str]) -> str:
    return _lines((folder, f"{stem}.jpg", kind) for stem, kind in zip(SEVEN, kinds, strict=True))


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
