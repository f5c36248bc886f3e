"""Pauses between attempts."""

import itertools

import pytest

from gatecam.runtime.backoff import Pauses


def test_attempts_that_fail_at_once_start_farther_and_farther_apart():
    pauses = Pauses()
    assert [pauses.after(100, 100) for _ in range(5)] == [0.5, 1, 2, 2, 2]


def test_a_picture_makes_the_next_pause_short_again():
    pauses = Pauses()
    for _ in range(4):
        pauses.after(100, 100)
    pauses.reset()
    assert pauses.after(100, 100) == 0.5


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.5, 1.5), (1.9, 0.5), (3, 0.5), (3600, 0.5)])
def test_an_attempt_that_took_long_is_followed_soon_and_never_at_once(took_s, pause_s):
    pauses = Pauses()
    for _ in itertools.repeat(None, 4):
        pauses.after(100, 100)
    assert pauses.after(100, 100 + took_s) == pytest.approx(pause_s)
