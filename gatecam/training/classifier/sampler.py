"""Choose the faces of each epoch and their mask states. The choice depends only on the seed and the epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatecam.errors import DataError
from gatecam.labels import HEADS
from gatecam.training.classifier.augment import Patch, augmented_crop, patch_of
from gatecam.training.classifier.losses import Batch
from gatecam.training.classifier.recipe import Recipe
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import BARE, UNKNOWN, may_have_beard
from gatecam.training.drawing import dress

Ints = NDArray[np.int64]
Hints = NDArray[np.float16]

REAL_SHARE = 0.45  # share of a mixed epoch with known mask states; the rest is for gender and age
MASK_SHARES = (0.38, 0.3, 0.32)  # of the faces with known mask states: correct, incorrect, none
DRAWN_SHARES = (0.12, 0.5, 0.0)  # how many of each of those are drawn on bare faces of the same collections
DRESS_SHARES = (0.3, 0.2, 0.5)  # mask states drawn on bare faces that are shown for gender and age
MASKED = (0, 1)  # mask states with a mask
DRAWN_WEIGHT = 0.5  # weight of a drawn mask in the mask head's loss, so that real masks count more


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Lists the faces of an epoch: index, mask state, whether the mask is drawn, and seed, (n,) each."""

    faces: Ints
    states: Ints
    drawn: NDArray[np.bool_]
    seeds: Ints

    def ordered(self, rng: np.random.Generator) -> Plan:
        """Return the plan in random order."""
        order = rng.permutation(len(self.faces))
        return Plan(self.faces[order], self.states[order], self.drawn[order], self.seeds[order])


