"""Made-up events against made-up truths, with results worked out by hand."""

from __future__ import annotations

import pytest

from gatecam.bench.events.page import page_of
from gatecam.bench.events.report import summarize
from gatecam.bench.events.score import NOBODY, ClipScore, Mark, Told, score_clip
from gatecam.bench.events.truth import Person, Place, Span, State
from gatecam.types import Box, Event, EventKind, Verdict

COOLDOWN_S = 3.0
MISSING, INCORRECT, REMINDER, OK = (
    EventKind.MASK_MISSING,
    EventKind.MASK_INCORRECT,
    EventKind.MASK_REMINDER,
    EventKind.MASK_OK,
)


def person(*spans: tuple[float, float, str], name: str = "1", x: float | None = None) -> Person:
    """Someone who stands at `x`, 50 px wide, in spans of (from, to, state)."""
    place = None if x is None else Place(x, 100, 50)
    return Person(name, tuple(Span(start, end, State(state), place=place) for start, end, state in spans))


def told(kind: EventKind, time_s: float, x: float | None = None, first: bool = False) -> Told:
    event = Event(kind, "door", 1, Verdict.NONE, time_s, first=first)
    return Told(event, None if x is None else Box(x - 25, 75, x + 25, 125))


def score(people: list[Person], *events: Told) -> ClipScore:
    return score_clip("clip.mp4", people, events, COOLDOWN_S)


def marks(scored: ClipScore) -> list[str]:
    return [one.mark for one in scored.judged]


BARE = person((0, 9, "none"))
OFF = person((0, 4, "correct"), (4, 9, "none"))


@pytest.mark.parametrize(
    ("someone", "events", "expected"),
    [
        (BARE, [(MISSING, 0.3)], [Mark.RIGHT]),
        (BARE, [(MISSING, 0.3), (MISSING, 4)], [Mark.RIGHT, Mark.REPEATED]),
        (BARE, [(MISSING, 0.3), (REMINDER, 5)], [Mark.RIGHT, Mark.REMINDER]),
        (BARE, [(OK, 0.3)], [Mark.WRONG]),
        (BARE, [(INCORRECT, 0.3)], [Mark.WRONG]),
        (OFF, [(OK, 1), (MISSING, 5)], [Mark.RIGHT, Mark.RIGHT]),
        (OFF, [(MISSING, 3)], [Mark.WRONG]),
        (OFF, [(REMINDER, 2)], [Mark.WRONG]),
        (OFF, [(OK, 4.4)], [Mark.RIGHT]),  # the verdict of a moment before
        (OFF, [(OK, 4.6)], [Mark.WRONG]),
        (person((0, 9, "picture")), [(MISSING, 1), (OK, 2)], [Mark.POSTER, Mark.POSTER]),
        (person((0, 9, "any")), [(MISSING, 1), (OK, 2)], [Mark.OPEN, Mark.OPEN]),
    ],
)
def test_an_event_is_worth_what_is_true_then(someone, events, expected):
    assert marks(score([someone], *(told(*event) for event in events))) == expected


def test_what_never_may_be_told_is_wrong_in_an_open_state():
    hidden = Person("1", (Span(0, 9, State.ANY, never=frozenset({OK})),))
    assert marks(score([hidden], told(OK, 1), told(MISSING, 2))) == [Mark.WRONG, Mark.OPEN]


@pytest.mark.parametrize(
    ("time_s", "mark", "missing"),
    [(0.8, Mark.RIGHT, 0), (1.5, Mark.RIGHT, 0), (5.5, Mark.RIGHT, 0), (7.5, Mark.OPEN, 1)],
    ids=["just before", "before", "after", "in another open state"],
)
def test_an_alert_in_the_open_state_beside_an_episode_counts_for_it(time_s, mark, missing):
    comes = person((1, 2, "any"), (2, 3, "any"), (3, 4, "none"), (4, 6, "any"), (7, 9, "any"))
    scored = score([comes], told(MISSING, time_s))
    assert marks(scored) == [mark]
    assert summarize([scored]).alerts_missing.count == missing


def test_what_is_never_to_be_told_counts_for_no_episode():
    off = Person("1", (Span(0, 2, State.ANY, never=frozenset({MISSING})), Span(2, 9, State.NONE)))
    assert marks(score([off], told(MISSING, 1), told(MISSING, 2.3))) == [Mark.WRONG, Mark.RIGHT]


def test_latency_counts_from_where_a_person_would_say_so():
    summary = summarize([score([OFF], told(OK, 0.3), told(MISSING, 5.5)), score([BARE], told(MISSING, 0.3))])
    assert (summary.arrival.median_s, summary.change.worst_s) == (0.3, 1.5)
    assert (summary.alerts_right.count, summary.alerts_late.count, summary.alerts_right.of) == (2, 1, 2)


def test_a_thank_you_after_a_change_has_a_latency_of_its_own():
    on = person((0, 3, "none"), (3, 9, "correct"))
    came = person((0, 9, "correct"))
    summary = summarize([score([on], told(MISSING, 0.3), told(OK, 3.75)), score([came], told(OK, 1))])
    assert (summary.put_on.events, summary.put_on.worst_s, summary.change.events) == (1, 0.75, 0)


