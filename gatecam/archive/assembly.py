"""Decide which parts of a recording to analyze next, and assemble the results of the whole recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gatecam.archive.parts import Outcome, Part, Seen, Stretch
from gatecam.capture.part import Cut
from gatecam.types import Event


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Holds the results of a whole recording, as one replay gives them. Ids of tracks count from 1.

    `frames` is their number, `end_s` the time of the last one, and `people` what was seen of each track of a
    person. `loss` says what could not be read, and `error` why nothing could be read.
    """

    frames: int
    end_s: float
    events: list[Event]
    people: dict[int, Seen]
    loss: str | None
    error: str | None


class Assembly:
    """Assembles the results of one recording from its parts, in whatever order they are done.

    `begin` and `add` return the parts to analyze next. When `result` is not None, the recording is done.

    ```
    part 1  ├──────────────────┤┄┄┄┄╮          goes on beyond the cut until it meets part 2
    part 2                      ├────┴────────┤┄┄┄╮
    part 3                                     ├───┴──────────┤
    ```
    """

    def __init__(self, path: Path, camera: str, cuts: Sequence[Cut] = ()) -> None:
        self._path, self._camera = path, camera
        self._cuts: list[Cut | None] = [None, *cuts, None]
        # The keys are the numbers of parts. The part before continues beyond the cut into a part's frames.
        self._parts: dict[int, Outcome] = {}  # of each part on its own
        self._beyond: dict[int, Outcome] = {}  # of the part before, continued into this part
        self._based_on: dict[int, Outcome] = {}  # of the part before, from whose memory that continued
        self._asked: dict[Part, int] = {}  # the numbers of the parts that are being analyzed
        self.result: Result | None = None

    def begin(self) -> list[Part]:
        """Return the parts to begin with, which can be analyzed at the same time."""
        return [self._ask(index) for index in range(len(self._cuts) - 1)]

    def add(self, part: Part, outcome: Outcome) -> list[Part]:
        """Add the outcome of a part, and return the parts to analyze because of it."""
        if part not in self._asked:  # the recording has been started again meanwhile
            return []
        index = self._asked.pop(part)
        if (outcome.uncut or outcome.loss or outcome.error) and len(self._cuts) > 2:
            self._cuts = [None, None]  # only a replay of the whole recording tells what is lost
            self._asked.clear()
            self._parts.clear()
            self._beyond.clear()
            return self.begin()
        if part.memory is None:
            self._parts[index] = outcome
        elif self._based_on[index].memory is part.memory:
            self._beyond[index] = outcome
        return self._next()

    def _ask(self, index: int, before: Outcome | None = None) -> Part:
        part = Part(self._path, self._camera, self._cuts[index], self._cuts[index + 1])
        if before is not None:
            checks = {one.check_s: one.memory for one in self._parts[index].stretches if one.memory}
            part = replace(part, memory=before.memory, checks=checks)
            self._based_on[index] = before
        self._asked[part] = index
        return part

    def _next(self) -> list[Part]:
        """Return the parts that can continue beyond their cut now. Assemble the result if all have done so.

        A part continues at once with its own memory. If the part before it did not meet it, that memory was
        wrong, and it continues again with the right one.
        """
        asked, is_done, last = [], True, self._parts.get(0)
        for index in range(1, len(self._cuts) - 1):
            own, before = self._parts.get(index), self._parts.get(index - 1)
            is_known = is_done and last is not None
            before = last if is_known else before
            if own is None or before is None:
                is_done = False
                continue
            if self._based_on.get(index) is not before:
                self._beyond.pop(index, None)
                asked.append(self._ask(index, before))
            beyond = self._beyond.get(index)
            is_done = is_known and beyond is not None
            last = own if beyond is not None and beyond.met else beyond
        if is_done and last is not None and not asked:
            self.result = self._assembled(last)
        return asked

    def _assembled(self, last: Outcome) -> Result:
        stretches = list(self._parts[0].stretches)
        for index in range(1, len(self._cuts) - 1):
            beyond = self._beyond[index].stretches
            stretches += beyond
            if self._beyond[index].met:
                met_s = beyond[-1].check_s
                own = self._parts[index].stretches
                stretches += own[1 + [one.check_s for one in own].index(met_s) :]
        return joined(stretches, last.loss, last.error)


def joined(stretches: Sequence[Stretch], loss: str | None = None, error: str | None = None) -> Result:
    """Join the results of stretches that follow each other, and give tracks the ids that one replay gives."""
    tracks = sorted(set[int]().union(*(one.tracks for one in stretches)))
    ids = {track: number for number, track in enumerate(tracks, start=1)}
    events: list[Event] = []
    people: dict[int, Seen] = {}
    frames = 0
    for stretch in stretches:
        events += [
            replace(event, frame=event.frame + frames, track_id=ids[event.track_id])
            for event in stretch.events
        ]
        for track, seen in stretch.people.items():
            if ids[track] in people:
                people[ids[track]].go_on(seen)
            else:
                people[ids[track]] = replace(
                    seen, verdicts=list(seen.verdicts), gender=list(seen.gender), age=list(seen.age)
                )
        frames += stretch.frames
    end_s = stretches[-1].end_s if stretches else 0.0
    return Result(frames, end_s, events, {key: people[key] for key in sorted(people)}, loss, error)