class Sampler:
    """Samples batches from the training faces of one or more collections."""

    def __init__(
        self, sets: Sequence[Faces], recipe: Recipe, hints: NDArray[np.float16] | None = None
    ) -> None:
        cv2.setNumThreads(1)  # the sampler's own threads already use the cores
        self._sets, self._recipe, self.hints = sets, recipe, hints
        self._places = np.array([(s, row) for s, faces in enumerate(sets) for row in range(len(faces))])
        self.labels = {name: _joined(sets, name) for name in (*HEADS, "years")}
        self._usable = np.flatnonzero(~np.concatenate([faces.suspect for faces in sets]) & self._any_label())
        if len(self._usable) == 0:
            raise DataError("no face has a label to learn from: give pictures with labels.")
        landmarks = np.concatenate([np.isfinite(faces.landmarks).all((1, 2)) for faces in sets])
        self._bare = (self.labels["mask"] == BARE) & landmarks
        self._plan_of = {"mixed": self._mixed, "weighted": self._weighted, "plain": self._plain}
        if recipe.sampler == "mixed" and not any(len(pool) for pool in self._pools()):
            raise DataError(
                "the sampler `mixed` needs collections that show all three mask states, or faces of known "
                "gender and age: add such pictures, or use --sampler plain."
            )

    @property
    def steps(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-self._count // self._recipe.batch)

    @property
    def fingerprint(self) -> str:
        """Return a hash of the faces and of what is known about them, to recognize other training data."""
        hints = b"" if self.hints is None else hashlib.sha256(self.hints.tobytes()).digest()
        return fingerprint_of(self._sets, hints)

    def shown_labels(self) -> dict[str, Ints]:
        """Return the labels of each head and of "years", as the first epoch shows them."""
        plan = self.plan(0)
        return self._labels(plan, np.arange(len(plan.faces)))

    def epoch(self, epoch: int, skip: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield the batches of an epoch, all of about the same size. The same seed gives the same batches.

        Args:
            epoch: counted from 0.
            skip: number of batches that are already done.
            rank: number of this process, which gets its part of each batch.
            world: number of processes that share a batch.
        """
        plan = self.plan(epoch)
        with ThreadPoolExecutor(2) as pool:
            pending = None
            for rows in np.array_split(np.arange(len(plan.faces)), self.steps)[skip:]:
                # prepare this batch while the network processes the previous one
                mine = np.array_split(rows, world)[rank]
                coming = [pool.submit(self._sample, plan, int(row)) for row in mine], mine, len(rows) / world
                if pending is not None:
                    yield self._batch(plan, *pending)
                pending = coming
            if pending is not None:
                yield self._batch(plan, *pending)

    def plan(self, epoch: int) -> Plan:
        """Return what an epoch shows, in order."""
        rng = np.random.default_rng((self._recipe.seed, epoch))
        faces, states, drawn = self._plan_of[self._recipe.sampler](rng)
        seeds = rng.integers(0, 2**63, len(faces))
        return Plan(faces, states, drawn, seeds).ordered(rng)

    @property
    def _count(self) -> int:
        return self._recipe.samples or len(self._usable)

    def _any_label(self) -> NDArray[np.bool_]:
        return np.asarray(np.stack([self.labels[name] != UNKNOWN for name in HEADS]).any(0))

    def _plain(self, rng: np.random.Generator) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """Choose every face equally often."""
        rounds = -(-self._count // len(self._usable))
        faces = np.concatenate([rng.permutation(self._usable) for _ in range(rounds)])[: self._count]
        return self._dressed(faces, rng)

    def _weighted(self, rng: np.random.Generator) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """Choose every combination of labels equally often, and its faces with replacement."""
        cells = sum((self.labels[name] + 1) * 4**i for i, name in enumerate(HEADS))[self._usable]
        _, which, counts = np.unique(cells, return_inverse=True, return_counts=True)
        chances = 1 / counts[which]
        faces = rng.choice(self._usable, self._count, p=chances / chances.sum())
        return self._dressed(faces, rng)

    def _mixed(self, rng: np.random.Generator) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """Choose mask states in fixed shares where masks are known, else any face of known gender and age.

        Genders and ages stay as frequent as they are. Equal shares of the age bands would teach that every
        third visitor is 60 or over.
        """
        masked, people = self._pools()
        known = bool(len(people))
        real = round(self._count * REAL_SHARE) if masked and known else self._count * bool(masked)
        parts = []
        if masked:
            states = rng.choice(3, real, p=MASK_SHARES)
            drawn = (rng.random(real) < np.array(DRAWN_SHARES)[states]) & self._recipe.draw
            bare = masked[BARE][self._bare[masked[BARE]]]
            drawn &= len(bare) > 0
            rows = [rng.choice(bare if d else masked[s]) for s, d in zip(states, drawn, strict=True)]
            parts.append((np.array(rows, np.int64), states, drawn | self._occluded(rows, states, rng)))
        if known:
            parts.append(self._dressed(rng.choice(people, self._count - real), rng))
        faces, states, drawn = (np.concatenate(column) for column in zip(*parts, strict=True))
        return faces, states, drawn

    def _occluded(self, rows: list[int], states: Ints, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Choose which bare faces are drawn on, sometimes with a thing that is no mask."""
        bare = self._bare[np.array(rows)] & (states == BARE)
        return np.asarray(bare & (rng.random(len(rows)) < 0.5) & self._recipe.draw)

    def _pools(self) -> tuple[list[Ints], Ints]:
        """Return the usable faces of each mask state, and those whose gender and age are known.

        Mask states come only from collections that show masks. Otherwise every face of a collection of bare
        people, and its kind of picture, would count as bare.
        """
        shows_masks = [bool(np.isin(faces.mask[~faces.suspect], MASKED).any()) for faces in self._sets]
        usable = np.zeros(len(self._places), bool)
        usable[self._usable] = True
        of_masks = usable & np.array(shows_masks)[self._places[:, 0]]
        masked = [np.flatnonzero(of_masks & (self.labels["mask"] == state)) for state in range(3)]
        known = usable & (self.labels["gender"] != UNKNOWN) & (self.labels["age"] != UNKNOWN)
        if self._recipe.draw:
            known &= self._bare | of_masks
        return (masked if all(map(len, masked)) else []), np.flatnonzero(known)

    def _dressed(self, faces: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """Choose a random mask state for each bare face, if the recipe draws masks."""
        drawn = self._bare[faces] & self._recipe.draw
        states = np.where(drawn, rng.choice(3, len(faces), p=DRESS_SHARES), self.labels["mask"][faces])
        return faces, states, drawn

    def _sample(self, plan: Plan, row: int) -> Tensor:
        rng = np.random.default_rng(int(plan.seeds[row]))
        source, place = self._places[plan.faces[row]]
        patch = patch_of(self._sets[source], place)
        if plan.drawn[row]:
            face = plan.faces[row]
            beard = may_have_beard(self.labels["gender"][face], self.labels["years"][face])
            dressed = dress(patch.image, patch.landmarks, int(plan.states[row]), rng, beard)
            patch = Patch(dressed.image, patch.box, patch.landmarks)
        return augmented_crop(patch, self._recipe.crop, rng, self._recipe.augmentations)

    def _batch(self, plan: Plan, samples: list[Future[Tensor]], rows: Ints, share: float) -> Batch:
        size = self._recipe.size
        crops = (
            torch.stack([sample.result() for sample in samples]) if samples else torch.zeros(0, 3, size, size)
        )
        labels = {name: torch.from_numpy(values) for name, values in self._labels(plan, rows).items()}
        weights = np.where(plan.drawn[rows] & (plan.states[rows] != BARE), DRAWN_WEIGHT, 1.0)
        hints = None if self.hints is None else torch.from_numpy(self.hints[plan.faces[rows]]).float()
        return Batch(crops, labels, torch.from_numpy(weights.astype(np.float32)), share, hints)

    def _labels(self, plan: Plan, rows: Ints) -> dict[str, Ints]:
        faces = plan.faces[rows]
        return {name: values[faces] for name, values in self.labels.items()} | {"mask": plan.states[rows]}


def fingerprint_of(sets: Sequence[Faces], more: bytes = b"") -> str:
    """Return a hash of faces, their boxes, landmarks and labels, to recognize other faces.

    Args:
        sets: the faces of each collection.
        more: whatever else the hash depends on.
    """
    digest = hashlib.sha256(more)
    for faces in sets:
        known = (faces.images, faces.mask, faces.gender, faces.age, faces.years, faces.suspect)
        for values in (*known, faces.boxes, faces.landmarks, faces.patches[:, ::16, ::16]):
            digest.update(values.tobytes())
    return digest.hexdigest()


def _joined(sets: Sequence[Faces], name: str) -> Ints:
    return np.concatenate([getattr(faces, name) for faces in sets]).astype(np.int64)
