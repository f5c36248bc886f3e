"""Drawn masks and what is no mask: what they cover and leave, and that any face and picture will do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from gatecam.training.drawing import MAKES, OCCLUDERS, Wear, draw_mask, draw_thing, dress, pick_makes
from gatecam.types import Floats, Image

SKIN = (0, 200, 0)  # a green that no cloth has, so that covered and bare skin are told apart
SURGICAL = MAKES[0]


def picture(height: int = 220, width: int = 200) -> Image:
    """A face without features below hair of another colour, so that the picture is not of one colour."""
    image = np.full((height, width, 3), SKIN, np.uint8)
    image[: int(height * 0.3)] = (160, 60, 170)
    return image


def changed(image: Image, by: int) -> NDArray[np.bool_]:
    """Which pixels (H, W) differ from `picture` by more."""
    return np.asarray(np.abs(image.astype(int) - picture(*image.shape[:2])).max(2) > by)


def change_at(image: Image, landmarks: Floats, a: float, b: float) -> float:
    """How far a place is from `picture`, 0 to 255: `a` eye distances aside, `b` below the eyes."""
    right = landmarks[1] - landmarks[0]
    down = np.array([-right[1], right[0]])
    x, y = (landmarks[:2].mean(0) + a * right + b * down).round().astype(int)
    around = np.s_[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
    return float(np.abs(image[around].astype(int) - picture(*image.shape[:2])[around]).max(2).mean())


NOSE, MOUTH, CHIN, CHEEK_HIGH, EYES, FOREHEAD = (
    (0, 0.55),
    (0, 1.1),
    (0, 1.64),
    (0.3, 0.3),
    (0.5, 0),
    (0, -0.5),
)
COVERS = {
    Wear.RIGHT: [NOSE, MOUTH, CHIN],
    Wear.UNDER_NOSE: [MOUTH, CHIN],
    Wear.NOSE_HALF_OUT: [MOUTH, CHIN],
    Wear.ON_MOUTH: [MOUTH],
    Wear.MOUTH_OUT: [NOSE],
    Wear.UNDER_CHIN: [(0, 1.9)],
    Wear.FROM_EAR: [],
}
LEAVES = {
    Wear.RIGHT: [EYES, FOREHEAD],
    Wear.UNDER_NOSE: [NOSE, CHEEK_HIGH, EYES, FOREHEAD],
    Wear.NOSE_HALF_OUT: [CHEEK_HIGH, EYES, FOREHEAD],
    Wear.ON_MOUTH: [NOSE, CHIN, CHEEK_HIGH, EYES, FOREHEAD],
    Wear.MOUTH_OUT: [MOUTH, CHIN, EYES, FOREHEAD],
    Wear.UNDER_CHIN: [NOSE, MOUTH, CHEEK_HIGH, EYES, FOREHEAD],
    Wear.FROM_EAR: [NOSE, MOUTH, CHIN, CHEEK_HIGH, EYES, FOREHEAD],
}


@pytest.mark.parametrize("wear", Wear)
@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.name)
def test_a_mask_covers_what_its_wear_says_and_leaves_the_rest(frontal, make, wear):
    landmarks = frontal()
    for seed in range(4):
        dressed = draw_mask(picture(), landmarks, make, wear, np.random.default_rng(seed))
        covered = {place: change_at(dressed.image, landmarks, *place) for place in COVERS[wear]}
        left = {place: change_at(dressed.image, landmarks, *place) for place in LEAVES[wear]}
        assert min(covered.values(), default=255) > 40, (seed, covered)
        assert max(left.values()) < 70, (seed, left)  # a mask's shadow may fall there
        assert changed(dressed.image, 40).sum() > 400
        assert dressed.kind == f"{make.name}, {wear}"
        assert dressed.state == (0 if wear is Wear.RIGHT else 1)


@pytest.mark.parametrize("wear", Wear)
def test_nothing_changes_away_from_the_face(frontal, wear):
    for seed in range(6):
        landmarks = frontal(x=300, y=150)
        drawn = draw_mask(picture(500, 600), landmarks, SURGICAL, wear, np.random.default_rng(seed)).image
        differs = changed(drawn, 0)
        assert differs.any()
        assert not differs[:120].any()
        assert not differs[350:].any()
        assert not differs[:, :180].any()
        assert not differs[:, 420:].any()


@pytest.mark.parametrize("state", [0, 1, 2])
def test_the_same_seed_draws_the_same(frontal, state):
    for seed in range(8):
        one, again = (dress(picture(), frontal(), state, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one.image, again.image)
        assert one.kind == again.kind
    other = dress(picture(), frontal(), 0, np.random.default_rng(99)).image
    assert not np.array_equal(dress(picture(), frontal(), 0, np.random.default_rng(1)).image, other)


def test_the_picture_itself_is_not_drawn_on(frontal):
    image = picture()
    image.flags.writeable = False
    for name in OCCLUDERS:
        drawn = draw_thing(image, frontal(), name, np.random.default_rng(0)).image
        assert drawn.shape == image.shape
        assert drawn.dtype == np.uint8
        assert (drawn != image).any(), name
    assert (dress(image, frontal(), 0, np.random.default_rng(0)).image != image).any()


@pytest.mark.parametrize("side", [-1, 1])
def test_a_mask_sits_on_a_face_in_profile(side):
    # The eyes nearly close up and the nose points aside, as MTCNN puts them on a turned head.
    parts = [(-6, 0), (6, 0), (18 * side, 30), (4 * side - 5, 55), (4 * side + 5, 55)]
    landmarks = (np.array(parts) + np.array((100, 80))).astype(np.float32)
    for seed in range(6):
        drawn = draw_mask(picture(), landmarks, SURGICAL, Wear.RIGHT, np.random.default_rng(seed)).image
        covered = changed(drawn, 40)
        x, y = landmarks[3:].mean(0).astype(int)
        assert covered[y - 3 : y + 4, x - 3 : x + 4].mean() > 0.9
        assert covered[:75].sum() == 0
        assert 1500 < covered.sum() < 12_000


def test_the_far_side_of_a_turned_mask_is_the_narrower(frontal):
    landmarks = frontal(x=100) + np.array([(6, 0), (-4, 0), (14, 0), (8, 0), (0, 0)], np.float32)
    for seed in range(6):
        drawn = draw_mask(picture(), landmarks, SURGICAL, Wear.RIGHT, np.random.default_rng(seed)).image
        covered = changed(drawn, 60)[100:140]
        nose = int(landmarks[2, 0])
        near, far = covered[:, :nose].sum(), covered[:, nose:].sum()
        assert far < 0.7 * near


def test_a_mask_turns_with_the_head(frontal):
    upright = frontal(x=110, y=90)
    turn = np.deg2rad(30)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned = ((upright - (110, 90)) @ rotation.T + (110, 90)).astype(np.float32)
    for seed in range(6):
        drawn = draw_mask(picture(), turned, SURGICAL, Wear.UNDER_NOSE, np.random.default_rng(seed)).image
        assert change_at(drawn, turned, *MOUTH) > 40
        assert change_at(drawn, turned, *NOSE) < 70


def test_a_mask_under_the_chin_shows_where_the_picture_ends_at_the_chin(frontal):
    landmarks = frontal(46, 64, 38)  # as UTKFace crops faces
    for seed in range(12):
        make, rng = MAKES[seed % 7], np.random.default_rng(seed)
        drawn = draw_mask(picture(128, 128), landmarks, make, Wear.UNDER_CHIN, rng).image
        assert changed(drawn, 40).sum() > 500
        assert change_at(drawn, landmarks, *MOUTH) < 70


def test_a_wrong_mask_is_always_to_be_seen(frontal):
    landmarks = frontal(46, 56, 38)  # no room for ears or neck
    for seed in range(30):
        drawn = dress(picture(128, 112), landmarks, 1, np.random.default_rng(seed)).image
        assert changed(drawn, 12).sum() > 0.25 * 46**2


def test_wrong_masks_are_worn_as_people_wear_them(frontal):
    kinds = Counter(
        dress(picture(), frontal(), 1, np.random.default_rng(seed)).kind.split(", ")[1] for seed in range(90)
    )
    assert set(kinds) == set(Wear) - {Wear.RIGHT}
    assert kinds[Wear.UNDER_NOSE] + kinds[Wear.UNDER_CHIN] > 45


def test_a_bare_face_stays_bare_or_gets_something_that_is_no_mask(frontal):
    dressed = [dress(picture(), frontal(), 2, np.random.default_rng(seed)) for seed in range(100)]
    kinds = Counter(one.kind for one in dressed)
    assert 16 <= 100 - kinds[""] <= 44
    assert set(kinds) <= {"", *OCCLUDERS} - {"beard"}
    assert all(one.state == 2 for one in dressed)
    assert all(changed(one.image, 0).any() == (one.kind != "") for one in dressed)


def test_a_beard_is_drawn_only_where_it_may_grow(frontal):
    kinds = {
        dress(picture(), frontal(), 2, np.random.default_rng(seed), beard=True).kind for seed in range(100)
    }
    assert "beard" in kinds


@pytest.mark.parametrize("state", [0, 1, 2])
def test_a_face_without_landmarks_cannot_be_dressed(state):
    with pytest.raises(ValueError, match="landmarks: expected finite values, got NaN"):
        dress(picture(), np.full((5, 2), np.nan, np.float32), state, np.random.default_rng(0))


@pytest.mark.parametrize("wear", Wear)
@pytest.mark.parametrize(
    "place", [(0, 0), (199, 0), (0, 219), (199, 219), (-40, 100), (240, 100), (100, -60)]
)
def test_a_face_at_the_edge_of_the_picture_will_do(frontal, wear, place):
    landmarks = frontal(50, *place)
    assert draw_mask(picture(), landmarks, SURGICAL, wear, np.random.default_rng(3)).image.shape == (
        220,
        200,
        3,
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (3, 40), (40, 3), (160, 12)])
def test_tiny_and_thin_pictures_will_do(frontal, size):
    landmarks = frontal(max(1, min(size) / 4), size[1] / 2, size[0] * 0.4)
    for wear in Wear:
        drawn = draw_mask(picture(*size), landmarks, SURGICAL, wear, np.random.default_rng(0))
        assert drawn.image.shape == (*size, 3)
    for name in OCCLUDERS:
        assert draw_thing(picture(*size), landmarks, name, np.random.default_rng(0)).image.shape == (*size, 3)


def test_landmarks_that_fall_together_will_do():
    landmarks = np.full((5, 2), 50, np.float32)
    for wear in Wear:
        draw_mask(picture(), landmarks, SURGICAL, wear, np.random.default_rng(0))


def test_a_large_face_is_drawn_as_a_small_one(frontal):
    faces = (picture(), frontal()), (picture(880, 800), frontal(200, 400, 320))
    small, large = (draw_mask(*face, SURGICAL, Wear.RIGHT, np.random.default_rng(5)).image for face in faces)
    assert np.abs(large[2::4, 2::4].astype(int) - small).mean() < 4


def test_a_mask_in_a_dark_picture_is_darker(frontal):
    bright, dark = picture(), (picture() * 0.2).astype(np.uint8)
    for seed in range(6):
        one, other = (
            draw_mask(image, frontal(), SURGICAL, Wear.RIGHT, np.random.default_rng(seed)).image
            for image in (bright, dark)
        )
        assert other[110:150, 75:125].mean() < 0.6 * one[110:150, 75:125].mean()


def test_a_mask_in_a_gray_picture_is_gray(frontal):
    image = np.repeat(np.random.default_rng(0).integers(90, 170, (220, 200, 1), dtype=np.uint8), 3, 2)
    for seed in range(6):
        drawn = draw_mask(image, frontal(), MAKES[4], Wear.RIGHT, np.random.default_rng(seed)).image.astype(
            int
        )
        assert np.abs(drawn - drawn.mean(2, keepdims=True)).mean() < 2


def test_a_hand_has_the_colour_of_the_skin_and_covers_mouth_or_chin(astronaut):
    landmarks = np.array([[205, 101], [247, 103], [226, 130], [202, 140], [245, 142]], np.float32)
    near_mouth = 0
    for seed in range(12):
        drawn = draw_thing(astronaut, landmarks, "hand", np.random.default_rng(seed)).image
        differs = np.abs(drawn.astype(int) - astronaut).max(2) > 30
        near_mouth += differs[125:180, 190:260].mean() > 0.15
        red, green, blue = np.median(drawn[differs], axis=0)
        assert red > green > blue
    assert near_mouth >= 10


def test_makes_are_different_ones():
    for seed in range(10):
        assert len({make.name for make in pick_makes(5, np.random.default_rng(seed))}) == 5
