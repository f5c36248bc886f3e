"""Frames to steps with a fake behind each protocol, and what a summary keeps of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest

from gatecam.people.pipeline import CHANGES_KEPT, PEOPLE_KEPT, People, Pipeline, _groups, advance, timed
from gatecam.runtime.telemetry import Telemetry
from gatecam.types import Box, Event, EventKind, Expected, Face, Frame, Step, Track, Verdict
from gatecam.vision.fake import FakeAnalyzer


def frame(index: int, camera: str = "door") -> Frame:
    return Frame(camera, index, index / 10, np.zeros((8, 8, 3), np.uint8))


def event(track_id: int = 1, time_s: float = 0.0, camera: str = "door") -> Event:
    return Event(EventKind.MASK_MISSING, camera, track_id, Verdict.NONE, time_s)


def step(
    index: int, tracks: Sequence[Track] = (), events: Sequence[Event] = (), camera: str = "door"
) -> Step:
    return Step(frame(index, camera), (), tuple(tracks), tuple(events))


class FakeTracker:
    """One track a face; notes when it was asked."""

    def __init__(self, make_track) -> None:
        self._make_track = make_track
        self.times_s: list[float] = []

    def update(self, faces: Sequence[Face], time_s: float) -> list[Track]:
        self.times_s.append(time_s)
        return [self._make_track(number) for number, _ in enumerate(faces, start=1)]

    def expected(self, time_s: float) -> list[Expected]:
        """One box, which tells how many frames have been tracked."""
        return [Expected(Box(0, 0, len(self.times_s), 100 * time_s), True)]

    def note_pictures(self, pictures: Collection[int]) -> None:
        pass


class FakePolicy:
    """An event for every track."""

    def decide(self, tracks: Sequence[Track], time_s: float, frame: int) -> list[Event]:
        return [replace(event(track.id, time_s), frame=frame) for track in tracks]


class FakePlanner:
    """Frames in `whole` are searched whole, others at their tracks; those in `again` whole after that."""

    def __init__(self, whole: Sequence[int] = (), again: Sequence[int] = ()) -> None:
        self._whole, self._again = whole, list(again)
        self._index = -1
        self.reviewed: list[tuple[int, int]] = []  # frame, how many faces

    def plan(self, frame: Frame, expected: Sequence[Expected]) -> list[Box] | None:
        self._index = frame.index
        return None if frame.index in self._whole else [track.box for track in expected]

    def review(self, faces: Sequence[Face]) -> bool:
        self.reviewed.append((self._index, len(faces)))
        if self._index not in self._again:
            return False
        self._again.remove(self._index)
        return True


@pytest.fixture
def run(make_face, make_track):
    """Runs frames with 0, 1, 2, 0, 1, 2, … faces."""

    def steps(count: int, batch: int):
        faces = [[make_face()] * (index % 3) for index in range(count)]
        analyzer, tracker = FakeAnalyzer(faces), FakeTracker(make_track)
        pipeline = Pipeline(analyzer, tracker, FakePolicy(), batch=batch)
        return list(pipeline.steps(frame(index) for index in range(count))), analyzer, tracker

    return steps


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_every_frame_gives_a_step_in_order_whatever_the_batch(run, batch):
    steps, _, tracker = run(7, batch)
    assert [s.frame.index for s in steps] == list(range(7))
    assert [len(s.faces) for s in steps] == [0, 1, 2, 0, 1, 2, 0]
    assert [[t.id for t in s.tracks] for s in steps] == [[], [1], [1, 2], [], [1], [1, 2], []]
    assert [s.events for s in steps] == [s.events for s in run(7, 1)[0]]
    assert tracker.times_s == [index / 10 for index in range(7)]


def test_frames_are_analysed_a_batch_at_a_time_and_the_rest_at_the_end(run):
    assert run(7, 3)[1].batches == [3, 3, 1]


def test_an_event_carries_the_index_of_its_frame(run):
    steps, _, _ = run(6, 4)
    assert [e.frame for s in steps for e in s.events] == [1, 2, 2, 4, 5, 5]


def test_with_a_planner_each_frame_is_looked_at_where_it_says(make_face, make_track):
    analyzer = FakeAnalyzer([[make_face(5, 5, 10)]] * 4)
    planner = FakePlanner(whole=[0, 3])
    pipeline = Pipeline(analyzer, FakeTracker(make_track), FakePolicy(), batch=8, planner=planner)
    steps = list(pipeline.steps(frame(index) for index in range(4)))
    assert [len(s.faces) for s in steps] == [1, 1, 1, 1]
    assert analyzer.hints == [None, [Box(0, 0, 1, 10)], [Box(0, 0, 2, 20)], None]
    assert planner.reviewed == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_a_frame_that_the_planner_wants_again_is_searched_whole_before_it_is_tracked(make_face, make_track):
    far = make_face(500, 500, 10)  # where no hint is
    analyzer, tracker = FakeAnalyzer([[far]] * 3), FakeTracker(make_track)
    planner = FakePlanner(whole=[0], again=[1])
    pipeline = Pipeline(analyzer, tracker, FakePolicy(), planner=planner)
    steps = list(pipeline.steps(frame(index) for index in range(3)))
    assert [len(s.faces) for s in steps] == [1, 1, 0]
    assert planner.reviewed == [(0, 1), (1, 0), (1, 1), (2, 0)]
    assert len(tracker.times_s) == 3


def test_with_a_planner_a_step_waits_for_no_frame_beyond_its_own(make_track):
    taken = []
    frames = (taken.append(index) or frame(index) for index in range(10))
    planner = FakePlanner()
    next(
        Pipeline(FakeAnalyzer(), FakeTracker(make_track), FakePolicy(), batch=4, planner=planner).steps(
            frames
        )
    )
    assert taken == [0]


def test_no_frames_give_no_steps(run):
    assert run(0, 4)[0] == []


def test_a_step_waits_for_no_frame_beyond_its_batch(make_track):
    taken = []
    frames = (taken.append(index) or frame(index) for index in range(10))
    steps = Pipeline(FakeAnalyzer(), FakeTracker(make_track), FakePolicy(), batch=2).steps(frames)
    next(steps)
    assert taken == [0, 1]


def test_timed_passes_the_frames_on_and_counts_their_decoding():
    telemetry, frames = Telemetry(), [frame(0), frame(1), frame(2)]
    assert list(timed(iter(frames), telemetry)) == frames
    (decode,) = telemetry.latencies()
    assert (decode.stage, decode.count) == ("decode", 3)


def test_a_person_is_told_of_with_times_verdicts_and_events(make_track):
    people = People()
    people.add(step(5, [make_track(1, Verdict.UNKNOWN)]))  # first seen age_s = 0.1 s before
    people.add(step(6, [make_track(1, Verdict.NONE)], [event(1, 0.6)]))
    people.add(step(7, [make_track(1, Verdict.NONE)]))
    people.add(step(9, [make_track(1, Verdict.NONE, missing_s=0.2)]))
    (person,) = people.latest()
    assert (person.first_s, person.last_s) == pytest.approx((0.4, 0.7))
    assert person.verdicts == [(0.5, Verdict.UNKNOWN), (0.6, Verdict.NONE)]
    assert person.events == [event(1, 0.6)]


def test_the_same_number_on_two_cameras_is_two_people(make_track):
    people = People()
    for camera in ("door", "gate"):
        people.add(step(0, [make_track(1)], [event(1, 0.0, camera)], camera))
    assert [(p.camera, p.event_count) for p in people.latest()] == [("door", 1), ("gate", 1)]


def test_only_the_latest_people_are_kept_and_all_are_counted(make_track):
    people = People()
    for number in range(PEOPLE_KEPT + 5):
        people.add(step(number, [make_track(number)]))
    assert people.tracks == PEOPLE_KEPT + 5
    assert [p.track_id for p in people.latest()] == list(range(5, PEOPLE_KEPT + 5))


def test_who_stays_while_many_pass_is_neither_forgotten_nor_counted_twice(make_track):
    people = People()
    for number in range(1, PEOPLE_KEPT + 5):
        people.add(step(number, [make_track(0), make_track(number)]))
    assert people.tracks == PEOPLE_KEPT + 5
    assert people.latest()[0].track_id == 0
    assert len(people.latest()) == PEOPLE_KEPT


def test_who_stays_all_day_fills_no_memory(make_track):
    people = People()
    for index in range(200):
        verdict = Verdict.NONE if index % 2 else Verdict.UNKNOWN
        people.add(step(index, [make_track(1, verdict)], [event(1, index / 10)]))
    (person,) = people.latest()
    assert (len(person.verdicts), person.verdict_count) == (CHANGES_KEPT, 200)
    assert (len(person.events), person.event_count) == (CHANGES_KEPT, 200)


def test_frames_of_many_cameras_are_searched_together_and_each_is_planned_for_itself(make_face, make_track):
    left, right = make_face(20, 20, 40), make_face(120, 20, 40)
    analyzer = FakeAnalyzer([[left], [right, right]])
    planners = {"left": FakePlanner(whole=[0]), "right": FakePlanner(again=[0])}
    pipelines = {
        name: Pipeline(analyzer, FakeTracker(make_track), FakePolicy(), planner=planner)
        for name, planner in planners.items()
    }
    steps = advance(analyzer, [(pipelines[name], frame(0, name)) for name in planners])
    assert [one.frame.camera for one in steps] == ["left", "right"]
    assert [len(one.faces) for one in steps] == [1, 2]
    assert analyzer.batches == [2, 1], "both at once, then the one that wants more"
    assert analyzer.hints[0] is None
    assert analyzer.hints[1] is not None
    assert advance(analyzer, []) == []


def test_large_frames_are_analysed_in_smaller_groups():
    frame = np.broadcast_to(np.zeros(3, np.uint8), (4320, 7680, 3))
    groups = [len(group) for group in _groups([Frame("gate", i, i / 10, frame) for i in range(5)], 8)]
    assert groups == [2, 2, 1]


def test_faces_in_an_ignored_place_are_not_tracked_but_stay_in_the_step(make_face, make_track):
    faces = [make_face(1, 1, 2), make_face(6, 6, 2)]
    pipeline = Pipeline(
        FakeAnalyzer([faces, faces]), FakeTracker(make_track), FakePolicy(), ignore=((0.0, 0.0, 0.2, 0.2),)
    )
    (one,) = pipeline.steps([frame(0)])
    assert (one.faces, len(one.tracks)) == (tuple(faces), 1)
    pipeline.ignore = ()
    (one,) = pipeline.steps([frame(1)])
    assert len(one.tracks) == 2
