"""Load the pictures that train the detector, search them with the stock weights, and draw masks on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gatecam.capture.found import list_pictures
from gatecam.errors import DataError
from gatecam.runtime.progress import progress
from gatecam.training.data.loading import open_all, tell_problems
from gatecam.training.data.rows import Collection, Problem, Row
from gatecam.training.data.split import parts_of
from gatecam.training.detector.pictures import (
    DRESSED_COPIES,
    Material,
    box_fit,
    boxed_scenes,
    dressed_scenes,
    empty_scenes,
    held_out_of,
    is_boxed,
    picked_portraits,
    portrait_scenes,
)
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.scenes import Scene
from gatecam.training.detector.teaching import Teaching, taught
from gatecam.training.detector.validation import HeldOut
from gatecam.training.scores.matching import KnownFaces, read_known, require_known

TRAIN, VALIDATION = "train", "validation"
CACHE_FOLDER = "detector"  # below --cache, beside the faces that `gatecam train` caches

SceneRows = Sequence[tuple[Scene, Sequence[Row]]]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Holds the arguments of `gatecam train-detector` that say where pictures are and which are held out."""

    data: list[Path]
    no_faces: list[Path]
    unboxed: Path | None
    split: Path | None
    split_seed: int
    cache: Path


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Holds all pictures in memory, and the data they come from as sentences for the spec."""

    material: Material
    held_out: HeldOut
    data: list[str]


class _Collections:
    """Reads the collections, their parts, and what the stock weights find in their pictures.

    Raises:
        DataError: none of them has boxes, or a list cannot be used.
        SourceError: a folder of pictures without faces holds none.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._cache = pictures.cache / CACHE_FOLDER
        self.empty_images = list_pictures(pictures.no_faces)
        self._all = open_all(pictures.data)
        if not any(map(is_boxed, self._all)):
            raise DataError("no --data folder has boxes for its faces: add one that has.")
        self._unboxed: KnownFaces = {}
        if pictures.unboxed is not None:
            self._unboxed = read_known(pictures.unboxed)
            require_known(self._unboxed, pictures.unboxed, self._all)
        parts = parts_of(self._all, pictures.split, pictures.split_seed)
        self._parts = dict(zip((collection.name for collection in self._all), parts, strict=True))
        self.data: list[str] = []

    def boxed(self) -> tuple[SceneRows, SceneRows]:
        """Return the scenes with boxes of the training and validation parts."""
        train: list[tuple[Scene, Sequence[Row]]] = []
        validation: list[tuple[Scene, Sequence[Row]]] = []
        for collection in filter(is_boxed, self._all):
            of_train, of_validation = (self._rows(collection, part) for part in (TRAIN, VALIDATION))
            teaching = self._taught(collection, [*of_train, *of_validation])
            train += self._scenes(collection, of_train, teaching)
            validation += self._scenes(collection, of_validation, teaching)
            self._note(collection, len({row.image for row in of_train}))
        if not train:
            raise DataError("the training part has no picture with boxes: add some, or choose another split.")
        return train, validation

    def portraits(self, scenes: Sequence[Scene], recipe: DetectorRecipe) -> list[Scene]:
        """Return scenes of single bare faces in the training part, with boxes fitted to those of `scenes`."""
        others = [collection for collection in self._all if not is_boxed(collection)]
        rows = [row for collection in others for row in self._rows(collection, TRAIN)]
        picked = set(picked_portraits(rows, recipe.portraits, recipe.seed))
        fit = box_fit(scenes)
        portraits: list[Scene] = []
        for collection in others:
            own = [row for row in self._rows(collection, TRAIN) if row in picked]
            if not own:
                continue
            teaching = self._taught(collection, own)
            with progress(f"open {collection.name}", len(own), "pictures") as tick:
                found = portrait_scenes(own, teaching, fit, tick)
            portraits += found
            self._note(collection, len(found))
        return portraits

    def _rows(self, collection: Collection, part: str) -> list[Row]:
        parts = self._parts[collection.name]
        return [row for row, of_row in zip(collection.rows, parts, strict=True) if of_row == part]

    def _taught(self, collection: Collection, rows: Sequence[Row]) -> Teaching:
        images = list(dict.fromkeys(row.image for row in rows))
        with progress(f"search {collection.name}", len(images), "pictures") as tick:
            teaching, problems = taught(
                images,
                collection.folder,
                not is_boxed(collection),
                tick,
                self._cache / f"{collection.name}.npz",
            )
        tell_problems(collection.name, problems)
        return teaching

    def _scenes(self, collection: Collection, rows: Sequence[Row], teaching: Teaching) -> SceneRows:
        with progress(f"open {collection.name}", None, "pictures") as tick:
            return list(boxed_scenes(collection, rows, teaching, self._unboxed, tick))

    def _note(self, collection: Collection, pictures: int) -> None:
        self.data.append(f"{collection.name} ({collection.layout}): {pictures} pictures")


def load_pictures(pictures: Pictures, recipe: DetectorRecipe) -> Loaded:
    """Load all pictures of the training and validation parts, and make copies with masks drawn on bare faces.

    Raises:
        DataError: a collection, list or split cannot be used, or a part has no picture with boxes.
        SourceError: a folder of pictures without faces holds none.
    """
    collections = _Collections(pictures)
    train, validation = collections.boxed()
    held_out = held_out_of(validation)
    scenes = [scene for scene, _ in train]
    portraits = collections.portraits(scenes, recipe)
    empty = _empty(collections.empty_images)
    data = [*collections.data, *([f"no faces: {len(empty)} pictures"] if empty else [])]
    dressed = _dressed("scenes", scenes, DRESSED_COPIES, recipe.seed)
    dressed_portraits = _dressed("portraits", portraits, 1, recipe.seed)
    return Loaded(Material(scenes, dressed, portraits, dressed_portraits, empty), held_out, data)


def _empty(images: Sequence[Path]) -> list[Scene]:
    problems: list[Problem] = []
    with progress("open pictures without faces", len(images), "pictures") as tick:
        scenes = empty_scenes(images, problems, tick)
    tell_problems("no faces", problems)
    return scenes


def _dressed(what: str, scenes: Sequence[Scene], copies: int, seed: int) -> list[Scene]:
    with progress(f"draw masks on {what}", copies * len(scenes), "copies") as tick:
        return dressed_scenes(scenes, copies, seed, tick)
