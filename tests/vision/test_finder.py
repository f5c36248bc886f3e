"""The search for faces to blur: smaller than what is judged, outside the region, at any width."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gatecam.app import build_finder
from gatecam.ports import FaceFinder
from gatecam.settings.schema import Config, DetectorConfig
from gatecam.types import Image

FACE = (222.0, 120.0)  # its middle in the portrait


def placed(astronaut: Image, face_px: float, x: int, y: int, size=(640, 480)) -> Image:
    """The portrait, so large that its face has a side, somewhere in a grey picture."""
    scale = face_px / 100
    small = cv2.resize(astronaut[:300], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.full((size[1], size[0], 3), 128, np.uint8)
    picture[y : y + small.shape[0], x : x + small.shape[1]] = small
    return picture


@pytest.fixture(scope="module", params=["cpu", "auto"])
def finder_beside_a_region(request) -> FaceFinder:
    return build_finder(Config(device=request.param, detector=DetectorConfig(region=(0.8, 0.8, 1.0, 1.0))))


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return build_finder(Config())


@pytest.mark.parametrize("face_px", [16, 24, 60, 120])
def test_small_and_large_faces_are_found_also_outside_the_region(finder_beside_a_region, astronaut, face_px):
    picture = placed(astronaut, face_px, 20, 30)
    x, y = 20 + FACE[0] * face_px / 100, 30 + FACE[1] * face_px / 100
    boxes = finder_beside_a_region.find(picture)
    assert any(box.x1 < x < box.x2 and box.y1 < y < box.y2 for box in boxes)
    assert all(box.width < 3 * face_px for box in boxes if box.x1 < x < box.x2)


def test_a_wide_picture_is_searched_smaller_and_told_in_its_own_pixels(finder, astronaut):
    picture = placed(astronaut, 120, 900, 300, (1920, 1080))
    x, y = 900 + FACE[0] * 1.2, 300 + FACE[1] * 1.2
    (box, *_) = [one for one in finder.find(picture, largest_px=640) if one.x1 < x < one.x2]
    assert box.y1 < y < box.y2
    assert 80 < box.width < 200


def test_an_empty_picture_has_none(finder):
    assert finder.find(np.full((240, 320, 3), 90, np.uint8)) == []
