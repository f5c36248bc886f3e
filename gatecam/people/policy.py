"""Decide which events one camera's tracks cause, so that each person is alerted once and not nagged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gatecam.geometry import iou
from gatecam.people.looks import SAME_PLACE_IOU, UNLIKE, unlikeness
from gatecam.settings.schema import PolicyConfig
from gatecam.types import Box, Event, EventKind, Looks, Track, Verdict

MAX_REMINDERS = 3  # for each alert, because someone who ignores three will ignore a fourth
# A person may also return elsewhere if the looks differ by at most `ALIKE`, the distance is at most
# `RETURN_SIDES` sides of the smaller face, and the ratio of the faces' sides is at most `RETURN_RATIO`.
ALIKE, RETURN_SIDES, RETURN_RATIO = UNLIKE / 2, 6.0, 2.0

_KINDS = {
    Verdict.NONE: EventKind.MASK_MISSING,
    Verdict.INCORRECT: EventKind.MASK_INCORRECT,
    Verdict.CORRECT: EventKind.MASK_OK,
}


@dataclass(slots=True)
class _Person:
    """Records the events about one person.

    `said_s` has the time of the last event of each kind. `current` holds the kinds of the events since the
    mask last went on or off. `spoken_s` is the time of the last event, and `reminders` counts those of the
    current alert. All times are those of the frames.
    """

    box: Box  # where the person was last seen
    looks: Looks | None
    listed_s: float  # when the tracker last listed the track
    said_s: dict[EventKind, float] = field(default_factory=dict)
    current: frozenset[EventKind] = frozenset()
    reminders: int = 0
    spoken_s: float = 0.0
    came_s: float | None = None  # time of the person's first event
    inherited: bool = False  # a later track of the same person has taken over this record


class AlertPolicy:
    """Turns verdicts into events, each once for a person. It implements `ports.Policy`.

    The rules are:
    - `none` causes `mask_missing` and `incorrect` causes `mask_incorrect`, each once until the mask goes on.
    - While an alert lasts, it causes `mask_reminder` every `remind_s`, at most `MAX_REMINDERS` times.
    - `correct` causes `mask_ok` once. If the mask comes off later, there is a new alert.
    - No kind is repeated within `cooldown_s` for one person.
    - A track that appears near the place where another one was lost at most `cooldown_s` ago is the same
      person if the colors of clothes and hair agree. Where these are not known, the place must be the same.
    - `unknown`, pictures and tracks without a face in this frame cause nothing and change nothing.
    """

    def __init__(self, config: PolicyConfig, camera: str) -> None:
        self._config = config
        self._camera = camera
        self._people: dict[int, _Person] = {}

    def apply(self, config: PolicyConfig) -> None:
        """Apply new settings. The change repeats no event."""
        self._config = config

    def decide(self, tracks: Sequence[Track], time_s: float, frame: int) -> list[Event]:
        """Return the events of this frame in the order of its tracks."""
        seen = [track for track in tracks if track.in_view]
        self._meet(seen, time_s)
        events = []
        for track in seen:
            person = self._people[track.id]
            person.box, person.looks = track.box, track.looks
            kind = self._due(person, track.verdict, time_s)
            if kind is not None:
                first = not person.said_s
                put_on = kind is EventKind.MASK_OK and not first and kind not in person.said_s
                event = Event(
                    kind,
                    self._camera,
                    track.id,
                    track.verdict,
                    time_s,
                    frame=frame,
                    probability=track.probability,
                    first=first,
                    came_s=person.came_s if put_on else None,
                )
                events.append(event)
                _note(person, kind, time_s)
        self._forget(tracks, time_s)
        return events

    def _meet(self, seen: Sequence[Track], time_s: float) -> None:
        """Give every new track a person, either one who was lost or a new one."""
        seen_ids = {track.id for track in seen}
        for track in seen:
            if track.id in self._people:
                continue
            lost = [
                person
                for track_id, person in self._people.items()
                if track_id not in seen_ids
                and not person.inherited
                and time_s - person.listed_s <= self._config.cooldown_s
                and _is_same(person, track)
            ]
            if lost:
                former = max(lost, key=lambda person: (iou(person.box, track.box), person.listed_s))
                self._people[track.id] = replace(former, said_s=dict(former.said_s))
                former.inherited = True
            else:
                self._people[track.id] = _Person(track.box, track.looks, time_s)

    def _due(self, person: _Person, verdict: Verdict, time_s: float) -> EventKind | None:
        """Return the kind of event that is due for a person now, if any."""
        kind = _KINDS.get(verdict)
        if kind is None:
            return None
        if kind not in person.current:
            said_s = person.said_s.get(kind)
            cooled = said_s is None or time_s - said_s >= self._config.cooldown_s
            return kind if cooled else None
        remind = (
            kind.is_alert
            and person.reminders < MAX_REMINDERS
            and time_s - person.spoken_s >= self._config.remind_s
        )
        return EventKind.MASK_REMINDER if remind else None

    def _forget(self, tracks: Sequence[Track], time_s: float) -> None:
        """Forget people whose track ended longer ago than `cooldown_s`."""
        for track in tracks:
            if track.id in self._people:
                self._people[track.id].listed_s = time_s
        self._people = {
            track_id: person
            for track_id, person in self._people.items()
            if time_s - person.listed_s <= self._config.cooldown_s
        }


def _is_same(person: _Person, track: Track) -> bool:
    """Check whether a new track may be a person who was lost, from place and looks."""
    in_place = iou(person.box, track.box) >= SAME_PLACE_IOU
    unlike = unlikeness(person.looks, track.looks, in_place)
    if unlike is None:
        return in_place
    return unlike <= (UNLIKE if in_place else ALIKE) and (in_place or _is_near(person.box, track.box))


def _is_near(before: Box, now: Box) -> bool:
    sides = math.sqrt(before.area), math.sqrt(now.area)
    (x, y), (to_x, to_y) = before.center, now.center
    near = math.hypot(to_x - x, to_y - y) <= RETURN_SIDES * min(sides)
    return near and max(sides) <= RETURN_RATIO * min(sides)


def _note(person: _Person, kind: EventKind, time_s: float) -> None:
    """Record that an event was sent for a person."""
    person.spoken_s = person.said_s[kind] = time_s
    person.came_s = time_s if person.came_s is None else person.came_s
    if kind is EventKind.MASK_REMINDER:
        person.reminders += 1
    elif kind is EventKind.MASK_OK:
        person.current = frozenset({kind})
        person.reminders = 0
    else:
        person.current = person.current - {EventKind.MASK_OK} | {kind}
