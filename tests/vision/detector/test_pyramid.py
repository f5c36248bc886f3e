"""The pyramid: levels and crops that skip no pixels, and levels on a sheet."""

from __future__ import annotations

import numpy as np
import pytest

from gatecam.types import Image
from gatecam.vision.detector.pyramid import GREY, SMALLEST_LEVEL_PX, Picture, sheet_places


def ramp(height: int, width: int) -> Image:
    """Red grows to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 200 / width, y * 200 / height, np.full(x.shape, 90.0)], 2).astype(np.uint8)


def cut(image: Image, *square: float, size: int = 24) -> np.ndarray:
    out = np.zeros((size, size, 3), np.uint8)
    Picture(image).cut(np.array(square, np.float32), out)
    return out.astype(float)


def test_a_level_is_the_frame_at_its_scale():
    level = Picture(ramp(120, 200)).level(0.37, (44, 74)).astype(float)
    assert level.shape == (44, 74, 3)
    assert np.diff(level[22, :, 0]).min() >= 0
    assert level[5, 36, 0] == pytest.approx(100, abs=3)
    assert level[21, 5, 1] == pytest.approx(100, abs=4)


def test_shrinking_skips_no_pixels():
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    level = Picture(stripes).level(0.2, (26, 26)).astype(float)
    assert np.abs(level - 127)[2:-2, 2:-2].max() < 12
    assert np.abs(cut(stripes, 10, 10, 106, 106) - 127).max() < 12


@pytest.mark.parametrize("side", [20.0, 24.0, 61.0, 100.0])
def test_a_crop_is_its_square_at_any_size(side):
    crop = cut(ramp(120, 200), 40, 10, 40 + side, 10 + side)
    step = (np.arange(24) + 0.5) / 24 * side
    assert np.abs(crop[..., 0] - (40 + step - 0.5)).max() < 2.5
    assert np.abs(crop[..., 1] - ((10 + step) * 200 / 120 - 0.5)[:, None]).max() < 3.5
    assert np.abs(crop[..., 2] - 90).max() <= 1


def test_beyond_the_edge_lies_grey():
    white = np.full((60, 60, 3), 255, np.uint8)
    crop = cut(white, -24, -24, 24, 24)
    assert (crop[:11] == GREY).all()
    assert (crop[:, :11] == GREY).all()
    assert (crop[13:, 13:] > 240).all()
    assert (cut(white, 5e5, 500, 5e5 + 20, 520) == GREY).all()


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (100, 37), (12, 12)])
@pytest.mark.parametrize("scale", [0.5, 0.31, 1.0])
def test_levels_go_down_by_halves_and_do_not_touch_on_the_sheet(size, scale):
    places, height, width = sheet_places(*size, scale)
    if min(round(side * scale) for side in size) < SMALLEST_LEVEL_PX:
        assert (places, height, width) == ([], 0, 0)
        return
    assert (height % 8, width % 8) == (0, 0)
    taken = np.zeros((height, width), int)
    for i, place in enumerate(places):
        assert (place.x % 8, place.y % 8) == (0, 0)
        assert place.width == round(size[1] * scale / 2**i)
        assert place.scale == pytest.approx(place.width / size[1])
        assert place.scale_down == pytest.approx(place.height / size[0])
        around = taken[
            max(0, place.y - 16) : place.y + place.height, max(0, place.x - 16) : place.x + place.width
        ]
        assert not around.any()
        taken[place.y : place.y + place.height, place.x : place.x + place.width] = 1
    assert min(places[-1].width, places[-1].height) < 2 * SMALLEST_LEVEL_PX + 1


def test_a_frame_of_a_small_room_and_of_a_large_one_cost_what_their_pixels_cost():
    places, height, width = sheet_places(720, 1280, 0.5)
    assert height * width < 1.7 * places[0].width * places[0].height
