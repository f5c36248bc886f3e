"""Pauses between attempts."""

import pytest

from gatecam.runtime.backoff import Pauses


def test_pauses_double_up_to_the_longest_and_start_again_after_a_success():
    pauses = Pauses(0.5, 3)
    assert [pauses.next() for _ in range(5)] == [0.5, 1, 2, 3, 3]
    pauses.reset()
    assert pauses.next() == 0.5


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.5, 1.5), (1.9, 0.5), (3, 0.5), (3600, 0.5)])
def test_an_attempt_that_took_long_is_followed_soon_and_never_at_once(took_s, pause_s):
    assert Pauses(last_s=2).next(took_s) == pytest.approx(pause_s)
