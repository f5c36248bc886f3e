"""Load the labelled pictures that train the detector, and draw masks on copies of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatecam.capture.found import list_pictures
from gatecam.errors import DataError
from gatecam.runtime.progress import progress
from gatecam.training.data.loading import open_all, tell_problems
from gatecam.training.data.rows import Collection, Problem, Row
from gatecam.training.data.split import parts_of
from gatecam.training.detector.pictures import (
    Material,
    chances_of,
    dressed_scenes,
    empty_scenes,
    held_out_of,
    scenes_of,
)
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.scenes import Scene, is_portrait
from gatecam.training.detector.validation import HeldOut

TRAIN, VALIDATION = "train", "validation"
DRESSED_COPIES = 1  # of each scene
MIN_LANDMARKS = 8  # faces with landmarks that the training part must have

SceneRows = Sequence[tuple[Scene, Sequence[Row]]]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Holds the arguments of `gatecam train-detector` that say where pictures are and which are held out."""

    data: list[Path]
    no_faces: list[Path]
    split: Path | None
    split_seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Holds all pictures in memory, and the data they come from as sentences for the spec."""

    material: Material
    held_out: HeldOut
    data: list[str]


def load_pictures(pictures: Pictures, recipe: DetectorRecipe) -> Loaded:
    """Load all pictures of the training and validation parts, and make copies with masks drawn on bare faces.

    Raises:
        DataError: a collection or split cannot be used, or a part has no faces to learn from.
        SourceError: a folder of pictures without faces holds none.
    """
    empty_images = list_pictures(pictures.no_faces)
    collections = open_all(pictures.data)
    for collection in collections:
        _require_labelled(collection)
    train: list[tuple[str, Scene]] = []  # each with the group that it is balanced by
    validation: list[tuple[Scene, Sequence[Row]]] = []
    data = []
    parts = parts_of(collections, pictures.split, pictures.split_seed)
    for collection, of_rows in zip(collections, parts, strict=True):
        learnt = _load(collection, of_rows, TRAIN)
        train += [(f"{collection.name}, {rows[0].race}", scene) for scene, rows in learnt]
        validation += _load(collection, of_rows, VALIDATION)
        data.append(f"{collection.name}: {len(learnt):,} pictures")
    held_out = held_out_of(validation)
    _require_landmarks([scene for _, scene in train])
    empty = _empty(empty_images)
    return Loaded(_material(train, empty, recipe), held_out, [*data, f"no faces: {len(empty):,} pictures"])


def _require_labelled(collection: Collection) -> None:
    if collection.rows[0].box is None:
        raise DataError(
            f"{collection.name}: its faces have no boxes. Run `gatecam data label` on it, and give the file "
            "that it writes."
        )


def _require_landmarks(scenes: Sequence[Scene]) -> None:
    known = sum(int((~np.isnan(scene.landmarks[:, 0, 0])).sum()) for scene in scenes)
    if known < MIN_LANDMARKS:
        raise DataError(
            f"only {known} faces of the training part have landmarks, expected at least {MIN_LANDMARKS}. Run "
            "`gatecam data label` on the pictures, and give the files that it writes."
        )


def _load(collection: Collection, parts: Sequence[str], part: str) -> SceneRows:
    rows = [row for row, of_row in zip(collection.rows, parts, strict=True) if of_row == part]
    problems: list[Problem] = []
    with progress(f"open {collection.name}, {part}", None, "pictures") as tick:
        scenes = scenes_of(rows, problems, tick)
    tell_problems(collection.name, problems)
    return scenes


def _material(train: Sequence[tuple[str, Scene]], empty: list[Scene], recipe: DetectorRecipe) -> Material:
    """Sort the training pictures into scenes and portraits, and draw masks on copies of both."""
    scenes = [scene for _, scene in train if not is_portrait(scene)]
    small = [(group, scene) for group, scene in train if is_portrait(scene)]
    order = np.random.default_rng(recipe.seed).permutation(len(small))[: recipe.portraits]
    portraits = [small[i][1] for i in order]
    if not any(len(scene.boxes) for scene in [*scenes, *portraits]):
        raise DataError("no face is left to learn from: give --portraits a larger number.")
    return Material(
        scenes,
        _dressed("scenes", scenes, DRESSED_COPIES, recipe.seed),
        portraits,
        _dressed("portraits", portraits[: len(portraits) // 2], 1, recipe.seed),
        empty,
        chances_of([small[i][0] for i in order]),
    )


def _empty(images: Sequence[Path]) -> list[Scene]:
    problems: list[Problem] = []
    with progress("open pictures without faces", len(images), "pictures") as tick:
        scenes = empty_scenes(images, problems, tick)
    tell_problems("no faces", problems)
    return scenes


def _dressed(what: str, scenes: Sequence[Scene], copies: int, seed: int) -> list[Scene]:
    with progress(f"draw masks on {what}", copies * len(scenes), "copies") as tick:
        return dressed_scenes(scenes, copies, seed, tick)
