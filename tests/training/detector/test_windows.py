"""P-Net's windows: each cell says what its level should find."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatecam.training.detector.scenes import Scene
from gatecam.training.detector.windows import (
    CELLS,
    OTHER_SIDES,
    OWN_SIDES,
    WINDOW_PX,
    Sources,
    _targets,
    windows,
)
from gatecam.vision.detector.sizes import CELL_FACE_PX, FACE_PX, STRIDE_PX
from tests.training.portrait_scenes import empty_scene_of, portrait_scene_of


def window_with(side: float, ignored: bool = False, middle: float = WINDOW_PX) -> Scene:
    """A window of a scene with one face, `side` px of the level, in its middle."""
    box = np.array([[middle - side, middle - side, middle + side, middle + side]], np.float32)
    none = box[:0]
    return Scene(
        np.zeros((2 * WINDOW_PX, 2 * WINDOW_PX, 3), np.uint8),
        none if ignored else box,
        np.zeros((0 if ignored else 1, 5, 2), np.float32),
        np.zeros(0 if ignored else 1, np.int64),
        box if ignored else none,
    )


def boxes_of(faces, offsets) -> np.ndarray:
    """What the cells that say face say of its box, (n, 4) px of the level, as P-Net's are decoded."""
    rows, columns = np.nonzero(faces == 1)
    middle = np.stack([columns, rows], 1) * STRIDE_PX + 0.5
    square = np.concatenate([middle - CELL_FACE_PX / 2, middle + CELL_FACE_PX / 2], 1)
    return square + offsets[:, rows, columns].T * CELL_FACE_PX


@pytest.mark.parametrize("side", [FACE_PX, 1.5 * FACE_PX, 2 * FACE_PX, 2.3 * FACE_PX])
def test_cells_around_a_face_of_the_level_say_where_it_is(side):
    faces, offsets = _targets(window_with(side))
    found = boxes_of(faces, offsets)
    low, high = (WINDOW_PX - side) / 2, (WINDOW_PX + side) / 2
    assert 1 <= len(found) <= 12
    assert found == pytest.approx(np.tile([low, low, high, high], (len(found), 1)), abs=1e-3)
    assert (faces == -1).sum() > len(found), "beside it cells are let alone"
    assert (faces == 0).mean() > 0.6


def test_every_size_is_a_level_s_own_as_levels_halve():
    assert OWN_SIDES[1] / OWN_SIDES[0] > 2


@pytest.mark.parametrize("side", [0.97 * OWN_SIDES[0], 1.1 * OWN_SIDES[1]])
def test_a_face_of_the_next_level_says_nothing_here(side):
    faces, _ = _targets(window_with(side))
    assert not (faces == 1).any()
    assert (faces == -1).any()


@pytest.mark.parametrize("side", [0.9 * OTHER_SIDES[0], 1.1 * OTHER_SIDES[1]])
def test_a_face_far_from_the_level_is_background(side):
    assert (_targets(window_with(side))[0] == 0).all()


def test_an_ignored_face_says_nothing_whatever_its_size():
    for side in (10, 24, 60):
        faces, _ = _targets(window_with(side, ignored=True))
        assert not (faces == 1).any()
        middle = CELLS // 2
        assert (faces[middle - 1 : middle + 1, middle - 1 : middle + 1] == -1).all()


def test_a_batch_is_the_same_for_the_same_chance(astronaut):
    scene = portrait_scene_of(astronaut)
    sources = Sources([scene], lambda: scene, [empty_scene_of()])
    first, again, other = (windows(sources, 6, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.pixels.shape == (6, 3, WINDOW_PX, WINDOW_PX)
    assert first.faces.shape == (6, CELLS, CELLS)
    assert first.boxes.shape == (6, 4, CELLS, CELLS)
    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.faces, again.faces)
    assert not torch.equal(first.pixels, other.pixels)


def test_scenes_and_portraits_show_faces_and_empty_pictures_none(astronaut):
    scene = portrait_scene_of(astronaut)
    rng = np.random.default_rng(0)
    assert (windows(Sources([scene], None, []), 6, rng).faces == 1).any(2).any(1).sum() >= 4
    assert (windows(Sources([scene], lambda: scene, []), 12, rng).faces == 1).any(2).any(1).sum() >= 9
    assert (windows(Sources([], None, [empty_scene_of()]), 3, rng).faces == 0).all()
