"""Write the operator's answers about events as a data set that `gatecam train` reads.

`images/` and `faces.csv`   the answered alerts with a picture, as a CSV with boxes
`not_a_person/`             pictures of what was wrongly taken for a person
`answers.csv`               every answer, also those without a picture
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gatecam.errors import OutputError
from gatecam.runtime.files import cannot_write, write_table
from gatecam.store.evidence import EvidenceFolder
from gatecam.store.kept_pictures import read_facts
from gatecam.types import Answer, StoredEvent, Verdict

FACES = ("image", "x1", "y1", "x2", "y2", "label", "group", "suspect")
ANSWERS = ("at", "kind", "camera", "track_id", "verdict", "probability", "answer", "picture", "id")


@dataclass(frozen=True, slots=True)
class Exported:
    """Counts what was written. Blurred faces are marked as suspect, so that training leaves them out."""

    answers: int
    faces: int
    blurred: int
    not_people: int


def export_feedback(answered: Iterable[StoredEvent], evidence: EvidenceFolder, out: Path) -> Exported:
    """Write the answered events and their pictures into a new folder.

    Raises:
        OutputError: the folder exists and is not empty, or it cannot be written.
    """
    if out.is_dir() and any(out.iterdir()):
        raise OutputError(f"{out}: is not empty. Choose another folder.")
    faces: list[tuple[object, ...]] = []
    answers: list[tuple[object, ...]] = []
    not_people = 0
    try:
        for folder in ("images", "not_a_person"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for stored in answered:
            event, name = stored.event, ""
            folder = "not_a_person" if stored.answer is Answer.NOT_PERSON else "images"
            picture = out / folder / f"{stored.key}.jpg"
            if _is_copied(evidence.snapshot(stored.key), picture):
                facts, name = read_facts(picture), f"{folder}/{picture.name}"
                not_people += folder == "not_a_person"
                label = label_of(stored)
                if facts.box is not None and label is not None:
                    box = facts.box
                    group = f"{event.camera}/{event.at[:10]}/{event.track_id}"
                    corners = (box.x1, box.y1, box.x2, box.y2)
                    faces.append((picture.name, *corners, label.value, group, int(facts.blurred)))
            said = (event.at, event.kind.value, event.camera, event.track_id, event.verdict.value)
            answers.append((*said, event.probability, stored.answer, name, stored.key))
        write_table(out / "faces.csv", [FACES, *faces])
        write_table(out / "answers.csv", [ANSWERS, *answers])
    except OSError as error:
        raise cannot_write(out, error) from error
    return Exported(len(answers), len(faces), sum(bool(face[-1]) for face in faces), not_people)


def _is_copied(picture: Path, to: Path) -> bool:
    """Copy a picture, and return whether there was one. Retention may delete it at any time."""
    try:
        shutil.copyfile(picture, to)
    except FileNotFoundError:
        to.unlink(missing_ok=True)
        return False
    return True


def label_of(stored: StoredEvent) -> Verdict | None:
    """Return how the mask was really worn, by the operator's answer. Return None if that is not known."""
    if stored.answer is Answer.RIGHT:
        return None if stored.event.verdict is Verdict.UNKNOWN else stored.event.verdict
    return None if stored.answer in (None, Answer.NOT_PERSON) else Verdict(stored.answer.value)
