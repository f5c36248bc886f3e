"""What holds now: how many people there are and whom the screen means, told only when it changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatecam.people.addressee import Addressee
from gatecam.people.presence import Presences
from gatecam.types import CameraCondition, CameraState, Frame, Presence, Step, Track, Verdict

SEES = CameraState(CameraCondition.OPEN, "", 0.0)
IMAGE = np.zeros((4, 4, 3), np.uint8)


def step(*tracks: Track, camera: str = "gate") -> Step:
    return Step(Frame(camera, 0, 1.0, IMAGE), (), tracks, (), Addressee().of(tracks))


def test_observers_are_told_what_changes_and_nothing_else(make_track):
    told: list[Presence] = []
    presences = Presences([told.append])
    bare, right = make_track(1, Verdict.NONE), make_track(1, Verdict.CORRECT)
    for tracks in ([], [], [bare], [bare], [right], []):
        presences.note([step(*tracks)], {"gate": SEES})
    assert told == [
        Presence("gate"),
        Presence("gate", 1, Verdict.NONE, track_id=1),
        Presence("gate", 1, Verdict.CORRECT, track_id=1),
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
    assert told == [Presence("gate", blindness="dark"), Presence("gate", 1, Verdict.NONE, track_id=1)]


def test_a_camera_that_is_opened_again_with_other_settings_shows_nobody_until_it_sees(make_track):
    told: list[Presence] = []
    presences = Presences([told.append])
    opening = CameraState(CameraCondition.OPENING, "", 0.0)
    presences.note([], {"gate": opening})
    presences.note([step(make_track(1))], {"gate": SEES})
    presences.note([], {"gate": opening}, {"gate": "late"})
    assert told == [Presence("gate", 1, Verdict.NONE, track_id=1), Presence("gate", slowness="late")]


def test_pictures_are_not_counted_and_another_person_meant_is_news(make_track):
    told: list[Presence] = []
    presences = Presences([told.append])
    picture = replace(make_track(9, side=200), is_picture=True)
    for tracks in ([picture], [picture, make_track(1)], [make_track(2), picture]):
        presences.note([step(*tracks)], {"gate": SEES})
    assert [(presence.people, presence.track_id) for presence in told] == [(0, 0), (1, 1), (1, 2)]
    assert told[-1].box == make_track(2).box
