"""Looks and views: what cameras do to a scene, and where its faces then lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gatecam.training.detector.augment import COVERED_DEPTHS, GREY, View, covered, covered_some, look, turn
from gatecam.training.detector.scenes import Scene


def marked(side: int = 200) -> Scene:
    """A black picture whose landmarks are bright squares of 9 px."""
    image = np.zeros((side, side, 3), np.uint8)
    points = np.array([[70, 80], [110, 80], [90, 100], [75, 120], [105, 120]], np.float32)
    for i, (x, y) in enumerate(points.astype(int)):
        image[y - 4 : y + 5, x - 4 : x + 5] = 255 - 20 * i
    box = np.array([[50, 60, 130, 140]], np.float32)
    return Scene(image, box, points[None], np.array([2]), box + 5)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 0.0), (1.5, 15.0), (0.5, -20.0)])
def test_landmarks_stay_on_what_they_mark(scale, degrees, flip):
    scene = marked()
    cut = View(np.array([90.0, 95.0]), scale, 160, degrees, flip).cut(scene)
    assert cut.image.shape == (160, 160, 3)
    order = [1, 0, 2, 4, 3] if flip else range(5)
    for (x, y), i in zip(cut.landmarks[0], order, strict=True):
        around = cut.image[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
        assert around.mean() == pytest.approx(255 - 20 * i, abs=40)
    assert cut.landmarks[0, 0, 0] < cut.landmarks[0, 1, 0], "the left eye of the picture comes first"


def test_boxes_and_ignored_ones_move_with_the_picture():
    cut = View(np.array([90.0, 100.0]), 2.0, 200).cut(marked())
    assert cut.boxes[0].tolist() == [20, 20, 180, 180]
    assert cut.ignored[0].tolist() == [30, 30, 190, 190]


def test_beyond_the_scene_lies_grey():
    cut = View(np.array([0.0, 0.0]), 1.0, 100).cut(marked())
    assert (cut.image[:40, :40] == GREY).all()
    far = View(np.array([-900.0, -900.0]), 1.0, 100).cut(marked())
    assert (far.image == GREY).all()


def test_a_view_that_shrinks_much_skips_no_pixels():
    scene = marked()
    stripes = np.zeros_like(scene.image)
    stripes[:, ::2] = 255
    cut = View(np.array([100.0, 100.0]), 0.25, 40).cut(replace(scene, image=stripes))
    assert np.abs(cut.image[8:-8, 8:-8].astype(int) - 127).max() < 20


def test_a_look_is_the_same_for_the_same_chance_and_leaves_the_scene_alone(astronaut):
    before = astronaut.copy()
    for seed in range(12):
        first, second = (look(astronaut[:96, 160:256], np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(first, second)
        assert (first.shape, first.dtype) == ((96, 96, 3), np.uint8)
    others = [look(astronaut[:96, 160:256], np.random.default_rng(seed)) for seed in range(4)]
    assert len({other.tobytes() for other in others}) == 4
    assert np.array_equal(before, astronaut)


def test_most_scenes_are_not_turned_and_none_by_much():
    rng = np.random.default_rng(0)
    turns = np.array([turn(rng) for _ in range(400)])
    assert 0.5 < (turns == 0).mean() < 0.7
    assert np.abs(turns).max() <= 20


def one_face(image: np.ndarray, corners: tuple[float, ...]) -> Scene:
    nowhere = np.full((1, 5, 2), np.nan, np.float32)
    box = np.array([corners], np.float32)
    return Scene(image, box, nowhere, np.array([2]), np.zeros((0, 4), np.float32))


def two_colours() -> Scene:
    """A picture that is blue, with a red face."""
    image = np.full((300, 300, 3), (0, 0, 255), np.uint8)
    image[100:160, 100:160] = (255, 0, 0)
    return one_face(image, (100, 100, 160, 160))


def test_a_thing_hides_a_part_of_the_face_and_shows_no_face_itself():
    white = one_face(np.full((200, 200, 3), 255, np.uint8), (60, 60, 140, 140))
    parts = []
    for seed in range(60):
        hidden = covered(white, two_colours(), np.random.default_rng(seed))
        assert hidden.boxes.tolist() == white.boxes.tolist()
        assert not ((hidden.image[..., 0] > 200) & (hidden.image[..., 2] < 100)).any(), "red is the face"
        parts.append(float((hidden.image[60:140, 60:140, 0] < 128).mean()))
    assert np.mean([part > 0 for part in parts]) > 0.8
    assert max(parts) <= COVERED_DEPTHS[1] + 0.02


def test_nothing_is_hidden_where_there_is_no_face_or_nothing_to_hide_it_with():
    rng = np.random.default_rng(0)
    face = two_colours()
    empty = replace(face, boxes=np.zeros((0, 4), np.float32))
    beyond_the_edge = one_face(np.full((300, 300, 3), GREY[0], np.uint8), (100, 100, 160, 160))
    filled = one_face(face.image, (0, 0, 300, 300))
    assert covered(empty, face, rng) is empty
    for source in (empty, beyond_the_edge, filled):
        assert covered(face, source, rng) is face


def test_only_some_faces_of_a_batch_are_hidden():
    face = two_colours()
    shown = covered_some([face] * 60, np.random.default_rng(0))
    assert 10 <= sum(scene is not face for scene in shown) <= 35
