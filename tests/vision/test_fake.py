"""The fake analyzer: what hints let it find."""

from __future__ import annotations

import numpy as np
import pytest

from gatecam.types import Box, Image
from gatecam.vision.fake import FakeAnalyzer

NEAR, FAR = Box(90, 90, 130, 130), Box(300, 300, 340, 340)


@pytest.fixture
def images() -> list[Image]:
    return [np.zeros((8, 8, 3), np.uint8) for _ in range(3)]


def test_with_hints_only_what_they_touch_is_found(make_face, images):
    left, right = make_face(100), make_face(320, 320)
    fake = FakeAnalyzer([[left, right]] * 3)
    assert fake.analyze(images, [[NEAR], [NEAR, FAR], []]) == [[left], [left, right], []]
    assert fake.hints == [[NEAR], [NEAR, FAR], []]


def test_an_image_searched_again_whole_shows_the_same_faces(make_face, images):
    one, two = make_face(), make_face()
    fake = FakeAnalyzer([[one], [two]])
    assert fake.analyze(images[:1], [[FAR]]) == [[]]
    assert fake.analyze(images[:1]) == [[one]]
    assert fake.analyze(images[:1]) == [[two]]
