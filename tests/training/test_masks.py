"""Drawn masks and hands: what they cover, what they leave, and that any face and picture will do."""

from __future__ import annotations

import numpy as np
import pytest

from gatecam.training.masks import FaceAxes, Wear, draw_hand, draw_mask
from gatecam.types import Floats, Image

SKIN = (0, 200, 0)  # a green that no cloth has, so that covered and bare skin are told apart
SEEDS = range(12)


def picture(height: int = 220, width: int = 200) -> Image:
    return np.full((height, width, 3), SKIN, np.uint8)


def change_at(image: Image, landmarks: Floats, a: float, b: float) -> float:
    """How far the pixels around a place on the face are from skin, 0 to 255."""
    ((x, y),) = FaceAxes.of(landmarks).px([(a, b)]).round().astype(int)
    around = image[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].astype(int)
    return float(np.abs(around - SKIN).max(2).mean())


NOSE, MOUTH, CHIN, CHEEK_HIGH, EYES, FOREHEAD = (0, 0.5), (0, 1), (0, 1.62), (0.3, 0.3), (0.5, 0), (0, -0.5)
COVERS = {
    Wear.RIGHT: [NOSE, MOUTH, CHIN],
    Wear.UNDER_NOSE: [MOUTH, CHIN],
    Wear.NOSE_HALF_OUT: [MOUTH, CHIN],
    Wear.ON_MOUTH: [MOUTH],
    Wear.UNDER_CHIN: [CHIN],
}
LEAVES = {
    Wear.RIGHT: [EYES, FOREHEAD],
    Wear.UNDER_NOSE: [NOSE, CHEEK_HIGH, EYES, FOREHEAD],
    Wear.NOSE_HALF_OUT: [CHEEK_HIGH, EYES, FOREHEAD],
    Wear.ON_MOUTH: [NOSE, CHIN, CHEEK_HIGH, EYES, FOREHEAD],
    Wear.UNDER_CHIN: [NOSE, MOUTH, CHEEK_HIGH, EYES, FOREHEAD],
}


@pytest.mark.parametrize("wear", Wear)
def test_a_mask_covers_what_its_wear_says_and_leaves_the_rest(frontal, wear):
    landmarks = frontal()
    for seed in SEEDS:
        drawn = draw_mask(picture(), landmarks, wear, np.random.default_rng(seed))
        covered = {place: change_at(drawn, landmarks, *place) for place in COVERS[wear]}
        left = {place: change_at(drawn, landmarks, *place) for place in LEAVES[wear]}
        assert min(covered.values()) > 40, (seed, covered)
        assert max(left.values()) < 25, (seed, left)


@pytest.mark.parametrize("wear", Wear)
def test_nothing_changes_away_from_the_face(frontal, wear):
    for seed in SEEDS:
        drawn = draw_mask(picture(300, 400), frontal(x=200, y=100), wear, np.random.default_rng(seed))
        changed = (drawn != SKIN).any(2)
        assert changed.any()
        assert not changed[:75].any()
        assert not changed[280:].any()
        assert not changed[:, :100].any()
        assert not changed[:, 300:].any()


@pytest.mark.parametrize("wear", Wear)
def test_the_same_seed_draws_the_same_and_another_seed_another(frontal, wear):
    draws = [draw_mask(picture(), frontal(), wear, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("draw", [draw_hand, lambda *args: draw_mask(*args[:2], Wear.RIGHT, args[2])])
def test_the_picture_itself_is_not_drawn_on(frontal, draw):
    image = picture()
    image.flags.writeable = False
    drawn = draw(image, frontal(), np.random.default_rng(0))
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (drawn != image).any()


@pytest.mark.parametrize("side", [-1, 1])
def test_a_mask_sits_on_a_face_in_profile(side):
    # The eyes nearly close up and the nose points aside, as MTCNN puts them on a turned head.
    parts = [(-4, 0), (4, 0), (18 * side, 30), (2 * side - 4, 55), (2 * side + 4, 55)]
    landmarks = (np.array(parts) + np.array((100, 80))).astype(np.float32)
    for seed in SEEDS:
        drawn = draw_mask(picture(), landmarks, Wear.RIGHT, np.random.default_rng(seed))
        assert change_at(drawn, landmarks, *MOUTH) > 40
        assert change_at(drawn, landmarks, *FOREHEAD) < 25
        assert 1500 < (np.abs(drawn.astype(int) - SKIN).max(2) > 40).sum() < 12_000


def test_a_mask_turns_with_the_head(frontal):
    upright = frontal(x=110, y=110)
    turn = np.deg2rad(30)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned = ((upright - 110) @ rotation.T + 110).astype(np.float32)
    for seed in SEEDS:
        drawn = draw_mask(picture(), turned, Wear.UNDER_NOSE, np.random.default_rng(seed))
        assert change_at(drawn, turned, *MOUTH) > 40
        assert change_at(drawn, turned, *NOSE) < 25


@pytest.mark.parametrize("wear", Wear)
@pytest.mark.parametrize(
    "place", [(0, 0), (199, 0), (0, 219), (199, 219), (-40, 100), (240, 100), (100, -60)]
)
def test_a_face_at_the_edge_of_the_picture_will_do(frontal, wear, place):
    drawn = draw_mask(picture(), frontal(50, *place), wear, np.random.default_rng(3))
    assert drawn.shape == (220, 200, 3)


def test_what_shows_of_a_face_at_the_edge_is_covered(frontal):
    landmarks = frontal(50, 0, 80)  # the left half of the face lies outside
    drawn = draw_mask(picture(), landmarks, Wear.RIGHT, np.random.default_rng(3))
    assert change_at(drawn, landmarks, 0.2, 1) > 40
    assert not (drawn[:, 120:] != SKIN).any()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (3, 40), (40, 3), (160, 12)])
def test_tiny_and_thin_pictures_will_do(frontal, size):
    for seed in SEEDS:
        for wear in Wear:
            landmarks = frontal(max(1, min(size) / 4), size[1] / 2, size[0] * 0.4)
            assert draw_mask(picture(*size), landmarks, wear, np.random.default_rng(seed)).shape == (*size, 3)
        assert draw_hand(picture(*size), landmarks, np.random.default_rng(seed)).shape == (*size, 3)


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_faces_stay_within_range(frontal, level):
    image = np.full((220, 200, 3), level, np.uint8)
    for seed in SEEDS:
        drawn = draw_mask(image, frontal(), Wear.RIGHT, np.random.default_rng(seed))
        above = drawn[:60]
        assert (above == level).all()


def test_a_mask_in_a_dark_picture_is_darker(frontal):
    bright, dark = picture(), (picture() * 0.2).astype(np.uint8)
    for seed in SEEDS:
        masks = [
            draw_mask(image, frontal(), Wear.RIGHT, np.random.default_rng(seed))[100:150, 75:125].mean()
            for image in (bright, dark)
        ]
        assert masks[1] < 0.8 * masks[0]


def test_a_hand_covers_mouth_or_chin_in_the_colour_of_the_skin(frontal):
    near_mouth = 0
    for seed in range(30):
        drawn = draw_hand(picture(300, 400), frontal(x=200, y=100), np.random.default_rng(seed))
        changed = (drawn != SKIN).any(2)
        assert changed.sum() > 500
        assert not changed[:50].any()
        assert (drawn[..., [0, 2]] == 0).all(), "a hand is of the face's own colour"
        near_mouth += changed[135:215, 150:250].mean() > 0.15
    assert near_mouth >= 25


def test_a_hand_is_the_same_for_the_same_seed(frontal):
    draws = [draw_hand(picture(), frontal(), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
