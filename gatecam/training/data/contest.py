"""Read the contest's layout: one folder per person with seven pictures, and a CSV file.

A folder is named like `000001_female_Asian_45/`. The known defects of this data are handled here: an id used
for two people, people listed twice, labels that contradict the folder's name, invalid ages, all kinds of file
extensions, and files that operating systems leave behind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gatecam.capture.formats import is_system_file
from gatecam.labels import GENDER_LABELS
from gatecam.runtime.picture_files import IMAGE_SUFFIXES
from gatecam.training.data import label_words as words
from gatecam.training.data.rows import UNKNOWN, Row
from gatecam.training.data.tables import Line, Notes, read_table, relative

STEMS = (r"(correct_)?mask_?\d*", r"incorrect(_?mask)?_?\d*", r"normal_?\d*")  # in the order of MASK_LABELS
SEVEN = ("mask1", "mask2", "mask3", "mask4", "mask5", "incorrect_mask", "normal")
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")  # of picture files


@dataclass(frozen=True, slots=True)
class _Person:
    folder: Path
    where: str
    id: str
    gender: int
    years: int
    race: str
    key: str


def is_person(name: str) -> bool:
    """Return whether a folder is named like a person, `id_gender_race_age`.

    One of gender and age may be invalid.
    """
    parts = _parts(name)
    return (
        parts is not None
        and words.class_of_folder(name) is None
        and (words.gender(parts[1]) != UNKNOWN or (parts[0].isdigit() and words.years(parts[3]) != UNKNOWN))
    )


def read_listed(table: Path, lines: Sequence[Line], notes: Notes) -> list[Row]:
    """Return the pictures of the people in a CSV file.

    The file has the columns `gender`, `age` and `path`, and usually `id` and `race`.

    Args:
        table: the CSV file. The people's folders are in `images/` beside it, or directly beside it.
    """
    people: dict[Path, _Person] = {}
    for line in lines:
        person = _listed(table.parent, line, notes)
        if person is None:
            continue
        if person.folder in people:
            person = _merged(people[person.folder], person, notes)
        people[person.folder] = person
    _note_unlisted(list(people), table, notes)
    return _rows(list(people.values()), notes)


def read_named(root: Path, notes: Notes) -> list[Row]:
    """Return the pictures of the people whose folders are in `root`, labelled by the folders' names."""
    people = []
    for path in sorted(root.iterdir()):
        if is_system_file(path.name):
            notes.system.append(path)
        elif path.is_dir() and is_person(path.name):
            people.append(_named(path, notes))
        else:
            notes.add(path, "folder is not a person's: expected id_gender_race_age", "left out")
    return _rows(people, notes)


def _parts(name: str) -> tuple[str, str, str, str] | None:
    match = re.fullmatch(r"([^_]+)_([^_]+)_(.+)_([^_]+)", name)
    return (match[1], match[2], match[3], match[4]) if match else None


def _named(path: Path, notes: Notes) -> _Person:
    id_, sex, race, age = _parts(path.name) or (path.name, "", "", "")
    gender, years = words.gender(sex), words.years(age)
    if gender == UNKNOWN:
        notes.add(path, f"gender is not valid: {sex!r}", "left unknown")
    if years == UNKNOWN:
        notes.add(path, f"age is not valid: {age!r}", "left unknown")
    return _Person(path, relative(path, notes.folder), id_, gender, years, race.casefold(), path.name)


def _listed(folder: Path, line: Line, notes: Notes) -> _Person | None:
    """Return the person of a line, or None if the folder is missing.

    Labels come from the line and from the folder's name. Contradictions are added to `notes`.
    """
    stated = line.values
    name = stated["path"].replace("\\", "/").strip("/")
    path = next((p for p in (folder / "images" / name, folder / name) if name and p.is_dir()), None)
    if path is None:
        notes.add(line.where, f"folder is missing: {name or 'no path is given'}", "left out")
        return None
    id_, sex, race, age = _parts(path.name) or ("", "", "", "")
    given_id = stated.get("id", "")
    if given_id and id_ and given_id != id_:
        notes.add(
            line.where, f"id differs from the folder's name: {given_id}, {id_}", "the CSV's value is used"
        )
    return _Person(
        folder=path,
        where=line.where,
        id=given_id or id_,
        gender=_gender(stated["gender"], sex, line.where, notes),
        years=_years(stated["age"], age, line.where, notes),
        race=_race(stated.get("race", "").casefold(), race.casefold(), line.where, notes),
        key=path.name,
    )


def _gender(stated: str, named: str, where: str, notes: Notes) -> int:
    mine, other = words.gender(stated), words.gender(named)
    if mine == UNKNOWN:
        done = "left unknown" if other == UNKNOWN else f"{GENDER_LABELS[other]}, from the folder's name"
        notes.add(where, f"gender is not valid: {stated!r}", done)
        return other
    if other not in (UNKNOWN, mine):
        notes.add(where, f"gender differs from the folder's name: {stated}, {named}", "left unknown")
        return UNKNOWN
    return mine


def _years(stated: str, named: str, where: str, notes: Notes) -> int:
    mine, other = words.years(stated), words.years(named)
    if mine == UNKNOWN:
        done = "left unknown" if other == UNKNOWN else f"{other}, from the folder's name"
        notes.add(where, f"age is not valid: {stated!r}", done)
        return other
    if other in (UNKNOWN, mine):
        return mine
    same = words.band(mine) == words.band(other)
    done = "the CSV's value is used" if same else "left unknown, because the age bands differ"
    notes.add(where, f"age differs from the folder's name: {mine}, {other}", done)
    return mine if same else UNKNOWN


