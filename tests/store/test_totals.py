"""Gender and age: never of a person, and never of fewer than ten at once."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from gatecam.store.events import Total
from gatecam.store.totals import ClassTotals
from gatecam.types import Box, Detection, Event, EventKind, Face, Frame, Prediction, Step, Track, Verdict

NOON = datetime(2026, 11, 24, 12, 30)
ONE = datetime(2026, 11, 24, 13, 0)
IMAGE = np.zeros((4, 4, 3), np.uint8)


def step(track_id: int, time_s: float, gender: float, age: int, first: bool = False) -> Step:
    """A frame with one person without a mask; `gender` is how female she looks."""
    ages = np.eye(3, dtype=np.float32)[age]
    looks = Prediction(np.array([0, 0, 1], np.float32), np.array([1 - gender, gender], np.float32), ages)
    box = Box(0, 0, 4, 4)
    track = Track(track_id, box, 3, 0.1, Verdict.NONE, (Face(Detection(box, 0.9), looks),))
    told = Event(EventKind.MASK_MISSING, "gate", track_id, Verdict.NONE, time_s, first=first)
    return Step(Frame("gate", 0, time_s, IMAGE), track.faces, (track,), (told,) if first else ())


def come(totals: ClassTotals, people: int, start: int = 0, age: int = 2) -> None:
    for number in range(start, start + people):
        totals.note(step(number, number, 0.9, age))
        totals.note(step(number, number + 0.1, 0.4, age, first=True))  # the mean counts, not the last face
        totals.note(step(number, number + 0.2, 0.4, age))


def test_nothing_is_written_within_the_hour_nor_of_fewer_than_ten():
    totals = ClassTotals(NOON)
    come(totals, 9)
    assert totals.due(NOON) == []
    assert totals.due(ONE) == []


def test_ten_and_more_are_written_whole_at_the_turn_of_the_hour_and_begin_anew():
    totals = ClassTotals(NOON)
    for age in (0, 1):
        come(totals, 5, start=100 + 10 * age, age=age)
    come(totals, 9)
    assert totals.due(ONE) == []
    come(totals, 3, start=9)
    assert totals.due(ONE) == []
    two = ONE.replace(hour=14)
    assert totals.due(two) == [Total("2026-11-24", "gate", 17, 12)]
    come(totals, 9, start=20)
    assert totals.due(two.replace(hour=15)) == []


def test_the_last_hour_of_a_day_counts_for_that_day():
    totals = ClassTotals(NOON.replace(hour=23))
    come(totals, 10)
    come(totals, 10, start=50, age=1)
    midnight = datetime(2026, 11, 25, 0, 0, 30)
    assert {total.day for total in totals.due(midnight)} == {"2026-11-24"}


def test_a_class_of_all_who_came_is_not_written():
    """It would tell the gender and age of each of the events' people."""
    totals = ClassTotals(NOON)
    come(totals, 30)
    come(totals, 9, start=50, age=1)
    assert totals.due(ONE) == []
    come(totals, 1, start=70, age=0)
    assert totals.due(ONE.replace(hour=14)) == [Total("2026-11-24", "gate", 17, 30)]


def test_a_person_who_was_never_judged_is_not_counted():
    totals = ClassTotals(NOON)
    for number in range(20):
        totals.note(step(number, number, 0.9, 2))
    assert totals.due(ONE) == []


def test_probabilities_are_forgotten_after_a_minute():
    totals = ClassTotals(NOON)
    for number in range(1000):
        totals.note(step(number, number, 0.9, 2))
    assert len(totals._sums) <= 62
