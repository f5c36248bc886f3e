"""What is blurred, and from when on: before a face was found, between searches, and until it is long gone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gatecam.pictures.blur import AHEAD_S, Cover, Veil, cover_each, merged, swept
from gatecam.types import Box, Detection, Face, Frame, Prediction, Step
from tests.finder import FakeFinder

FPS = 16
IMAGE = np.zeros((48, 64, 3), np.uint8)
FACE = Box(10, 10, 20, 20)


def step(index: int, faces=(), time_s: float | None = None) -> Step:
    return Step(Frame("gate", index, index / FPS if time_s is None else time_s, IMAGE), tuple(faces), (), ())


def covers(boxes, box: Box) -> bool:
    return any(
        one.x1 <= box.x1 and one.y1 <= box.y1 and one.x2 >= box.x2 and one.y2 >= box.y2 for one in boxes
    )


def test_a_picture_is_known_once_a_later_one_was_searched():
    veil = Veil()
    veil.note(step(0))
    assert veil.boxes(0.0) is None
    assert veil.wants_search(0.0)
    veil.note_search(0.0, [])
    assert veil.boxes(0.0) == ()
    assert not veil.wants_search(0.15)
    assert veil.boxes(0.15) is None
    assert veil.wants_search(0.21)


def test_what_the_pipeline_finds_is_blurred_in_all_pictures_from_a_moment_before():
    finder = FakeFinder()
    cover = Cover[int](finder)
    known = [one for i in range(80) for one in cover.add(step(i, [make(FACE)] if i == 20 else []), i)]
    known += list(cover.rest())
    assert [note for _, note, _ in known] == list(range(80))
    blurred = [note for _, note, boxes in known if covers(boxes, FACE)]
    assert blurred == list(range(20 - math.ceil(AHEAD_S * FPS), 20 + FPS + 1))


def test_of_a_few_steps_each_is_searched_and_blurred_where_the_ones_beside_have_a_face():
    class Sometimes:
        searches = 0

        def find(self, image, largest_px=None) -> list[Box]:
            self.searches += 1
            return [FACE] if self.searches == 4 else []

    finder = Sometimes()
    steps = [(step(i, time_s=0.25 * i), i) for i in range(8)]
    found = list(cover_each(steps, finder))
    assert [note for _, note, _ in found] == list(range(8))
    assert finder.searches == 8
    assert [note for _, note, boxes in found if covers(boxes, FACE)] == [2, 3, 4]
    steps[6] = (step(6, [make(FACE)], time_s=1.5), 6)
    found = list(cover_each(steps, FakeFinder()))
    assert [note for _, note, boxes in found if covers(boxes, FACE)] == [4, 5, 6, 7]  # from 0.4 s before


def make(box: Box) -> Face:
    prediction = Prediction(
        np.array([1, 0, 0], np.float32), np.array([1, 0], np.float32), np.array([1, 0, 0], np.float32)
    )
    return Face(Detection(box, 0.99), prediction)


def test_what_a_search_finds_is_blurred_between_it_and_the_ones_beside():
    finder = FakeFinder()
    cover = Cover[int](finder)
    known = []
    for i in range(40):
        finder.found = [FACE] if finder.searches == 3 else []  # by the fourth search, of frame 12
        known += cover.add(step(i), i)
    known += cover.rest()
    assert [note for _, note, boxes in known if covers(boxes, FACE)] == list(range(9, 16))
    assert finder.searches == 11, "one each 0.25 s, and one of the last frame"


def test_a_face_that_moves_is_blurred_on_all_of_its_way():
    moved = Box(25, 12, 35, 22)
    (hull,) = swept([FACE], [moved])
    assert (hull.x1, hull.y1, hull.x2, hull.y2) == (10, 10, 35, 22)


@pytest.mark.parametrize("other", [Box(60, 10, 70, 20), Box(10, 10, 40, 40)])
def test_faces_that_cannot_be_the_same_are_grown_each(other):
    boxes = swept([FACE], [other])
    assert len(boxes) == 2
    assert covers(boxes, Box(8, 8, 22, 22))
    assert covers(boxes, other)


def test_without_a_finder_nothing_waits_and_nothing_is_blurred():
    cover = Cover[str](None)
    assert [(note, boxes) for _, note, boxes in cover.add(step(0, [make(FACE)]), "a")] == [("a", ())]
    assert list(cover.rest()) == []


@pytest.mark.parametrize("times", [[0, 1, 2, 3], [0, 0, 0], [5, 4, 3, 2], [0, 0.1, 100, 100.1, 3]])
def test_no_picture_is_lost_or_shown_uncovered_whatever_the_times(times):
    finder = FakeFinder()
    finder.found = [FACE]
    cover = Cover[int](finder)
    known = [one for i, time_s in enumerate(times) for one in cover.add(step(i, time_s=time_s), i)]
    known += cover.rest()
    assert [note for _, note, _ in known] == list(range(len(times)))
    assert all(covers(boxes, FACE) for _, _, boxes in known)


def test_nothing_old_is_kept():
    veil = Veil()
    for i in range(10_000):
        veil.note(step(i))
        if veil.wants_search(i / FPS):
            veil.note_search(i / FPS, [FACE])
    assert len(veil._judged) < 40
    assert len(veil._searched) < 12


def test_boxes_of_one_face_become_one_that_covers_all():
    walk = [Box(10 + i, 10, 30 + i, 30) for i in range(40)]
    other = Box(200, 10, 220, 30)
    kept = merged([*walk, other])
    assert len(kept) < 8
    assert all(covers(kept, box) for box in (*walk, other))
    assert merged([]) == []


def test_large_steps_wait_only_until_they_take_much_memory():
    frame = np.broadcast_to(np.zeros(3, np.uint8), (4320, 7680, 3))
    cover = Cover[int](FakeFinder())
    waiting = []
    for index in range(12):  # all within the time that small steps wait
        known = len(list(cover.add(Step(Frame("gate", index, index / 1000, frame), (), (), ()), index)))
        waiting.append((waiting[-1] if waiting else 0) + 1 - known)
    assert max(waiting) == 4
