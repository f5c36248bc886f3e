"""All that the detector learns from: rows become scenes, and what is held out becomes truths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.errors import DataError
from gatecam.training.data.rows import Row
from gatecam.training.detector.batches import crop_batch, window_batch
from gatecam.training.detector.pictures import (
    Material,
    chances_of,
    dressed_scenes,
    empty_scenes,
    held_out_of,
    scenes_of,
    truth_of,
)
from gatecam.types import Box
from tests.training.portrait_scenes import BOX, empty_scene_of, portrait_scene_of


def nothing(done: int, total: int) -> None:
    """Nobody looks at the progress."""


def row_of(image: Path, box: tuple[float, ...], mask: int = 2, suspect: bool = False) -> Row:
    return Row(image, Box(*box), mask, -1, -1, suspect, image.stem)


@pytest.fixture
def pictures(astronaut, tmp_path) -> list[Path]:
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        PIL.Image.fromarray(astronaut).save(path)
    return paths


def test_rows_of_one_picture_are_one_scene_and_unread_pictures_are_told(pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    rows = [row_of(pictures[0], BOX), row_of(broken, BOX), row_of(pictures[0], (300, 300, 360, 370))]
    problems = []
    ((scene, of_scene),) = scenes_of(rows, problems, nothing)
    assert len(scene.boxes) == 2
    assert of_scene == [rows[0], rows[2]]
    assert [problem.where for problem in problems] == [str(broken)]


def test_a_box_outside_of_the_picture_is_told_and_teaches_nothing(pictures):
    problems = []
    rows = [row_of(pictures[0], BOX), row_of(pictures[0], (600, 100, 680, 190))]
    ((scene, _),) = scenes_of(rows, problems, nothing)
    assert len(scene.boxes) == len(scene.landmarks) == len(scene.masks) == 1
    assert [problem.what for problem in problems] == ["box lies outside the picture"]


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


def test_portraits_of_small_groups_are_chosen_more_often_than_their_number_says():
    chances = chances_of(["a"] * 100 + ["b"] * 4)
    assert chances.sum() == pytest.approx(1)
    assert chances[:100].sum() == pytest.approx(10 / 12)
    assert chances[100] == pytest.approx(5 * chances[0])


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
        replace(material, chances=np.ones(1)),
    ):
        assert other.fingerprint != material.fingerprint


# Batches


def test_batches_are_cut_from_all_kinds_of_pictures(astronaut):
    scene, dark = portrait_scene_of(astronaut), empty_scene_of()
    material = Material([scene], [], [scene], [], [dark])
    nothing_mined = np.zeros((0, 5), np.float32)
    mined = [nothing_mined, np.array([[10, 10, 60, 60, 0.9]], np.float32), nothing_mined]
    assert material.mined == [scene, dark, scene]
    for network, size in (("rnet", 24), ("onet", 48)):
        batch = crop_batch(material, mined, 8, network, np.random.default_rng(0))
        assert batch.pixels.shape[2:] == (size, size)
        assert {0.0, 1.0} <= set(batch.faces.tolist())
    assert len(window_batch(material, 5, np.random.default_rng(0)).pixels) == 5
