"""Windows: what is cut out of a frame, and boxes that come back to where they were."""

from __future__ import annotations

import numpy as np
import pytest

from gatecam.types import Box, Detection
from gatecam.vision.windows import GRID_PX, Window, window_of

FRAME = Box(0, 0, 640, 480)


def test_without_hints_a_window_is_the_region():
    assert window_of(Box(100, 50, 500, 400), None) == Window(100, 50, 500, 400)


def test_a_window_reaches_one_side_of_the_largest_hint_beyond_all_hints():
    window = window_of(FRAME, [Box(300, 200, 360, 280), Box(330, 210, 340, 220)])
    assert window == Window(192, 96, 440, 360)  # 300 - 80 and 200 - 80, rounded down to the grid


@pytest.mark.parametrize("hint", [Box(-40, -30, 20, 40), Box(600, 450, 700, 520), Box(900, 900, 950, 950)])
def test_a_window_stays_within_its_region_and_is_never_empty(hint):
    region = Box(64, 40, 600, 440)
    window = window_of(region, [hint])
    assert region.x1 <= window.x1 < window.x2 <= region.x2
    assert region.y1 <= window.y1 < window.y2 <= region.y2
    assert (window.x1 - 64) % GRID_PX == (window.y1 - 40) % GRID_PX == 0


def test_a_detection_comes_back_to_where_it_was():
    window = Window(32, 64, 320, 240)
    points = np.arange(10, dtype=np.float32).reshape(5, 2)
    inside = window.inside(Box(50, 90, 80, 130))
    assert inside == Box(18, 26, 48, 66)
    back = window.outside(Detection(inside, 0.9, points))
    assert back.box == Box(50, 90, 80, 130)
    assert np.array_equal(back.landmarks, points + np.array([32, 64], np.float32))
    assert window.outside(Detection(inside, 0.9, None)).landmarks is None


def test_a_cut_shares_the_memory_of_the_image():
    image = np.arange(100 * 120 * 3, dtype=np.uint8).reshape(100, 120, 3)
    cut = Window(10, 20, 50, 90).cut(image)
    assert cut.shape == (70, 40, 3)
    assert np.shares_memory(cut, image)
