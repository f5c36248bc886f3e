"""Count the people and pictures of collections by label, and group their problems by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gatecam.capture.formats import open_image
from gatecam.errors import SourceError
from gatecam.labels import AGE_LABELS, CLASS_COUNT, GENDER_LABELS, MASK_LABELS, class_id, class_parts
from gatecam.training.data.rows import UNKNOWN, Collection, Problem, Progress, Row
from gatecam.training.data.tables import relative

UNKNOWN_LABEL = "unknown"
FACE_PX = ("<32 px", "32-63 px", "64-127 px", ">=128 px")  # by the shorter side of a labelled box


@dataclass(frozen=True, slots=True)
class Count:
    """Holds how many faces and how many people have a label."""

    label: str
    faces: int
    people: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Holds the counts of a collection. In each list, the faces whose label is unknown come last."""

    faces: int
    pictures: int
    people: int
    mask: list[Count]
    gender: list[Count]
    age: list[Count]
    race: list[Count]
    classes: list[Count]  # all 18 in order, if any face's class is known
    face_px: list[Count]  # labelled boxes by their shorter side
    kinds: list[Count]  # what covers the faces
    years: list[int]  # age of every person whose age is known
    pictures_a_person: dict[int, int]  # number of people by their number of pictures
    doubtful: int  # number of doubtful labels


def summarize(rows: Sequence[Row]) -> Summary:
    """Count the faces and people of one or several collections.

    A person counts for each label that any of the person's rows has.
    """
    people: dict[str, list[Row]] = {}
    for row in rows:
        people.setdefault(row.key, []).append(row)
    pictures = Counter(len({row.image for row in of_one}) for of_one in people.values())
    return Summary(
        faces=len(rows),
        pictures=len({row.image for row in rows}),
        people=len(people),
        mask=_by_label(rows, lambda row: row.mask, MASK_LABELS),
        gender=_by_label(rows, lambda row: row.gender, GENDER_LABELS),
        age=_by_label(rows, lambda row: row.age, AGE_LABELS),
        race=_by_word(rows, lambda row: row.race),
        classes=_by_label(rows, _class, [_class_label(i) for i in range(CLASS_COUNT)]),
        face_px=_by_label([row for row in rows if row.box is not None], _face_px, FACE_PX),
        kinds=_by_word([row for row in rows if row.kind], lambda row: row.kind),
        years=[max(row.years for row in of_one) for of_one in people.values() if _knows_age(of_one)],
        pictures_a_person=dict(sorted(pictures.items())),
        doubtful=sum(row.suspect for row in rows),
    )


def _knows_age(rows: Sequence[Row]) -> bool:
    return any(row.years != UNKNOWN for row in rows)


def _face_px(row: Row) -> int:
    shorter = min(row.box.width, row.box.height) if row.box else 0
    return sum(shorter >= bound for bound in (32, 64, 128))


def _class(row: Row) -> int:
    known = UNKNOWN not in (row.mask, row.gender, row.age)
    return class_id(row.mask, row.gender, row.age) if known else UNKNOWN


def _class_label(index: int) -> str:
    mask, gender, age = class_parts(index)
    return f"{index}: {MASK_LABELS[mask]}, {GENDER_LABELS[gender]}, {AGE_LABELS[age]}"


def _by_label(rows: Sequence[Row], label: Callable[[Row], int], names: Sequence[str]) -> list[Count]:
    """Return a count for every label, and one for faces without a label if there are any.

    If no face has a label, only the latter is returned.
    """
    found = {count.label: count for count in _counts(rows, lambda row: str(label(row)))}
    if set(found) <= {str(UNKNOWN)}:
        names = ()
    counts = [found.get(str(index), Count("", 0, 0)) for index in range(len(names))]
    labelled = [Count(name, count.faces, count.people) for name, count in zip(names, counts, strict=True)]
    rest = found.get(str(UNKNOWN))
    return labelled + ([Count(UNKNOWN_LABEL, rest.faces, rest.people)] if rest else [])


def _by_word(rows: Sequence[Row], word: Callable[[Row], str]) -> list[Count]:
    """Return a count for every word that occurs, the most frequent first."""
    counts = sorted(_counts(rows, word), key=lambda count: (not count.label, -count.faces, count.label))
    return [Count(count.label or UNKNOWN_LABEL, count.faces, count.people) for count in counts]


def _counts(rows: Sequence[Row], word: Callable[[Row], str]) -> list[Count]:
    faces: Counter[str] = Counter()
    people: dict[str, set[str]] = {}
    for row in rows:
        faces[word(row)] += 1
        people.setdefault(word(row), set()).add(row.key)
    return [Count(text, number, len(people[text])) for text, number in faces.items()]


def together(collections: Sequence[Collection]) -> list[Row]:
    """Return the rows of all collections. People of different collections get different keys."""
    return [
        replace(row, key=f"{collection.name}:{row.key}")
        for collection in collections
        for row in collection.rows
    ]


def rarity(summary: Summary) -> str:
    """Describe in a sentence how uneven the 18 classes are."""
    known = [count for count in summary.classes if count.label != UNKNOWN_LABEL]
    faces = sum(count.faces for count in known)
    if not faces:
        return "No face has a mask state, a gender and an age, so no face has one of the 18 classes."
    rarest = min((count for count in known if count.faces), key=lambda count: count.faces)
    most = max(known, key=lambda count: count.faces)
    absent = sum(not count.faces for count in known)
    return (
        f"Rarest class: {rarest.label}, 1 face in {faces / rarest.faces:.0f}; most frequent: {most.label}, "
        f"{most.faces / rarest.faces:.0f} times as many; {absent} of the 18 classes have no face."
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """Holds the number of pictures by (width, height), and a problem for each unreadable picture."""

    sizes: Counter[tuple[int, int]]
    problems: list[Problem]


def measure(collection: Collection, progress: Progress) -> Measured:
    """Read the size of every picture from its header, without decoding it."""
    images = list(dict.fromkeys(row.image for row in collection.rows))
    measured = Measured(Counter(), [])
    for done, image in enumerate(images, start=1):
        try:
            measured.sizes[_size(image)] += 1
        except SourceError:
            what = "picture cannot be opened" if image.exists() else "picture is missing"
            measured.problems.append(
                Problem(relative(image, collection.folder), what, "counted by its label")
            )
        progress(done, len(images))
    return measured


def _size(image: Path) -> tuple[int, int]:
    with open_image(image) as opened:
        return opened.size


def by_kind(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """Group problems by kind, the most frequent first. The kind is the text before the colon in `what`."""
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.what.partition(":")[0], []).append(problem)
    return dict(sorted(kinds.items(), key=lambda item: -len(item[1])))
