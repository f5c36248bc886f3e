"""Build the page of `gatecam evaluate-events`, with the figures and a timeline of each clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatecam.bench.events.report import Summary
from gatecam.bench.events.score import NOBODY, ClipScore, Mark
from gatecam.bench.events.truth import Person, State
from gatecam.pictures import charts
from gatecam.pictures.charts import AMBER, GREEN, RED, Bar, Lane, timeline
from gatecam.pictures.html import Page
from gatecam.types import Verdict

GREY, CLEAR = "#8c8c8c", "none"
COLORS = {State.CORRECT: GREEN, State.INCORRECT: AMBER, State.NONE: RED, State.PICTURE: GREY}
SIGNS = {
    Mark.RIGHT: "✓",
    Mark.REMINDER: "r",
    Mark.OPEN: "o",
    Mark.WRONG: "✗",
    Mark.REPEATED: "2",
    Mark.POSTER: "p",
}
HOW_TO_READ = (
    "Each lane is a person. The bars show what is true: green for a mask worn right, yellow for one worn "
    "wrong, red for none, grey for a picture, and an outline for what is left open. Each circle below is an "
    "event, in the color of what it says. ✓ is right, ✗ wrong, 2 repeated, p told to a picture, r a reminder "
    "that is right, and o an event that the truth leaves open. Brackets contain the 95 % interval of a "
    "bootstrap that draws whole clips. If nothing went wrong, the interval has no width, but up to 3 of as "
    "many other people may still be told something wrong."
)


def page_of(summary: Summary, clips: Sequence[ClipScore]) -> Page:
    """Return the page of some clips. Clips with faults come first."""
    page = Page("Events compared with what is true")
    page.table(("figure", "value"), summary.rows())
    page.text(HOW_TO_READ)
    for clip in sorted(clips, key=lambda clip: -len(clip.faults())):
        page.heading(clip.clip)
        page.svg(timeline(list(_lanes(clip)), f"People and events of {clip.clip}"))
        for fault in clip.faults():
            page.text(fault)
    return page


def _lanes(clip: ClipScore) -> Iterator[Lane]:
    for person in clip.people:
        bars = [
            Bar(
                from_s,
                to_s,
                COLORS.get(state, CLEAR),
                f"{person.name}: {state}, {from_s:.1f} to {to_s:.1f} s",
            )
            for from_s, to_s, state in _stretches(person)
        ]
        yield Lane(person.name, bars, _marks(clip, person.name))
    if strangers := _marks(clip, NOBODY):
        yield Lane(NOBODY, (), strangers)


def _stretches(person: Person) -> list[tuple[float, float, State]]:
    """Return the spans of a person, with those joined that only differ in their place."""
    joined: list[tuple[float, float, State]] = []
    for span in person.spans:
        if joined and joined[-1][1:] == (span.from_s, span.state):
            joined[-1] = (joined[-1][0], span.to_s, span.state)
        else:
            joined.append((span.from_s, span.to_s, span.state))
    return joined


def _marks(clip: ClipScore, person: str) -> list[charts.Mark]:
    return [
        charts.Mark(
            one.event.time_s,
            SIGNS[one.mark],
            GREY if one.event.verdict is Verdict.UNKNOWN else COLORS[State(one.event.verdict)],
            f"{one.event.kind} at {one.event.time_s:.2f} s: {one.mark}",
        )
        for one in clip.judged
        if one.person == person
    ]
