"""Compare what gatecam told with what is true, person by person.

An *episode* is the time in which one person needs one event: without a mask, with a mask worn wrong, or with
one worn right. A person who leaves and returns within `cooldown_s` continues the episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import hypot

from gatecam.bench.events.truth import Person, Span, State
from gatecam.types import Box, Event, EventKind

SLACK_S = 0.5  # an event may come this long after its state ends, and a truth may be this inexact
LATE_S = 1.2
NEAR = 1.0  # distance between an event's face and a person's place, in widths of the larger face
LEAST_S = 1.0  # an event that could come only in the last moment of an episode is not required
NOBODY = "nobody"


class Mark(StrEnum):
    """Says what an event was worth."""

    RIGHT = "right"
    REMINDER = "reminder"  # to somebody who still needs it
    OPEN = "open"  # the truth leaves it open
    WRONG = "wrong"
    REPEATED = "repeated"  # right, but it was told before
    POSTER = "poster"  # told to a picture


@dataclass(frozen=True, slots=True)
class Told:
    """Holds an event and the box of its face in that frame, or None if that is unknown."""

    event: Event
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """Holds an event, to whom it was told, and what it was worth."""

    event: Event
    person: str
    mark: Mark
    about: str  # what the person looked like, such as "who wears a mask"


@dataclass(slots=True)
class Episode:
    """Holds the time in which a person needs one event.

    `due_s` is when the event is first due. The event may also come in an open state right before `from_s` or
    right after `to_s`, which is from `open_s` until `closed_s`. `is_change` says whether the person was in
    view before, in another state. `told` holds the events of this kind in order.
    """

    person: str
    kind: EventKind
    from_s: float
    to_s: float
    open_s: float
    closed_s: float
    is_change: bool
    due_s: float = 0.0
    is_required: bool = True
    told: list[Event] = field(default_factory=list)

    @property
    def latency_s(self) -> float | None:
        """Return the time from `due_s` to the event, or None if there was none."""
        return max(0.0, self.told[0].time_s - self.due_s) if self.told else None

    @property
    def is_missing(self) -> bool:
        """Return whether the event was required and did not come."""
        return self.is_required and not self.told

    @property
    def is_late(self) -> bool:
        """Return whether the event was required and came late."""
        return self.is_required and (self.latency_s or 0.0) > LATE_S


@dataclass(frozen=True, slots=True)
class ClipScore:
    """Holds what was right and wrong in one clip."""

    clip: str
    people: tuple[Person, ...]
    episodes: tuple[Episode, ...]
    judged: tuple[Judged, ...]
    not_counted: tuple[str, ...]  # people without a first event
    counted_twice: tuple[str, ...]  # one entry for each first event too many

    def faults(self) -> list[str]:
        """Return a sentence for each thing that went wrong, in the order of time."""
        said = [
            (one.event.time_s, f"{one.event.kind} to {one.person}{one.about}: {one.mark}")
            for one in self.judged
            if one.mark in (Mark.WRONG, Mark.REPEATED, Mark.POSTER)
        ]
        for one in self.episodes:
            if one.is_missing:
                said.append((one.due_s, f"{one.kind} to {one.person}: missing"))
            elif one.is_late:
                said.append((one.due_s, f"{one.kind} to {one.person}: late, after {one.latency_s:.1f} s"))
        end_s = max((person.spans[-1].to_s for person in self.people), default=0.0)
        said += [(end_s, f"{name}: not counted") for name in self.not_counted]
        said += [(end_s, f"{name}: counted twice") for name in self.counted_twice]
        return [f"{self.clip} {time_s:.1f} s: {text}" for time_s, text in sorted(said)]


def score_clip(clip: str, people: Sequence[Person], told: Sequence[Told], cooldown_s: float) -> ClipScore:
    """Compare the events of one clip with its people. Events about the camera are left out."""
    heard: dict[str, list[Event]] = {person.name: [] for person in people}
    judged = []
    for one in told:
        if one.event.kind.is_camera:
            continue
        person = _who(people, one, heard)
        if person is None:
            judged.append(Judged(one.event, NOBODY, Mark.WRONG, ""))
        else:
            heard[person.name].append(one.event)
    episodes: list[Episode] = []
    not_counted, twice = [], []
    for person in people:
        events, visits = heard[person.name], _visits(person, cooldown_s)
        own = _episodes(person, cooldown_s)
        judged += _judge(person, own, events, cooldown_s)
        episodes += own
        if not person.is_picture:
            firsts = sum(event.first for event in events)
            due = sum(any(one.from_s < end and one.to_s > start for one in own) for start, end in visits)
            not_counted += [person.name] * max(0, due - firsts)
            twice += [person.name] * max(0, firsts - len(visits))
    judged.sort(key=lambda one: one.event.time_s)
    return ClipScore(clip, tuple(people), tuple(episodes), tuple(judged), tuple(not_counted), tuple(twice))


def _who(people: Sequence[Person], told: Told, heard: dict[str, list[Event]]) -> Person | None:
    """Return the person to whom an event was told.

    That is the nearest one where places are known. People without a place come after that, first those for
    whom the event is right and new.
    """
    time_s = told.event.time_s
    there = [person for person in people if person.distance_s(time_s) <= SLACK_S]
    placed, others = [], []
    for index, person in enumerate(there):
        place, away_s = person.place(time_s), person.distance_s(time_s)
        if place is None or told.box is None:
            fits = any(_fits(span, told.event) for span in person.spans)
            is_new = all(event.kind is not told.event.kind for event in heard[person.name])
            others.append((away_s, not fits, not is_new, index))
            continue
        x, y = told.box.center
        away = hypot(x - place.x, y - place.y) / max(place.width, told.box.width)
        if away <= NEAR:
            placed.append((away_s, away, index))
    if placed:
        return there[min(placed)[-1]]
    return there[min(others)[-1]] if others else None


def _fits(span: Span, event: Event) -> bool:
    """Return whether an event says what is true in a span. A reminder fits every state without a mask."""
    kind = span.state.kind
    if kind is None or not span.from_s - SLACK_S <= event.time_s <= span.to_s + SLACK_S:
        return False
    return kind is event.kind or (event.kind is EventKind.MASK_REMINDER and kind.is_alert)


def _visits(person: Person, cooldown_s: float) -> list[tuple[float, float]]:
    """Return when a person comes and leaves. A shorter absence than `cooldown_s` does not end a visit."""
    visits: list[tuple[float, float]] = []
    for span in person.spans:
        if visits and span.from_s - visits[-1][1] <= cooldown_s:
            visits[-1] = (visits[-1][0], span.to_s)
        else:
            visits.append((span.from_s, span.to_s))
    return visits


def _episodes(person: Person, cooldown_s: float) -> list[Episode]:
    episodes: list[Episode] = []
    seen_s = -float("inf")  # when the person was last in view
    open_s = seen_s  # when the open state began in which the person was last in view
    alerted: set[EventKind] = set()  # kinds of alert that are not told again until a mask is worn right
    for span in person.spans:
        kind, back = span.state.kind, span.from_s - seen_s <= cooldown_s
        is_on = span.from_s == seen_s
        if not back:
            alerted.clear()
        if kind is None:
            if span.state is State.ANY:
                open_s = open_s if is_on and open_s < seen_s else span.from_s
                if is_on and episodes and episodes[-1].closed_s == seen_s:
                    episodes[-1].closed_s = span.to_s
        elif back and episodes and episodes[-1].kind is kind:
            episodes[-1].to_s = episodes[-1].closed_s = span.to_s
        else:
            start_s = open_s if is_on and open_s < seen_s else span.from_s
            is_change = back and bool(episodes)
            one = Episode(person.name, kind, span.from_s, span.to_s, start_s, span.to_s, is_change)
            one.is_required = kind not in alerted
            episodes.append(one)
            if kind is EventKind.MASK_OK:
                alerted.clear()
            else:
                alerted.add(kind)
        seen_s = span.to_s
        if kind is not None:
            open_s = seen_s
    return episodes


def _judge(
    person: Person, episodes: Sequence[Episode], events: Sequence[Event], cooldown_s: float
) -> list[Judged]:
    """Give each event of a person a mark, and each episode its events."""
    judged, rest = [], list(events)
    latest_s: dict[EventKind, float] = {}
    for one in episodes:
        one.due_s = max(one.from_s, latest_s.get(one.kind, -cooldown_s) + cooldown_s)
        one.is_required = one.is_required and (one.due_s == one.from_s or one.to_s - one.due_s >= LEAST_S)
        mine = [
            event
            for event in rest
            if event.kind is one.kind
            and one.open_s - SLACK_S <= event.time_s <= one.closed_s + SLACK_S
            and event.kind not in _span_at(person, event.time_s).never
        ]
        one.told = mine
        if mine:
            latest_s[one.kind] = mine[-1].time_s
            rest = [event for event in rest if event not in mine]
        marks = [Mark.RIGHT, *[Mark.REPEATED] * len(mine)]
        judged += [Judged(event, person.name, mark, "") for event, mark in zip(mine, marks, strict=False)]
    return judged + [_judge_other(person, event) for event in rest]


def _judge_other(person: Person, event: Event) -> Judged:
    """Give a mark to an event that belongs to no episode of its kind."""
    span = min(person.spans, key=lambda span: max(span.from_s - event.time_s, event.time_s - span.to_s, 0.0))
    about = "" if person.is_picture else f" ({span.state})"
    if span.state is State.PICTURE:
        mark = Mark.POSTER
    elif event.kind in span.never:
        mark = Mark.WRONG
    elif event.kind is EventKind.MASK_REMINDER and any(_fits(other, event) for other in person.spans):
        mark = Mark.REMINDER
    else:
        mark = Mark.OPEN if span.state is State.ANY else Mark.WRONG
    return Judged(event, person.name, mark, about)


def _span_at(person: Person, time_s: float) -> Span:
    """Return the span of a person at a time, or the nearest one."""
    return min(person.spans, key=lambda span: max(span.from_s - time_s, time_s - span.to_s, 0.0))
