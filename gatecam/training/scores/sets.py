"""The pictures a score is stated for: faces as they are, and bare faces dressed as the contest's people.

A dressed picture is drawn when the network sees it and drawn again when a page shows it, the same each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from gatecam.labels import GENDER_LABELS, MASK_LABELS
from gatecam.training.classifier.augment import Patch, patch_of
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import UNKNOWN, Collection
from gatecam.training.drawing import dress
from gatecam.training.scores.score import HEAD_LABELS, LABELS, MIN_FACE_PX, class_logits, logits_of_patches
from gatecam.vision.crops import CropSpec

BARE = MASK_LABELS.index("none")
MALE = GENDER_LABELS.index("male")
GROWN_YEARS = 20  # a drawn beard on a younger face would make its labels false
SHOTS = (0, 0, 0, 0, 0, 1, 2)  # mask states of the contest's seven pictures a person

Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """N pictures of the faces of one collection, to be judged by the heads whose labels are known."""

    name: str
    about: str  # what they are, in a sentence
    heads: tuple[str, ...]
    faces: Faces
    rows: Ints  # (N,): whose face it is
    states: Ints  # (N,): mask state
    drawn: bool

    def __len__(self) -> int:
        return len(self.rows)

    def patch(self, index: int) -> tuple[Patch, str]:
        """One picture, and what covers the face."""
        row = int(self.rows[index])
        patch = patch_of(self.faces, row)
        if not self.drawn:
            return patch, str(self.faces.kinds[row])
        name = f"{self.faces.keys[row]}:{self.faces.images[row]}:{index % len(SHOTS)}"
        rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
        grown_man = self.faces.gender[row] == MALE and self.faces.years[row] >= GROWN_YEARS
        dressed = dress(patch.image, patch.landmarks, int(self.states[index]), rng, bool(grown_man))
        return Patch(dressed.image, patch.box, patch.landmarks), dressed.kind


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Pictures with what a network says of each: logits (N, labels) a head."""

    pictures: Pictures
    kinds: NDArray[np.str_]  # (N,)
    logits: Mapping[str, Tensor]

    @property
    def keys(self) -> NDArray[np.str_]:
        """(N,): what must not be split."""
        return self.pictures.faces.keys[self.pictures.rows]

    @property
    def face_px(self) -> NDArray[np.float32]:
        """(N,): the faces' sizes in their pictures."""
        return self.pictures.faces.face_px[self.pictures.rows]

    def truth(self, head: str) -> Ints:
        """(N,): true labels of a head or of the 18 classes, -1 where unknown."""
        faces, rows = self.pictures.faces, self.pictures.rows
        parts = {"mask": self.pictures.states, "gender": faces.gender[rows], "age": faces.age[rows]}
        if head in parts:
            return parts[head]
        known = np.all([values != UNKNOWN for values in parts.values()], axis=0)
        return np.where(known, 6 * parts["mask"] + 3 * parts["gender"] + parts["age"], UNKNOWN)

    def usable(self, head: str) -> NDArray[np.bool_]:
        """(N,): whether the label is known and not doubtful."""
        return np.asarray(self.truth(head) != UNKNOWN) & ~self.pictures.faces.suspect[self.pictures.rows]

    def counted(self, head: str) -> NDArray[np.bool_]:
        """(N,): the usable ones that are large enough for a score to be stated."""
        return self.usable(head) & (self.face_px >= MIN_FACE_PX)

    def predicted(self, head: str) -> Ints:
        """(N,): the likeliest labels; a class is that of the three heads' labels, as in serving."""
        parts = {name: values.argmax(1).numpy() for name, values in self.logits.items()}
        if head in parts:
            return np.asarray(parts[head])
        return np.asarray(6 * parts["mask"] + 3 * parts["gender"] + parts["age"])

    def left_out(self, head: str) -> dict[str, int]:
        """How many faces no score of this head is stated for, by the reason."""
        unknown = self.truth(head) == UNKNOWN
        doubtful = ~unknown & self.pictures.faces.suspect[self.pictures.rows]
        small = self.usable(head) & (self.face_px < MIN_FACE_PX)
        return {
            "no label": int(unknown.sum()),
            "doubtful label": int(doubtful.sum()),
            f"under {MIN_FACE_PX} px": int(small.sum()),
        }

    def scaled(self, head: str, temperature: Mapping[str, float]) -> Tensor:
        """A head's logits (N, labels) over its temperature; for the 18 classes, log-probabilities."""
        if head == "class":
            return class_logits(self.logits, temperature)
        return self.logits[head] / temperature[head]


def as_they_are(collection: Collection, faces: Faces) -> Pictures:
    """The faces of one part of a collection, to be judged by each head whose labels they have.

    A collection whose masks are all in one state says nothing of the mask head, which is then left out.
    """
    heads = tuple(head for head in HEAD_LABELS if (getattr(faces, head) != UNKNOWN).any())
    states = {row.mask for row in collection.rows} - {UNKNOWN}
    about = f"{len(faces)} faces of {len(np.unique(faces.keys))} people or scenes, as they are"
    if len(states) == 1:
        heads = tuple(head for head in heads if head != "mask")
        about += f"; all are labelled {MASK_LABELS[states.pop()]}, so they say nothing of the mask head"
    if len(heads) == len(HEAD_LABELS):
        heads = tuple(LABELS)
    rows = np.arange(len(faces))
    return Pictures(collection.name, f"{about}.", heads, faces, rows, faces.mask, drawn=False)


def dressed(collection: Collection, faces: Faces) -> Pictures | None:
    """Seven pictures of each bare face with gender and age: five masks worn right, one wrong, one bare.

    None for a collection that shows masks itself, or has no such face in this part.
    """
    states = {row.mask for row in collection.rows} - {UNKNOWN}
    known = (faces.mask == BARE) & (faces.gender != UNKNOWN) & (faces.age != UNKNOWN) & ~faces.suspect
    found = np.isfinite(faces.landmarks).all((1, 2))
    people = np.flatnonzero(known & found)
    if states != {BARE} or len(people) == 0:
        return None
    unusable = int((known & ~found).sum())
    about = (
        f"{len(people)} bare faces of {collection.name} drawn as seven pictures each, as in the contest: "
        "five with a mask worn right, one worn wrong, one without, at times behind what is no mask."
    )
    if unusable:
        about += f" {unusable} faces could not be dressed, as the detector found no landmarks."
    rows, shots = np.repeat(people, len(SHOTS)), np.tile(np.array(SHOTS), len(people))
    name = f"{collection.name}, masks drawn"
    return Pictures(name, about, tuple(LABELS), faces, rows, shots, drawn=True)


def judge(model: nn.Module, spec: CropSpec, pictures: Pictures, progress: Progress) -> Judged:
    """What a network says of some pictures.

    Raises:
        DataError: there is no picture.
    """
    kinds: list[str] = []

    def patches() -> Iterator[Patch]:
        for index in range(len(pictures)):
            patch, kind = pictures.patch(index)
            kinds.append(kind)
            yield patch

    logits = logits_of_patches(model, patches(), len(pictures), spec, progress)
    return Judged(pictures, np.array(kinds), logits)


def pictures_of(parts: Sequence[tuple[Collection, Faces]], drawn: bool) -> list[Pictures]:
    """The pictures to score: each collection's faces as they are, then the dressed ones if `drawn`."""
    real = [as_they_are(collection, faces) for collection, faces in parts if len(faces)]
    drawings = [dressed(collection, faces) for collection, faces in parts] if drawn else []
    return [p for p in (*real, *drawings) if p is not None and p.heads]
