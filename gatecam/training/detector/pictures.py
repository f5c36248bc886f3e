"""Build the training and validation data of the detector from collections, in memory.

A picture takes about 1 MB, and so does each copy of it with masks drawn on its bare faces.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gatecam.errors import DataError, SourceError
from gatecam.settings.schema import DEFAULT_FACE_PX
from gatecam.training.data.rows import Problem, Progress, Row
from gatecam.training.detector.scenes import Scene, dressed_scene, empty_scene, scene_of
from gatecam.training.detector.validation import HeldOut
from gatecam.training.scores.matching import LabelledFace, Truth, side_px
from gatecam.types import Box, Floats

MINED_PORTRAITS = 8000  # mistakes are mined in at most this many portraits, which bounds the time
THREADS = 2


@dataclass(frozen=True, eq=False)
class Material:
    """Holds the scenes that the detector learns from."""

    scenes: Sequence[Scene]
    dressed: Sequence[Scene]  # copies of scenes with masks drawn on their bare faces
    portraits: Sequence[Scene]  # small pictures of one face
    dressed_portraits: Sequence[Scene]
    empty: Sequence[Scene]  # scenes without a face
    chances: Floats | None = None  # (portraits,) how likely each is chosen. With None all are equally likely.

    @cached_property
    def mined(self) -> list[Scene]:
        """Return the scenes in which mistakes are mined: all, except portraits beyond `MINED_PORTRAITS`."""
        half = MINED_PORTRAITS // 2
        portraits = [*self.portraits[:half], *self.dressed_portraits[:half]]
        return [*self.scenes, *self.dressed, *self.empty, *portraits]

    @property
    def fingerprint(self) -> str:
        """Return a hash of the scenes and their chances, to recognize other material.

        Drawn copies are left out, because they follow from the recipe's seed.
        """
        chances = b"" if self.chances is None else self.chances.tobytes()
        return fingerprint_of((self.scenes, self.portraits, self.empty), chances)


def fingerprint_of(lists: Iterable[Sequence[Scene]], more: bytes = b"") -> str:
    """Return a hash of scenes, to recognize other ones.

    Args:
        lists: the scenes, in several lists.
        more: whatever else the hash depends on.
    """
    digest = hashlib.sha256(more)
    for scenes in lists:
        for scene in scenes:
            known = (scene.boxes, scene.landmarks, scene.masks, scene.ignored, scene.image[::16, ::16])
            for values in known:
                digest.update(np.ascontiguousarray(values).tobytes())
        digest.update(str(len(scenes)).encode())
    return digest.hexdigest()


def scenes_of(
    rows: Iterable[Row], problems: list[Problem], progress: Progress
) -> list[tuple[Scene, Sequence[Row]]]:
    """Build the scenes of rows with boxes, each with its rows. Unreadable pictures are added to `problems`.

    Args:
        rows: all rows of the wanted pictures.
        problems: gets what is wrong with pictures.
        progress: called with the number of pictures done and in total.
    """
    of_image: dict[Path, list[Row]] = {}
    for row in rows:
        of_image.setdefault(row.image, []).append(row)
    scenes: list[tuple[Scene, Sequence[Row]]] = []
    for done, (image, of_picture) in enumerate(of_image.items(), 1):
        try:
            scene = scene_of(of_picture)
            scenes.append((scene, of_picture))
            if len(scene.boxes) + len(scene.ignored) < len(of_picture):
                problems.append(Problem(str(image), "box lies outside the picture", "left out"))
        except SourceError as error:
            problems.append(_unreadable(image, error))
        progress(done, len(of_image))
    return scenes


def _unreadable(image: Path, error: SourceError) -> Problem:
    what = f"picture cannot be read: {str(error).removeprefix(f'{image}: ')}"
    return Problem(str(image), what, "left out")


def chances_of(groups: Sequence[str]) -> Floats:
    """Return each portrait's chance to be chosen, so that small groups are not rare.

    A group is chosen by the square root of its size, which lies between a choice by size and an equal one.
    """
    sizes = Counter(groups)
    weights = np.array([sizes[group] ** -0.5 for group in groups])
    return np.asarray(weights / max(weights.sum(), 1e-9))


def truth_of(scene: Scene, rows: Sequence[Row]) -> Truth:
    """Return the truth that a detector is scored against, in px of the scene. Small faces are ignored."""
    faces, ignored = [], [Box(*map(float, corners)) for corners in scene.ignored]
    for corners, mask in zip(scene.boxes, scene.masks, strict=True):
        box = Box(*map(float, corners))
        if side_px(box) < DEFAULT_FACE_PX:
            ignored.append(box)
        else:
            faces.append(LabelledFace(box, int(mask)))
    image = rows[0].image
    return Truth(image.name, image, rows[0].key, tuple(faces), tuple(ignored))


def held_out_of(scenes: Sequence[tuple[Scene, Sequence[Row]]]) -> HeldOut:
    """Build the validation set.

    Raises:
        DataError: the pictures show no face that counts.
    """
    truths = [truth_of(scene, rows) for scene, rows in scenes]
    if not any(truth.faces for truth in truths):
        raise DataError(
            f"the validation part has no face of {DEFAULT_FACE_PX} px or more: add pictures with boxes, or "
            "choose another split."
        )
    return HeldOut([scene for scene, _ in scenes], truths)


def empty_scenes(images: Sequence[Path], problems: list[Problem], progress: Progress) -> list[Scene]:
    """Build the scenes of pictures without a face. Unreadable pictures are added to `problems` instead."""
    scenes = []
    for done, image in enumerate(images, 1):
        try:
            scenes.append(empty_scene(image))
        except SourceError as error:
            problems.append(_unreadable(image, error))
        progress(done, len(images))
    return scenes


def dressed_scenes(scenes: Sequence[Scene], copies: int, seed: int, progress: Progress) -> list[Scene]:
    """Copy the scenes that have bare faces, with other things drawn on the faces in each copy."""
    wanted = [(copy, i) for copy in range(copies) for i in range(len(scenes))]

    def dress(at: tuple[int, int]) -> Scene | None:
        return dressed_scene(scenes[at[1]], np.random.default_rng((seed, *at)))

    drawn = []
    with ThreadPoolExecutor(THREADS) as pool:
        for done, scene in enumerate(pool.map(dress, wanted), 1):
            if scene is not None:
                drawn.append(scene)
            progress(done, len(wanted))
    return drawn
