"""Provide the pictures to score: unchanged faces, and bare faces with masks drawn as in the contest.

A picture with a drawn mask is drawn when it is classified, and drawn again in the same way for a page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from gatecam.labels import MASK_LABELS
from gatecam.training.classifier.augment import Patch, patch_of
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import BARE, HEAD_LABELS, UNKNOWN, Collection, Progress, may_have_beard
from gatecam.training.drawing import dress
from gatecam.training.scores.score import LABELS, MIN_FACE_PX, class_logits, logits_of_patches
from gatecam.vision.crops import CropSpec

SHOTS = (0, 0, 0, 0, 0, 1, 2)  # mask states of a person's seven pictures in the contest

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Holds N pictures of a collection's faces, and the heads that can be scored on them."""

    name: str
    about: str  # describes the pictures in a sentence
    heads: tuple[str, ...]
    faces: Faces
    rows: Ints  # (N,) indices into `faces`
    states: Ints  # (N,) mask states
    drawn: bool

    def __len__(self) -> int:
        return len(self.rows)

    def patch(self, index: int) -> tuple[Patch, str]:
        """Return a picture, and what covers its face."""
        row = int(self.rows[index])
        patch = patch_of(self.faces, row)
        if not self.drawn:
            return patch, str(self.faces.kinds[row])
        name = f"{self.faces.keys[row]}:{self.faces.images[row]}:{index % len(SHOTS)}"
        rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
        beard = may_have_beard(self.faces.gender[row], self.faces.years[row])
        dressed = dress(patch.image, patch.landmarks, int(self.states[index]), rng, beard)
        return Patch(dressed.image, patch.box, patch.landmarks), dressed.kind


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Holds pictures and a network's logits for them."""

    pictures: Pictures
    kinds: NDArray[np.str_]  # (N,) what covers each face
    logits: Mapping[str, Tensor]  # (N, labels) by head

    @property
    def keys(self) -> NDArray[np.str_]:
        """Return the keys (N,) of the pictures, each for one person or scene."""
        return self.pictures.faces.keys[self.pictures.rows]

    @property
    def face_px(self) -> NDArray[np.float32]:
        """Return the sizes (N,) of the faces in their original pictures."""
        return self.pictures.faces.face_px[self.pictures.rows]

    def truth(self, head: str) -> Ints:
        """Return the true labels (N,) of a head or of the 18 classes, -1 if unknown."""
        faces, rows = self.pictures.faces, self.pictures.rows
        parts = {"mask": self.pictures.states, "gender": faces.gender[rows], "age": faces.age[rows]}
        if head in parts:
            return parts[head]
        known = np.all([values != UNKNOWN for values in parts.values()], axis=0)
        return np.where(known, 6 * parts["mask"] + 3 * parts["gender"] + parts["age"], UNKNOWN)

    def usable(self, head: str) -> NDArray[np.bool_]:
        """Return whether each picture's label is known and not doubtful, (N,)."""
        return np.asarray(self.truth(head) != UNKNOWN) & ~self.pictures.faces.suspect[self.pictures.rows]

    def counted(self, head: str) -> NDArray[np.bool_]:
        """Return whether each picture is usable and large enough to be scored, (N,)."""
        return self.usable(head) & (self.face_px >= MIN_FACE_PX)

    def predicted(self, head: str) -> Ints:
        """Return the most likely labels (N,). A class combines the three heads' labels."""
        parts = {name: values.argmax(1).numpy() for name, values in self.logits.items()}
        if head in parts:
            return np.asarray(parts[head])
        return np.asarray(6 * parts["mask"] + 3 * parts["gender"] + parts["age"])

    def left_out(self, head: str) -> dict[str, int]:
        """Count the faces that this head is not scored on, by reason."""
        unknown = self.truth(head) == UNKNOWN
        doubtful = ~unknown & self.pictures.faces.suspect[self.pictures.rows]
        small = self.usable(head) & (self.face_px < MIN_FACE_PX)
        return {
            "no label": int(unknown.sum()),
            "doubtful label": int(doubtful.sum()),
            f"under {MIN_FACE_PX} px": int(small.sum()),
        }

    def scaled(self, head: str, temperature: Mapping[str, float]) -> Tensor:
        """Return a head's logits (N, labels) divided by its temperature, or log-probabilities of classes."""
        if head == "class":
            return class_logits(self.logits, temperature)
        return self.logits[head] / temperature[head]


def as_they_are(collection: Collection, faces: Faces) -> Pictures:
    """Return the unchanged faces of one part of a collection, with the heads that they can score.

    The mask head is left out if all faces of the collection have the same mask state.
    """
    heads = tuple(head for head in HEAD_LABELS if (getattr(faces, head) != UNKNOWN).any())
    states = {row.mask for row in collection.rows} - {UNKNOWN}
    about = f"{len(faces)} unchanged faces of {len(np.unique(faces.keys))} people or scenes"
    if len(states) == 1:
        heads = tuple(head for head in heads if head != "mask")
        about += f", all labelled {MASK_LABELS[states.pop()]}, so they cannot score the mask head"
    if len(heads) == len(HEAD_LABELS):
        heads = tuple(LABELS)
    rows = np.arange(len(faces))
    return Pictures(collection.name, f"{about}.", heads, faces, rows, faces.mask, drawn=False)


def dressed(collection: Collection, faces: Faces) -> Pictures | None:
    """Return seven pictures of each bare face with gender and age, as in the contest.

    Five show a mask worn correctly, one a mask worn incorrectly, and one the bare face. The result is None if
    the collection itself shows masks, or if this part of it has no such face.
    """
    states = {row.mask for row in collection.rows} - {UNKNOWN}
    known = (faces.mask == BARE) & (faces.gender != UNKNOWN) & (faces.age != UNKNOWN) & ~faces.suspect
    found = np.isfinite(faces.landmarks).all((1, 2))
    people = np.flatnonzero(known & found)
    if states != {BARE} or len(people) == 0:
        return None
    unusable = int((known & ~found).sum())
    about = (
        f"{len(people)} bare faces of {collection.name}, drawn as seven pictures each, as in the contest. "
        "Five show a mask worn correctly, one a mask worn incorrectly, and one no mask. The face without a "
        "mask is sometimes covered by something else."
    )
    if unusable:
        about += f" No mask could be drawn on {unusable} faces, because the detector found no landmarks."
    rows, shots = np.repeat(people, len(SHOTS)), np.tile(np.array(SHOTS), len(people))
    name = f"{collection.name}, masks drawn"
    return Pictures(name, about, tuple(LABELS), faces, rows, shots, drawn=True)


def judge(model: nn.Module, spec: CropSpec, pictures: Pictures, progress: Progress) -> Judged:
    """Classify some pictures with a network.

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
    """Return the pictures to score: each collection's unchanged faces, then the drawn ones if `drawn`."""
    real = [as_they_are(collection, faces) for collection, faces in parts if len(faces)]
    drawings = [dressed(collection, faces) for collection, faces in parts] if drawn else []
    return [p for p in (*real, *drawings) if p is not None and p.heads]
