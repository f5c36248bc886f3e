"""Whom the screen speaks to: whoever must act, the nearest first, and never a picture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatecam.people.addressee import SETTLING_S, Addressee
from gatecam.types import Verdict

NONE, INCORRECT, CORRECT, UNKNOWN = Verdict.NONE, Verdict.INCORRECT, Verdict.CORRECT, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("people", "meant"),  # people as (verdict, side of the face), numbered from 1
    [
        pytest.param([], 0, id="nobody is there"),
        pytest.param([(CORRECT, 50), (CORRECT, 80)], 2, id="the nearest of equals"),
        pytest.param([(CORRECT, 120), (NONE, 50)], 2, id="a bare face far behind a masked one"),
        pytest.param([(CORRECT, 120), (INCORRECT, 50)], 2, id="a mask worn wrong behind one worn right"),
        pytest.param([(INCORRECT, 120), (NONE, 50)], 2, id="no mask before one worn wrong"),
        pytest.param([(NONE, 50), (CORRECT, 60), (NONE, 80)], 3, id="the nearest bare face"),
        pytest.param([(CORRECT, 120), (UNKNOWN, 50)], 2, id="no thanks while one is not recognized"),
        pytest.param([(UNKNOWN, 120), (NONE, 50)], 2, id="a bare face before one not recognized"),
    ],
)
def test_whoever_must_act_comes_first_and_then_the_nearest(make_track, people, meant):
    tracks = [
        replace(make_track(number, verdict, side=side), age_s=2.0)
        for number, (verdict, side) in enumerate(people, 1)
    ]
    chosen = Addressee().of(tracks)
    assert (chosen.id if chosen else 0) == meant


def test_the_nearest_stays_it_until_another_is_clearly_nearer(make_track):
    addressee = Addressee()
    small, large = make_track(1, side=50), make_track(2, side=80)
    assert addressee.of([small, large]) is large
    close = make_track(1, side=85)
    assert addressee.of([close, large]) is large
    closer = make_track(1, side=95)
    assert addressee.of([closer, large]) is closer
    assert addressee.of([large]) is large


def test_somebody_who_just_came_does_not_interrupt_the_thanks_before_a_verdict(make_track):
    addressee = Addressee()
    masked, coming = make_track(1, CORRECT), make_track(2, UNKNOWN)
    assert addressee.of([masked, coming]) is masked
    slow = replace(coming, age_s=SETTLING_S)
    assert addressee.of([masked, slow]) is slow
    assert addressee.of([coming]) is coming, "alone, this is the one to look at the camera"


def test_pictures_are_never_spoken_to(make_track):
    poster = replace(make_track(1, NONE, side=200), is_picture=True)
    masked = make_track(2, CORRECT)
    addressee = Addressee()
    assert addressee.of([poster]) is None
    assert addressee.of([poster, masked]) is masked
