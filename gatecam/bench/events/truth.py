"""Read what is true in clips: who is there when, where, and how each person wears a mask.

`docs/events.md` describes the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from gatecam.errors import DataError
from gatecam.training.data.tables import read_lines
from gatecam.types import EventKind, Verdict

COLUMNS = ("clip", "person", "from_s", "to_s", "state")
_WHAT = "a file of truths as docs/events.md describes"
_NEVER = {
    "alert": frozenset({EventKind.MASK_MISSING, EventKind.MASK_INCORRECT, EventKind.MASK_REMINDER}),
    "thanks": frozenset({EventKind.MASK_OK}),
}


class State(StrEnum):
    """Says how a person wears a mask as a human sees it, or that the face is a picture."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    NONE = "none"
    PICTURE = "picture"  # nothing must be told
    ANY = "any"  # nothing has to be told, and only what `never` says is wrong

    @property
    def kind(self) -> EventKind | None:
        """Return the event that gatecam must send for this state, or None if there is none."""
        return _KINDS.get(self)

    @property
    def verdict(self) -> Verdict:
        """Return the verdict with this name. A picture or an open state has the verdict `UNKNOWN`."""
        return Verdict(self) if self in _KINDS else Verdict.UNKNOWN


_KINDS = {
    State.CORRECT: EventKind.MASK_OK,
    State.INCORRECT: EventKind.MASK_INCORRECT,
    State.NONE: EventKind.MASK_MISSING,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Says where a face is: its center and width in pixels."""

    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Span:
    """Says what is true of one person from `from_s` until `to_s`. `never` holds what must not be told."""

    from_s: float
    to_s: float
    state: State
    never: frozenset[EventKind] = frozenset()
    place: Place | None = None  # at `from_s`


@dataclass(frozen=True, slots=True)
class Person:
    """Holds the spans of one person or picture in the order of time."""

    name: str
    spans: tuple[Span, ...]

    @property
    def is_picture(self) -> bool:
        """Return whether this is a picture of a face rather than a person."""
        return all(span.state is State.PICTURE for span in self.spans)

    def place(self, time_s: float) -> Place | None:
        """Return where the face is at a time, between the places of the spans. None: no place is known."""
        known = [(span.from_s, span.place) for span in self.spans if span.place is not None]
        if not known:
            return None
        times = [at_s for at_s, _ in known]
        ways = np.array([(place.x, place.y, place.width) for _, place in known])
        x, y, width = (float(np.interp(time_s, times, way)) for way in ways.T)
        return Place(x, y, width)

    def distance_s(self, time_s: float) -> float:
        """Return how long before or after a time the person is there, which is 0 while they are."""
        return min(max(span.from_s - time_s, time_s - span.to_s, 0.0) for span in self.spans)


@dataclass(slots=True)
class Truth:
    """Holds the people of each clip by the clip's file name."""

    clips: dict[str, tuple[Person, ...]] = field(default_factory=dict)


def read_truth(path: Path) -> Truth:
    """Read the truths of clips.

    Raises:
        DataError: the file cannot be read, lacks a column, or a line is wrong.
    """
    clips: dict[str, dict[str, list[Span]]] = {}
    for where, line in read_lines(path, COLUMNS, _WHAT):
        values = {name: (value or "").strip() for name, value in line.items() if isinstance(name, str)}
        if not values["clip"]:
            raise DataError(f"{where}: the clip has no name. Give the name of its file.")
        people = clips.setdefault(values["clip"], {})
        if not values["person"] and not values["state"]:
            continue  # a clip without people
        spans = people.setdefault(values["person"], [])
        span = _span(values, where)
        if spans and span.from_s < spans[-1].to_s:
            raise DataError(
                f"{where}: from_s is {span.from_s:g}, but the person's line before ends at "
                f"{spans[-1].to_s:g}. Give each person's lines in order, without overlap."
            )
        spans.append(span)
    return Truth(
        {
            clip: tuple(Person(name, tuple(spans)) for name, spans in people.items())
            for clip, people in clips.items()
        }
    )


def _span(values: dict[str, str], where: str) -> Span:
    if not values["person"]:
        raise DataError(f"{where}: the person has no name. Give one, such as 1.")
    from_s, to_s = (_number(values, name, where) for name in ("from_s", "to_s"))
    if not 0 <= from_s < to_s:
        raise DataError(
            f"{where}: expected times with 0 <= from_s < to_s, got {from_s:g} and {to_s:g}. Correct them."
        )
    if values["state"] not in list(State):
        raise DataError(
            f"{where}: state: expected {', '.join(State)}, got {values['state']!r}. Correct the line."
        )
    never: frozenset[EventKind] = frozenset()
    for word in values.get("never", "").split():
        if word not in _NEVER:
            raise DataError(
                f"{where}: never: expected alert, thanks or both, got {word!r}. Correct the line."
            )
        never |= _NEVER[word]
    return Span(from_s, to_s, State(values["state"]), never, _place(values, where))


def _place(values: dict[str, str], where: str) -> Place | None:
    names = ("x", "y", "width")
    given = [name for name in names if values.get(name)]
    if not given:
        return None
    if len(given) < len(names):
        raise DataError(f"{where}: expected all of x, y and width, or none, got {', '.join(given)} only.")
    x, y, width = (_number(values, name, where) for name in names)
    if width <= 0:
        raise DataError(f"{where}: width: expected more than 0 px, got {width:g}. Correct the line.")
    return Place(x, y, width)


def _number(values: dict[str, str], name: str, where: str) -> float:
    try:
        number = float(values[name])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: {name}: expected a number, got {values[name]!r}. Correct the line.")
    return number
