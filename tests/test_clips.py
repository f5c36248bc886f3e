"""The clips that the project draws itself: alike every time, of the asked make, and seen as meant."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from gatecam.capture.video import VideoFile
from gatecam.settings.schema import DetectorConfig
from gatecam.training.drawing import Wear
from gatecam.types import Detection, Image
from gatecam.vision.detector.stock import StockDetector
from tests.clips import (
    DEMO_S,
    NEAR_FACE_PX,
    Look,
    Person,
    Waypoint,
    draw_walk,
    visitor,
)


@pytest.fixture(scope="module")
def detector() -> StockDetector:
    return StockDetector(DetectorConfig(), torch.device("cpu"))


def faces(detector: StockDetector, images: Iterable[Image]) -> list[list[Detection]]:
    return detector.detect(list(images))


def standing(x: float, look: Look = "bare", face_px: float = NEAR_FACE_PX) -> Person:
    return Person((Waypoint(0, x, face_px), Waypoint(1, x, face_px)), ((0, look),))


def test_a_clip_is_the_same_every_time() -> None:
    first, second = (list(draw_walk([visitor()], DEMO_S, (160, 120), fps=2)) for _ in range(2))
    assert np.array_equal(first, second)


def test_every_picture_of_a_clip_differs_from_the_one_before() -> None:
    clip = list(draw_walk([visitor()], 2.0, (160, 120), fps=10))
    assert not any(np.array_equal(a, b) for a, b in pairwise(clip))


@pytest.mark.parametrize(
    ("size", "fps", "length_s", "count"),
    [
        ((640, 480), 30.0, 0.2, 6),
        ((270, 480), 15.0, 1.0, 15),
        ((321, 181), 29.97, 0.5, 15),
        ((64, 48), 5, 2, 10),
    ],
)
def test_a_clip_has_the_asked_size_and_length(
    size: tuple[int, int], fps: float, length_s: float, count: int
) -> None:
    clip = list(draw_walk([visitor()], length_s, size, fps))
    assert len(clip) == count
    assert {(image.shape, image.dtype.name) for image in clip} == {((size[1], size[0], 3), "uint8")}


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1280, 720)])
def test_no_face_is_found_in_the_empty_entrance(detector: StockDetector, size: tuple[int, int]) -> None:
    assert faces(detector, draw_walk([], 1.0, size, fps=1)) == [[]]


@pytest.mark.parametrize("look", ["bare", "hand", *Wear])
def test_one_face_is_found_where_a_person_stands(detector: StockDetector, look: Look) -> None:
    ((face,),) = faces(detector, draw_walk([standing(0.3, look)], 1.0, fps=1))
    assert face.box.center[0] == pytest.approx(0.3 * 640, abs=15)
    assert face.box.width == pytest.approx(NEAR_FACE_PX, rel=0.25)


def test_looks_differ_in_the_face_alone() -> None:
    bare, masked = (next(draw_walk([standing(0.5, look)], 1.0)) for look in ("bare", Wear.RIGHT))
    rows, columns = np.nonzero((bare != masked).any(axis=2))
    assert 140 < rows.min() < rows.max() < 300
    assert 210 < columns.min() < columns.max() < 420


def test_as_many_faces_are_found_as_people_stand_there(detector: StockDetector) -> None:
    people = [standing(x, face_px=70) for x in (0.2, 0.5, 0.8)]
    ((*found,),) = faces(detector, draw_walk(people, 1.0, fps=1))
    assert sorted(round(face.box.center[0] / 640, 1) for face in found) == [0.2, 0.5, 0.8]


@pytest.mark.parametrize("nearer_first", [True, False])
def test_who_is_nearer_hides_the_others(nearer_first: bool) -> None:
    near, far = standing(0.5, Wear.RIGHT), standing(0.5, face_px=60)
    both = next(draw_walk([near, far] if nearer_first else [far, near], 1.0))
    alone = next(draw_walk([near], 1.0))
    face = np.s_[120:240, 270:370]
    assert np.array_equal(both[face], alone[face])


def test_one_face_is_found_throughout_the_demo_until_the_person_walks_off(detector: StockDetector) -> None:
    fps = 2
    found = faces(detector, draw_walk([visitor()], DEMO_S, fps=fps))
    counts = [len(here) for here in found]
    assert counts[3:22] == [1] * 19  # from 1.5 s, when the face has its 40 px, until 11 s
    assert counts[-1] == 0
    widths = [here[0].box.width for here in found[3:7]]
    assert widths == sorted(widths)


@pytest.mark.slow
def test_the_demo_is_written_as_twelve_seconds_of_video(demo: Path) -> None:
    with VideoFile(demo) as frames:
        last = None
        for last in frames:
            assert last.image.shape == (480, 640, 3)
    assert last is not None
    assert (last.index, last.time_s) == (359, pytest.approx(359 / 30, abs=1e-3))
