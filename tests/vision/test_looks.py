"""Colors of clothes and hair around a face, and nothing of the face itself."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gatecam.people.looks import UNLIKE, MeanLooks, unlikeness
from gatecam.types import Box, Image
from gatecam.vision.looks import FACE, looks_of

FACE_BOX = Box(260, 100, 340, 200)


def person(clothes: tuple[int, int, int], face: int = 170, hand: bool = False) -> Image:
    image = np.full((480, 600, 3), 120, np.uint8)
    image[210:, 200:400] = clothes
    image[60:100, 250:350] = (60, 40, 30)
    image[100:200, 260:340] = face
    if hand:
        image[230:330, 270:330] = (220, 170, 140)
    return image


def differ(a: Image, b: Image, same_place: bool = True) -> float:
    unlike = unlikeness(looks_of(a, FACE_BOX), looks_of(b, FACE_BOX), same_place)
    assert unlike is not None
    return unlike


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(person((200, 40, 40)), True, id="nothing changes"),
        pytest.param(person((200, 40, 40), face=250), True, id="a mask goes on"),
        pytest.param(person((200, 40, 40), hand=True), True, id="a hand before the chest"),
        pytest.param((person((200, 40, 40)) * 0.8).astype(np.uint8), True, id="less light"),
        pytest.param(person((40, 40, 200)), False, id="other clothes"),
        pytest.param(person((250, 250, 250)), False, id="white clothes"),
    ],
)
def test_looks_tell_clothes_apart_and_nothing_else(other, same):
    assert (differ(person((200, 40, 40)), other) <= UNLIKE) == same


def test_nothing_of_the_face_is_kept():
    bare, masked = (looks_of(person((200, 40, 40), face), FACE_BOX) for face in (170, 250))
    assert not bare.colors[FACE].any()
    assert np.array_equal(bare.colors[FACE], masked.colors[FACE])


def test_a_face_that_fills_the_picture_has_no_looks_to_compare():
    looks = looks_of(person((200, 40, 40)), Box(0, 0, 600, 480))
    assert unlikeness(looks, looks, True) is None
    assert unlikeness(None, looks, True) is None


def test_mean_looks_follow_a_slow_change():
    mean = MeanLooks()
    for index in range(100):
        mean.add(looks_of(person((200, 40 + index, 40)), FACE_BOX), index / 5)
    assert (unlikeness(mean.looks, looks_of(person((200, 135, 40)), FACE_BOX), True) or 0) < UNLIKE


def test_colors_are_those_of_cie_lab():
    """OpenCV's own conversion is not used, because it delays the first face, but must agree."""
    colors = np.random.default_rng(1).integers(0, 256, (7, 5, 3), np.uint8)
    cell = colors.repeat(20, axis=0).repeat(24, axis=1)  # the box below has one color in each cell
    looks = looks_of(cell, Box(40, 20, 80, 60))
    expected = cv2.cvtColor(colors.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    expected[FACE] = 0.0
    np.testing.assert_allclose(looks.colors, expected, atol=0.6)


def test_the_first_face_does_not_wait_for_a_table_of_opencv(monkeypatch):
    monkeypatch.setattr(cv2, "cvtColor", pytest.fail)
    assert looks_of(person((200, 30, 30)), FACE_BOX).colors.any()
