"""What a face tells of its picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gatecam.training.drawing.head import Pose
from gatecam.training.drawing.light import Light
from gatecam.types import Floats, Image

LANDMARKS = np.array([[205, 101], [247, 103], [226, 130], [202, 140], [245, 142]], np.float32)


def light_of(image: Image | Floats) -> Light:
    return Light.of(np.clip(image, 0, 255).astype(np.uint8), Pose.of(LANDMARKS))


def test_light_from_one_side_is_seen(astronaut):
    ramp = np.linspace(2.2, 0, 512, dtype=np.float32)[None, :, None]
    from_left, from_right = light_of(astronaut * ramp), light_of(astronaut * ramp[:, ::-1])
    assert from_left.slope[0] < -0.1
    assert from_right.slope[0] > from_left.slope[0] + 0.2


def test_a_cloth_is_darker_in_the_dark(astronaut):
    assert light_of(astronaut * 0.3).white < 0.5 * light_of(astronaut).white


def test_the_colour_of_the_light_falls_on_cloth(astronaut):
    cloth = np.array([150, 150, 150], np.float32)
    warm = light_of(astronaut * np.array([1.1, 0.9, 0.6])).on(cloth)
    plain = light_of(astronaut).on(cloth)
    assert warm[2] / warm[0] < 0.9 * plain[2] / plain[0]


@pytest.mark.parametrize("tint", [(1, 1, 1), (1.0, 0.85, 0.65)])
def test_gray_and_sepia_pictures_show_no_colours(astronaut, tint):
    gray = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[..., None] * np.array(tint)
    light = light_of(gray)
    assert light.gray
    lit = light.on(np.array([[60, 90, 200], [200, 90, 60]], np.float32))
    ratio = lit / lit[:, :1]
    assert np.abs(ratio[0] - ratio[1]).max() < 0.05
    assert not light_of(astronaut).gray


def test_blur_grows_with_the_blur_of_the_picture(astronaut):
    found = [light_of(cv2.GaussianBlur(astronaut, (0, 0), sigma)).blur_px for sigma in (0.1, 1.0, 2.0, 3.0)]
    assert found == sorted(found)
    assert found[2] == pytest.approx(2, abs=0.8)


def test_noise_grows_with_the_noise_of_the_picture(astronaut):
    rng = np.random.default_rng(0)
    found = [light_of(astronaut + rng.normal(0, sigma, astronaut.shape)).noise for sigma in (0, 4, 8)]
    assert found == sorted(found)
    assert found[1] > found[0] + 1


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_pictures_give_finite_light(level):
    light = light_of(np.full((300, 300, 3), level))
    assert np.isfinite([light.white, *light.cast, *light.slope, light.blur_px, light.noise]).all()
