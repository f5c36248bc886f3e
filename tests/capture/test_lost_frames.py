"""What is said of losses."""

import pytest

from gatecam.capture.lost_frames import Losses


def account(frames=0, last_packet_s=0.0, **promises) -> Losses:
    losses = Losses(**promises)
    for index in range(frames):
        losses.note_picture(index / 10, is_damaged=False)
    losses.note_packet(0, 100, last_packet_s)
    return losses


def test_nothing_is_missing_while_reading():
    assert account(frames=5, expected_frames=10, cut_off=True).sentence() is None


@pytest.mark.parametrize(("end_s", "is_lost"), [(10.0, False), (9.7, False), (9.5, True)])
def test_an_end_short_of_the_header_counts_beyond_three_gaps(end_s, is_lost):
    losses = account(frames=5, last_packet_s=end_s)
    losses.note_end(size=6000, duration_s=10.0)
    assert (losses.sentence() is not None) == is_lost


def test_a_gap_between_packets_counts_only_where_there_may_be_none():
    for gapless, sentence in [
        (True, "a part of the file is damaged: 5 of about 9 frames could be read"),
        (False, None),
    ]:
        losses = account(frames=5, expected_frames=9, gapless=gapless)
        losses.note_packet(5000, 100, 1.0)
        losses.note_end(size=6000, duration_s=None)
        assert losses.sentence() == sentence


def test_a_matroska_file_of_which_much_is_never_read_ends_early():
    for size, is_lost in [(1000, False), (1300, True)]:
        losses = account(frames=5, gapless=True)
        losses.note_end(size, duration_s=None)
        assert (losses.sentence() is not None) == is_lost


def test_each_kind_of_damage_is_counted():
    losses = account(frames=3)
    losses.note_undecodable()
    losses.note_undecodable()
    losses.note_picture(9.0, is_damaged=True)
    losses.note_picture(9.1, is_damaged=False)
    losses.note_end(size=6000, duration_s=None)
    assert losses.sentence() == (
        "2 damaged frames could not be decoded; 1 damaged frame could be decoded in part"
    )


def test_a_container_that_cannot_be_read_on_ends_early():
    losses = account(frames=1)
    losses.note_failure()
    assert losses.sentence() == "the file ends early: 1 frame could be read"