def test_a_late_alert_is_told():
    assert score([OFF], told(OK, 0.3, first=True), told(MISSING, 5.5)).faults() == [
        "clip.mp4 4.0 s: mask_missing to 1: late, after 1.5 s"
    ]


def test_a_missing_alert_is_told():
    scored = score([BARE])
    assert scored.faults() == [
        "clip.mp4 0.0 s: mask_missing to 1: missing",
        "clip.mp4 9.0 s: 1: not counted",
    ]
    assert summarize([scored]).alerts_missing.count == 1


@pytest.mark.parametrize(
    ("away_s", "expected", "due"), [(2.0, Mark.REPEATED, 1), (5.0, Mark.RIGHT, 2)], ids=["soon", "later"]
)
def test_one_who_returns_is_alerted_again_only_after_the_cooldown(away_s, expected, due):
    back = person((0, 2, "none"), (2 + away_s, 12, "none"))
    scored = score([back], told(MISSING, 0.3, first=True), told(MISSING, 2.3 + away_s, first=True))
    assert marks(scored) == [Mark.RIGHT, expected]
    assert summarize([scored]).alerts_right.of == due
    assert len(scored.counted_twice) == 2 - due


def test_an_alert_within_the_cooldown_of_its_kind_is_due_after_it():
    flapping = person((0, 1, "none"), (1, 2, "correct"), (2, 6, "none"))
    scored = score([flapping], told(MISSING, 0.5), told(OK, 1.3), told(MISSING, 3.6))
    assert marks(scored) == [Mark.RIGHT] * 3
    assert scored.episodes[-1].latency_s == pytest.approx(0.1)


def test_an_alert_that_was_told_before_a_mask_was_worn_wrong_is_not_required_again():
    fumbling = person((0, 2, "none"), (2, 4, "incorrect"), (4, 9, "none"))
    scored = score([fumbling], told(MISSING, 0.3), told(INCORRECT, 2.5))
    assert summarize([scored]).alerts_missing.count == 0


def test_events_go_to_the_person_who_is_nearest():
    people = [person((0, 9, "none"), name="bare", x=100), person((0, 9, "correct"), name="masked", x=160)]
    scored = score(people, told(MISSING, 1, x=103), told(OK, 1, x=158), told(MISSING, 2, x=150))
    assert [(one.person, one.mark) for one in scored.judged] == [
        ("bare", Mark.RIGHT),
        ("masked", Mark.RIGHT),
        ("masked", Mark.WRONG),
    ]


def test_without_places_an_event_goes_to_whom_it_fits():
    people = [person((0, 9, "correct"), name="a"), *(person((0, 9, "none"), name=name) for name in "bc")]
    scored = score(people, told(MISSING, 1), told(MISSING, 2))
    assert [(one.person, one.mark) for one in scored.judged] == [("b", Mark.RIGHT), ("c", Mark.RIGHT)]


@pytest.mark.parametrize(("time_s", "x"), [(1.0, 400.0), (12.0, 100.0)], ids=["elsewhere", "after all left"])
def test_an_event_about_nobody_is_wrong(time_s, x):
    scored = score([person((0, 9, "any"), x=100)], told(MISSING, time_s, x=x))
    assert [(one.person, one.mark) for one in scored.judged] == [(NOBODY, Mark.WRONG)]


def test_those_who_left_come_after_those_who_are_there():
    queue = [person((0, 2, "none"), name="a", x=100), person((2.3, 9, "none"), name="b", x=100)]
    scored = score(queue, told(MISSING, 0.3, x=100), told(MISSING, 2.4, x=100))
    assert [one.person for one in scored.judged] == ["a", "b"]


def test_events_of_the_camera_are_left_out():
    blind = Event(EventKind.CAMERA_BLIND, "door", 0, Verdict.UNKNOWN, 1.0)
    assert score([BARE], Told(blind)).judged == ()


def test_figures_are_per_person_without_posters():
    people = [BARE, person((0, 9, "picture"), name="poster", x=500)]
    summary = summarize([score(people, told(MISSING, 0.3, x=100), told(OK, 1, x=500), told(OK, 2, x=500))])
    assert (summary.people, summary.posters_told.count, summary.posters_told.of) == (1, 1, 1)
    assert summary.thanks_wrong.count == 0
    assert summary.alerts_right.share == 1.0


def test_the_page_shows_each_person_and_event_with_clips_at_fault_first():
    clips = [score([BARE], told(MISSING, 0.3)), score_clip("bad.mp4", [OFF], [told(MISSING, 3)], COOLDOWN_S)]
    html = page_of(summarize(clips), clips).html()
    assert html.index("bad.mp4") < html.index("clip.mp4")
    for said in ("✓", "✗", "mask_missing at 3.00 s: wrong", "1: correct, 0.0 to 4.0 s"):
        assert said in html
