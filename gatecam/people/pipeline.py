"""Turn frames into steps: analyze, track, decide.

The planner, the tracker, the policy, `Life` and `Addressee` keep state from frame to frame.

frames ─► FaceAnalyzer ─► faces ─► Tracker ─► Life ─► tracks ─► Policy ─► events ─► Step
               ▲                      │
               └─── SearchPlanner ◄───┘ where faces are expected
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gatecam.geometry import is_in_any
from gatecam.people.addressee import Addressee
from gatecam.people.life import Life
from gatecam.ports import FaceAnalyzer, Policy, SearchPlanner, Tracker
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Regions
from gatecam.types import HELD_PIXELS, Box, Event, Expected, Face, Frame, Step, Track, Verdict

PEOPLE_KEPT = 1000  # only the latest people have a summary, so that memory does not grow over months
CHANGES_KEPT = 12  # verdicts and events in a person's summary, limited because some people stay all day


class Pipeline:
    """Turns one camera's frames into steps.

    A planner chooses the boxes to search from the previous frame's result, so frames are analyzed one by one.
    Without a planner, all frames are searched whole, `batch` at once. Faces whose center lies in one of the
    regions in `ignore` are not tracked. They stay in `Step.faces`, so they are blurred like all others.
    """

    def __init__(
        self,
        analyzer: FaceAnalyzer,
        tracker: Tracker,
        policy: Policy,
        telemetry: Telemetry | None = None,
        batch: int = 1,
        planner: SearchPlanner | None = None,
        ignore: Regions = (),
    ) -> None:
        self._analyzer, self.tracker, self.policy, self.planner = analyzer, tracker, policy, planner
        self.life, self._addressee = Life(), Addressee()
        self.ignore = ignore
        self._telemetry = telemetry or Telemetry()
        self._batch = batch

    def steps(self, frames: Iterable[Frame]) -> Iterator[Step]:
        """Yield one step for each frame, in order."""
        if self.planner is not None:
            for frame in frames:
                yield from advance(self._analyzer, [(self, frame)])
            return
        for group in _groups(frames, self._batch):
            analyzed = self._analyzer.analyze([frame.image for frame in group])
            for frame, faces in zip(group, analyzed, strict=True):
                yield self.step(frame, faces)

    def plan(self, frame: Frame) -> tuple[Sequence[Box] | None, Sequence[Expected]]:
        """Return the boxes to search in a frame (None for the whole frame) and the tracks expected in it."""
        if self.planner is None:
            return None, ()
        with self._telemetry.stage("plan"):
            expected = self.tracker.expected(frame.time_s)
            return self.planner.plan(frame, expected), expected

    def wants_more(self, faces: Sequence[Face]) -> bool:
        """Check from the faces found whether the last planned frame must be searched whole after all."""
        return self.planner is not None and self.planner.review(faces)

    def step(self, frame: Frame, faces: Sequence[Face]) -> Step:
        """Update the tracks with a frame's faces, decide its events and choose whom to speak to."""
        with self._telemetry.stage("track"):
            wanted = [face for face in faces if not is_in_any(face.detection.box, self.ignore, frame.image)]
            tracks = self.life.mark(frame.image, self.tracker.update(wanted, frame.time_s), frame.time_s)
            self.tracker.note_pictures(self.life.pictures)
            events = tuple(self.policy.decide(tracks, frame.time_s, frame.index))
            addressed = self._addressee.of(tracks)
        return Step(frame, tuple(faces), tracks, events, addressed)


def advance(analyzer: FaceAnalyzer, frames: Sequence[tuple[Pipeline, Frame]]) -> list[Step]:
    """Analyze one frame from each of several cameras together and return their steps."""
    if not frames:
        return []
    plans = [pipeline.plan(frame) for pipeline, frame in frames]
    expected = [tracks for _, tracks in plans]
    images = [frame.image for _, frame in frames]
    cameras = [frame.camera for _, frame in frames]
    found = analyzer.analyze(images, [boxes for boxes, _ in plans], cameras, expected)
    while more := [i for i, (pipeline, _) in enumerate(frames) if pipeline.wants_more(found[i])]:
        again = analyzer.analyze(
            [images[i] for i in more], None, [cameras[i] for i in more], [expected[i] for i in more]
        )
        for i, faces in zip(more, again, strict=True):
            found[i] = faces
    return [pipeline.step(frame, faces) for (pipeline, frame), faces in zip(frames, found, strict=True)]


def _groups(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Yield groups of up to `size` frames. Groups of large frames are smaller."""
    group: list[Frame] = []
    for frame in frames:
        group.append(frame)
        if len(group) == size or sum(each.pixels for each in group) >= HELD_PIXELS:
            yield group
            group = []
    if group:
        yield group


def timed(frames: Iterator[Frame], telemetry: Telemetry) -> Iterator[Frame]:
    """Yield the same frames and record the wait for each as the stage `decode`."""
    start_s = time.perf_counter()
    for frame in frames:
        telemetry.record("decode", time.perf_counter() - start_s)
        yield frame
        start_s = time.perf_counter()


@dataclass(slots=True)
class Person:
    """Summarizes one track of a person. Times are those of the frames.

    `verdicts` holds the changes of verdict as (time, verdict). `events` holds the events about the person.
    Each keeps only the first `CHANGES_KEPT`, while `verdict_count` and `event_count` count all.
    """

    number: int  # in order of arrival
    camera: str
    track_id: int
    first_s: float
    last_s: float
    verdict: Verdict | None = None
    verdicts: list[tuple[float, Verdict]] = field(default_factory=list)
    verdict_count: int = 0
    events: list[Event] = field(default_factory=list)
    event_count: int = 0

    def note_track(self, track: Track, time_s: float) -> None:
        """Update the summary with the track's state at `time_s`."""
        self.last_s = time_s - track.missing_s
        if track.verdict is not self.verdict:
            self.verdict = track.verdict
            self.verdict_count += 1
            if self.verdict_count <= CHANGES_KEPT:
                self.verdicts.append((time_s, track.verdict))

    def note_event(self, event: Event) -> None:
        """Add an event about the person."""
        self.event_count += 1
        if self.event_count <= CHANGES_KEPT:
            self.events.append(event)


class People:
    """Collects a summary of each track from the steps. Pictures are left out.

    `tracks` counts all tracks of people. `came` counts each person once, even if several tracks followed
    them.
    """

    def __init__(self) -> None:
        self._people: dict[tuple[str, int], Person] = {}  # sorted by when they were last seen
        self.tracks = 0
        self.came = 0

    def add(self, step: Step) -> None:
        """Add the tracks and events of one step."""
        now = step.frame.time_s
        for track in step.tracks:
            if track.is_picture:
                continue
            key = (step.frame.camera, track.id)
            person = self._people.pop(key, None)
            if person is None:
                self.tracks += 1
                person = Person(self.tracks, *key, first_s=now - track.age_s, last_s=now)
            self._people[key] = person
            person.note_track(track, now)
        for event in step.events:
            self.came += event.first
            if person := self._people.get((event.camera, event.track_id)):
                person.note_event(event)
        while len(self._people) > PEOPLE_KEPT:
            del self._people[next(iter(self._people))]

    def latest(self) -> list[Person]:
        """Return the summaries of the latest tracks in order of arrival."""
        return sorted(self._people.values(), key=lambda person: person.number)
