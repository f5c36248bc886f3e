"""Build the training and validation data of the detector from collections, in memory.

A picture takes about 1 MB, and so does each copy of it with masks drawn on its bare faces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatecam.errors import DataError, SourceError
from gatecam.settings.schema import DEFAULT_FACE_PX
from gatecam.training.data.rows import Collection, Problem, Row
from gatecam.training.data.split import image_name
from gatecam.training.detector.scenes import (
    BARE,
    BoxFit,
    Scene,
    boxed_scene,
    dressed_scene,
    empty_scene,
    portrait_scene,
)
from gatecam.training.detector.teaching import Teaching, read_scene_picture
from gatecam.training.detector.validation import HeldOut
from gatecam.training.scores.matching import KnownFaces, LabelledFace, Truth, side_px
from gatecam.types import Box

DRESSED_COPIES = 2  # of each scene with boxes; a portrait gets one
MIN_TO_FIT = 50  # faces with box and landmarks that are needed to fit `BoxFit`
THREADS = 2

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Holds the scenes that the detector learns from."""

    scenes: Sequence[Scene]
    dressed: Sequence[Scene]  # copies of scenes with masks drawn on their bare faces
    portraits: Sequence[Scene]  # scenes with one face each
    dressed_portraits: Sequence[Scene]
    empty: Sequence[Scene]  # scenes without a face

    @property
    def mined(self) -> list[Scene]:
        """Return the scenes in which mistakes are mined, which are all except the portraits."""
        return [*self.scenes, *self.dressed, *self.empty]

    @property
    def fingerprint(self) -> str:
        """Return a hash of the scenes, to recognise other material. Drawn copies follow from the recipe's
        seed.
        """
        digest = hashlib.sha256()
        for scenes in (self.scenes, self.portraits, self.empty):
            for scene in scenes:
                known = (scene.boxes, scene.landmarks, scene.masks, scene.ignored, scene.image[::16, ::16])
                for values in known:
                    digest.update(np.ascontiguousarray(values).tobytes())
            digest.update(str(len(scenes)).encode())
        return digest.hexdigest()


def is_boxed(collection: Collection) -> bool:
    """Return whether the collection's faces have boxes. Otherwise each of its pictures shows one person."""
    return collection.rows[0].box is not None


def boxed_scenes(
    collection: Collection, rows: Sequence[Row], teaching: Teaching, unboxed: KnownFaces, progress: Progress
) -> Iterator[tuple[Scene, Sequence[Row]]]:
    """Yield the scenes of rows with boxes, each with its rows. Unreadable pictures are left out.

    Args:
        collection: the rows' collection.
        rows: all rows of the wanted pictures.
        teaching: the faces that the stock weights find in the pictures.
        unboxed: faces without a row, by the picture's path or name. They are ignored in training.
        progress: called with the number of pictures done and in total.
    """
    of_image: dict[Path, list[Row]] = {}
    for row in rows:
        of_image.setdefault(row.image, []).append(row)
    for done, (image, of_picture) in enumerate(of_image.items(), 1):
        if str(image) in teaching.found:
            name = image_name(collection, of_picture[0])
            names = dict.fromkeys((name, Path(name).name))
            ignored = [box for known in names for box in unboxed.get(known, ())]
            yield boxed_scene(of_picture, teaching, ignored), of_picture
        progress(done, len(of_image))


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


def box_fit(scenes: Sequence[Scene]) -> BoxFit | None:
    """Learn how the scenes' labellers box a face. Return None where too few faces have landmarks."""
    if not scenes:
        return None
    landmarks = np.concatenate([scene.landmarks for scene in scenes])
    boxes = np.concatenate([scene.boxes for scene in scenes])
    known = ~np.isnan(landmarks).any((1, 2))
    return BoxFit.of(landmarks[known], boxes[known]) if known.sum() >= MIN_TO_FIT else None


def picked_portraits(rows: Sequence[Row], limit: int, seed: int) -> list[Row]:
    """Choose at most `limit` bare faces at random.

    Masked faces are left out, because the stock weights do not find their landmarks well.
    """
    bare = [row for row in rows if row.mask == BARE and not row.suspect]
    if len(bare) <= limit:
        return bare
    picked = np.random.default_rng(seed).choice(len(bare), limit, replace=False)
    return [bare[i] for i in np.sort(picked)]


def portrait_scenes(
    rows: Sequence[Row], teaching: Teaching, fit: BoxFit | None, progress: Progress
) -> list[Scene]:
    """Build the scenes of pictures of one person, where the face was found."""
    scenes = []
    for done, row in enumerate(rows, 1):
        scene = portrait_scene(row, teaching, fit)
        if scene is not None:
            scenes.append(scene)
        progress(done, len(rows))
    return scenes


def empty_scenes(images: Sequence[Path], problems: list[Problem], progress: Progress) -> list[Scene]:
    """Build the scenes of pictures without a face. Unreadable pictures are added to `problems` instead."""
    scenes = []
    for done, image in enumerate(images, 1):
        try:
            scenes.append(empty_scene(read_scene_picture(image)))
        except SourceError as error:
            what = f"picture cannot be read: {str(error).removeprefix(f'{image}: ')}"
            problems.append(Problem(str(image), what, "left out"))
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