def _race(stated: str, named: str, where: str, notes: Notes) -> str:
    if stated and named and stated != named:
        notes.add(where, f"race differs from the folder's name: {stated}, {named}", "left unknown")
        return ""
    return stated or named


def _merged(first: _Person, again: _Person, notes: Notes) -> _Person:
    """Merge two lines of one person. Keep the labels on which both agree and those that only one has."""
    gender = _either(first.gender, again.gender)
    years = _either(first.years, again.years)
    race = first.race if again.race in ("", first.race) else again.race if not first.race else ""
    agree = (first.gender, first.years, first.race) == (again.gender, again.years, again.race)
    what = f"person is listed twice{'' if agree else ' with other labels'}: {first.folder.name}"
    notes.add(again.where, what, "used once" if agree else "used once; labels that differ are left unknown")
    return replace(first, gender=gender, years=years, race=race)


def _either(one: int, other: int) -> int:
    if UNKNOWN in (one, other):
        return max(one, other)
    return one if one == other else UNKNOWN


def _note_unlisted(listed: Sequence[Path], table: Path, notes: Notes) -> None:
    for root in sorted({path.parent for path in listed}):
        known = {path.name for path in listed if path.parent == root}
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
        notes.system += [Path(entry.path) for entry in entries if is_system_file(entry.name)]
        rest = [e.name for e in entries if e.is_dir() and not is_system_file(e.name) and e.name not in known]
        if root != table.parent and rest:
            what = f"folders are not in {table.name}: {len(rest)}, such as {rest[0]}"
            notes.add(root, what, "not used")


def _rows(people: Sequence[_Person], notes: Notes) -> list[Row]:
    kinds = _kinds(notes)
    rows = []
    for person in _one_key_a_person(people, notes):
        for image, mask in _pictures(person.folder, notes):
            kind = kinds.get((person.folder.name, image.name), "")
            known = (mask, person.gender, words.band(person.years), False, person.key)
            rows.append(Row(image, None, *known, person.years, person.race, kind))
    return rows


def _kinds(notes: Notes) -> dict[tuple[str, str], str]:
    """Read what covers each face from `masks.csv` (`path,file,kind`), if there is one.

    Returns:
        The kinds by folder and file.
    """
    table = notes.folder / "masks.csv"
    if not table.is_file():
        return {}
    columns, lines = read_table(table, notes)
    if not {"path", "file", "kind"} <= set(columns):
        notes.add(table, "columns are not path,file,kind", "not used")
        return {}
    return {(line.values["path"], line.values["file"]): line.values["kind"] for line in lines}


def _one_key_a_person(people: Sequence[_Person], notes: Notes) -> Iterator[_Person]:
    """Yield the people. Those with the same id and labels share one key, so that no split separates them."""
    by_id: dict[str, list[_Person]] = {}
    for person in people:
        alike = by_id.setdefault(person.id, []) if person.id else []
        same = next((other for other in alike if _may_be_one(person, other)), None)
        if same is not None:
            done = f"treated as the same person as {same.folder.name}"
            notes.add(person.where, f"id is used twice: {person.id}", done)
            person = replace(person, key=same.key)
        elif alike:
            done = f"treated as a different person from {alike[0].folder.name}"
            notes.add(person.where, f"id is used twice: {person.id}", done)
        alike.append(person)
        yield person


def _may_be_one(a: _Person, b: _Person) -> bool:
    return (a.gender, a.race) == (b.gender, b.race) and abs(a.years - b.years) <= 1


def _pictures(folder: Path, notes: Notes) -> Iterator[tuple[Path, int]]:
    """Yield the pictures of a person with their mask states."""
    seen: dict[str, str] = {}
    for entry in sorted(os.scandir(folder), key=_usual_first):
        path = Path(entry.path)
        if is_system_file(entry.name):
            notes.system.append(path)
            continue
        stem = path.stem.casefold()
        mask = next((i for i, known in enumerate(STEMS) if re.fullmatch(known, stem)), UNKNOWN)
        if not entry.is_file() or mask == UNKNOWN:
            notes.add(path, f"file is not one of {', '.join(SEVEN)}: {entry.name}", "left out")
        elif entry.stat().st_size == 0:
            notes.add(path, "picture is empty", "left out")
        elif stem in seen:
            notes.add(path, "picture exists twice, with two extensions", f"{seen[stem]} is used")
        elif path.suffix.casefold() in IMAGE_SUFFIXES or _begins_as_picture(path, notes):
            seen[stem] = entry.name
            yield path, mask
    missing = [stem for stem in SEVEN if stem not in seen]
    if missing:
        done = "the other pictures are used" if seen else "left out"
        notes.add(folder, f"picture is missing: {', '.join(missing)}", done)


def _usual_first(entry: os.DirEntry[str]) -> tuple[bool, str]:
    """Sort files by name, those with the layout's usual extensions first."""
    return not entry.name.casefold().endswith((".jpg", ".jpeg", ".png")), entry.name


def _begins_as_picture(path: Path, notes: Notes) -> bool:
    try:
        with path.open("rb") as file:
            begins = file.read(4).startswith(SIGNATURES)
    except OSError:
        begins = False
    done = "used, because it is a picture" if begins else "left out"
    notes.add(path, f"file extension is unexpected: {path.suffix or 'none'}", done)
    return begins
