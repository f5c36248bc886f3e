"""What holds now: the nearest person's verdict, without taking turns, and told only when it changes."""

from __future__ import annotations

import numpy as np

from gatecam.people.presence import Nearest, Presences
from gatecam.types import CameraCondition, CameraState, Frame, Presence, Step, Track, Verdict

SEES = CameraState(CameraCondition.OPEN, "", 0.0)
IMAGE = np.zeros((4, 4, 3), np.uint8)


def step(*tracks: Track, camera: str = "gate") -> Step:
    return Step(Frame(camera, 0, 1.0, IMAGE), (), tracks, ())


def test_the_nearest_has_the_largest_face_and_stays_it_until_another_is_clearly_larger(make_track):
    nearest = Nearest()
    assert nearest.of([]) is None
    small, large = make_track(1, side=50), make_track(2, side=80)
    assert nearest.of([small, large]) is large
    close = make_track(1, side=85)
    assert nearest.of([close, large]) is large
    closer = make_track(1, side=95)
    assert nearest.of([closer, large]) is closer
    assert nearest.of([large]) is large


def test_observers_are_told_what_changes_and_nothing_else(make_track):
    told: list[Presence] = []
    presences = Presences([told.append])
    bare, right = make_track(1, Verdict.NONE), make_track(1, Verdict.CORRECT)
    for tracks in ([], [], [bare], [bare], [right], []):
        presences.note([step(*tracks)], {"gate": SEES})
    assert told == [
        Presence("gate"),
        Presence("gate", 1, Verdict.NONE),
        Presence("gate", 1, Verdict.CORRECT),
        Presence("gate"),
    ]


def test_observers_are_told_which_camera_is_judged_too_slowly(make_track):
    told: list[Presence] = []
    presences = Presences([told.append])
    for slow in ({}, {"gate": "late"}, {"yard": "late"}):
        presences.note([step(make_track(1))], {"gate": SEES}, slow)
    assert [presence.slowness for presence in told] == ["", "late", ""]


def test_a_camera_that_does_not_see_shows_nobody_but_why(make_track):
    told: list[Presence] = []
    presences = Presences([told.append])
    dark = CameraState(CameraCondition.BLIND, "dark", 0.0)
    presences.note([step(make_track(1))], {"gate": dark, "yard": SEES})
    presences.note([step(make_track(1))], {"gate": SEES})
    assert told == [Presence("gate", blindness="dark"), Presence("gate", 1, Verdict.NONE)]
