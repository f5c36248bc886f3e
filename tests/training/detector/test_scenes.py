"""Scenes: what is known of a picture's faces, what is set aside, and what is drawn on copies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.errors import SourceError
from gatecam.training.data.rows import Row
from gatecam.training.detector.scenes import (
    LONGEST_PX,
    dressed_scene,
    empty_scene,
    is_portrait,
    read_scene_picture,
    scene_of,
)
from gatecam.types import Box
from tests.training.portrait_scenes import BOX, LANDMARKS, portrait_scene_of

BARE, CORRECT = 2, 0


def row_of(image: Path, box=BOX, mask: int = BARE, suspect: bool = False, landmarks=None) -> Row:
    return Row(image, Box(*box), mask, -1, -1, suspect, image.name, landmarks=landmarks)


@pytest.fixture
def picture(astronaut, tmp_path) -> Path:
    PIL.Image.fromarray(astronaut).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_scene_has_the_faces_of_all_rows_and_ignores_doubtful_ones(picture):
    elsewhere = (300, 300, 350, 360)
    rows = [row_of(picture, landmarks=LANDMARKS), row_of(picture, elsewhere, CORRECT)]
    scene = scene_of([*rows, row_of(picture, (1, 2, 30, 40), suspect=True)])
    assert scene.boxes.tolist() == [list(BOX), list(elsewhere)]
    assert scene.masks.tolist() == [BARE, CORRECT]
    assert scene.landmarks[0].tolist() == [list(point) for point in LANDMARKS]
    assert np.isnan(scene.landmarks[1]).all()
    assert scene.ignored.tolist() == [[1, 2, 30, 40]]


def test_a_large_picture_is_shrunk_with_all_that_lies_in_it(astronaut, tmp_path):
    PIL.Image.fromarray(astronaut).resize((2 * LONGEST_PX, LONGEST_PX)).save(tmp_path / "b.png")
    known = row_of(tmp_path / "b.png", (100, 200, 300, 400), landmarks=((120, 240),) * 5)
    scene = scene_of([known, row_of(tmp_path / "b.png", (2, 4, 6, 8), suspect=True)])
    assert scene.image.shape == (LONGEST_PX // 2, LONGEST_PX, 3)
    assert scene.boxes.tolist() == [[50, 100, 150, 200]]
    assert scene.landmarks[0].tolist() == [[60, 120]] * 5
    assert scene.ignored.tolist() == [[1, 2, 3, 4]]


def test_a_small_picture_of_one_face_is_a_portrait(astronaut):
    scene = portrait_scene_of(astronaut)
    assert not is_portrait(scene)
    assert is_portrait(replace(scene, image=scene.image[:300, :300]))
    assert not is_portrait(portrait_scene_of(astronaut[:300, :300], ignored=True))


def test_a_picture_without_faces_has_none(picture):
    scene = empty_scene(picture)
    assert (scene.boxes.shape, scene.landmarks.shape, scene.ignored.shape) == ((0, 4), (0, 5, 2), (0, 4))


# Copies with masks


def test_a_mask_is_drawn_over_the_face_and_the_landmarks_stay(astronaut):
    scene = portrait_scene_of(astronaut)
    states = set()
    for seed in range(8):
        dressed = dressed_scene(scene, np.random.default_rng(seed))
        states.add(int(dressed.masks[0]))
        if dressed.masks[0] == CORRECT:
            changed = np.abs(dressed.image.astype(int) - astronaut).max(2) > 12
            assert changed[130:165, 200:252].mean() > 0.6
            assert not changed[400:].any()
        assert dressed.landmarks is scene.landmarks
        assert np.array_equal(dressed.boxes, scene.boxes)
    assert states == {0, 1, 2}
    assert scene.masks.tolist() == [BARE]


def test_nothing_is_drawn_on_masked_faces_and_those_without_landmarks(astronaut):
    rng = np.random.default_rng(0)
    assert dressed_scene(portrait_scene_of(astronaut, CORRECT), rng) is None
    scene = portrait_scene_of(astronaut)
    unknown = replace(scene, landmarks=np.full((1, 5, 2), np.nan, np.float32))
    assert dressed_scene(unknown, rng) is None
    profile = scene.landmarks.copy()
    profile[0, 1] = profile[0, 0] + [4, 0]
    assert dressed_scene(replace(scene, landmarks=profile), rng) is None


def test_a_picture_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(SourceError):
        read_scene_picture(tmp_path / "none.png")
