"""All that the detector learns from: rows become scenes, and what is held out becomes truths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.errors import DataError
from gatecam.training.data.rows import Collection, Row
from gatecam.training.detector.batches import crop_batch, window_batch
from gatecam.training.detector.pictures import (
    MIN_TO_FIT,
    Material,
    box_fit,
    boxed_scenes,
    dressed_scenes,
    empty_scenes,
    held_out_of,
    picked_portraits,
    portrait_scenes,
    truth_of,
)
from gatecam.training.detector.teaching import Teaching
from gatecam.types import Box
from tests.training.portrait_scenes import BOX, LANDMARKS, empty_scene_of, portrait_scene_of

NOTHING_FOUND = np.zeros((0, 15), np.float32)


def nothing(done: int, total: int) -> None:
    """Nobody looks at the progress."""


def row_of(image: Path, box: tuple[float, ...] | None, mask: int = 2, suspect: bool = False) -> Row:
    return Row(image, Box(*box) if box else None, mask, -1, -1, suspect, image.stem)


@pytest.fixture
def pictures(astronaut, tmp_path) -> list[Path]:
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        PIL.Image.fromarray(astronaut).save(path)
    return paths


def test_rows_of_one_picture_are_one_scene_and_unread_pictures_none(pictures, tmp_path):
    a, b = pictures
    rows = [row_of(a, BOX), row_of(b, BOX), row_of(a, (300, 300, 360, 370))]
    collection = Collection("c", "layout", tmp_path, rows, [])
    teaching = Teaching({str(a): NOTHING_FOUND})
    unboxed = {"a.png": [Box(1, 2, 3, 4)], "b.png": [Box(5, 6, 7, 8)]}
    ((scene, of_scene),) = boxed_scenes(collection, rows, teaching, unboxed, nothing)
    assert len(scene.boxes) == 2
    assert scene.ignored.tolist() == [[1, 2, 3, 4]]
    assert of_scene == [rows[0], rows[2]]


def test_small_and_set_aside_faces_do_not_count(astronaut, tmp_path):
    scene = portrait_scene_of(astronaut)
    small = np.array([[10, 10, 60, 41]], np.float32)
    both = replace(
        scene, boxes=np.concatenate([scene.boxes, small]), masks=np.array([1, 2]), ignored=small + 200
    )
    truth = truth_of(both, [row_of(tmp_path / "a.png", BOX)])
    ((face),) = truth.faces
    assert (face.box, face.mask) == (Box(*BOX), 1)
    assert truth.ignored == (Box(210, 210, 260, 241), Box(10, 10, 60, 41))
    assert truth.key == "a"


def test_a_validation_part_without_faces_is_one_sentence(tmp_path):
    rows = [row_of(tmp_path / "a.png", BOX)]
    with pytest.raises(DataError, match=r"^the validation part has no face of 32 px or more: [^\n]*\.$"):
        held_out_of([(empty_scene_of(), rows)])


def test_too_few_landmarks_say_nothing_of_how_faces_are_boxed(astronaut):
    scene = portrait_scene_of(astronaut)
    assert box_fit([scene] * (MIN_TO_FIT - 1)) is None
    assert box_fit([]) is None
    fit = box_fit([scene] * MIN_TO_FIT)
    assert fit.box(scene.landmarks[0]) == pytest.approx(np.array(BOX), abs=0.5)


def test_portraits_are_bare_ones_and_no_more_than_wanted():
    rows = [row_of(Path(f"{i}.png"), None, mask=i % 3, suspect=i == 2) for i in range(30)]
    picked = picked_portraits(rows, 4, seed=1)
    assert len(picked) == 4
    assert all(row.mask == 2 and not row.suspect for row in picked)
    assert picked == picked_portraits(rows, 4, seed=1)
    assert picked != picked_portraits(rows, 4, seed=2)
    assert len(picked_portraits(rows, 100, seed=1)) == 9
    assert picked_portraits(rows, 0, seed=1) == []


def test_portraits_whose_face_was_not_found_are_left_out(pictures):
    found = np.array([[*BOX, 0.9, *np.array(LANDMARKS).flatten()]], np.float32)
    teaching = Teaching({str(pictures[0]): found, str(pictures[1]): NOTHING_FOUND})
    scenes = portrait_scenes([row_of(path, None) for path in pictures], teaching, None, nothing)
    assert [scene.boxes.tolist() for scene in scenes] == [[list(BOX)]]


def test_pictures_without_faces_that_cannot_be_read_are_told(pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    problems = []
    scenes = empty_scenes([pictures[0], broken], problems, nothing)
    assert len(scenes) == 1
    assert [problem.where for problem in problems] == [str(broken)]


def test_copies_differ_and_are_the_same_for_the_same_seed(astronaut):
    scenes = [portrait_scene_of(astronaut), portrait_scene_of(astronaut, mask=0)]
    first, again = (dressed_scenes(scenes, 2, 3, nothing) for _ in range(2))
    assert len(first) == 2, "two of the bare face, none of the masked one"
    assert not np.array_equal(first[0].image, first[1].image)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))


def test_other_pictures_have_another_fingerprint(astronaut):
    material = Material([portrait_scene_of(astronaut)], [], [], [], [])
    assert material.fingerprint == Material([portrait_scene_of(astronaut)], [], [], [], []).fingerprint
    for other in (
        replace(material, scenes=[portrait_scene_of(astronaut[::-1])]),
        replace(material, scenes=[portrait_scene_of(astronaut, ignored=True)]),
        replace(material, scenes=[], portraits=material.scenes),
        replace(material, empty=[empty_scene_of()]),
    ):
        assert other.fingerprint != material.fingerprint


# Batches


def test_batches_are_cut_from_all_kinds_of_pictures(astronaut):
    scene, dark = portrait_scene_of(astronaut), empty_scene_of()
    material = Material([scene], [], [scene], [], [dark])
    mined = [np.zeros((0, 5), np.float32), np.array([[10, 10, 60, 60, 0.9]], np.float32)]
    assert material.mined == [scene, dark]
    for network, size in (("rnet", 24), ("onet", 48)):
        batch = crop_batch(material, mined, 8, network, np.random.default_rng(0))
        assert batch.pixels.shape[2:] == (size, size)
        assert {0.0, 1.0} <= set(batch.faces.tolist())
    assert len(window_batch(material, 5, np.random.default_rng(0)).pixels) == 5
