"""Frames of several cameras are searched together, and each camera's people are its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from gatecam.live.camera_alerts import CameraAlerts
from gatecam.live.watch import Watch
from gatecam.people.pipeline import Pipeline
from gatecam.people.policy import AlertPolicy
from gatecam.people.tracker import FaceTracker
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import PolicyConfig, TrackerConfig
from gatecam.types import CameraCondition, CameraState, EventKind, Frame, Verdict
from gatecam.vision.fake import FakeAnalyzer

LOST = CameraState(CameraCondition.LOST, "camera south gives no picture.", 0.0)


def frame(camera: str, index: int) -> Frame:
    return Frame(camera, index, index / 10, np.zeros((48, 64, 3), np.uint8))


def watch(analyzer: FakeAnalyzer, telemetry: Telemetry, alerts: CameraAlerts) -> Watch:
    pipelines = {
        name: Pipeline(analyzer, FaceTracker(TrackerConfig(settle_s=0)), AlertPolicy(PolicyConfig(), name))
        for name in ("north", "south")
    }
    return Watch(analyzer, pipelines, alerts, telemetry, clock=lambda: 10.0)


def test_the_frames_of_a_round_are_analysed_at_once_and_come_back_in_order():
    analyzer, telemetry = FakeAnalyzer(), Telemetry()
    rounds = watch(analyzer, telemetry, CameraAlerts()).rounds(
        [[frame("north", 0), frame("south", 0)], [], [frame("south", 1)]]
    )
    assert [[step.frame.camera for step in turn.steps] for turn in rounds] == [
        ["north", "south"],
        [],
        ["south"],
    ]
    assert analyzer.batches == [2, 1]
    (latency,) = [each for each in telemetry.latencies() if each.stage == "capture to decision"]
    assert (latency.count, latency.p50_ms) == (3, 10_000.0)


def test_each_camera_has_people_and_alerts_of_its_own(make_face):
    bare = make_face(30, 20, 20)
    script = ([bare] if number % 2 == 0 else [] for number in range(40))
    rounds = watch(FakeAnalyzer(script), Telemetry(), CameraAlerts()).rounds(
        [frame("north", index), frame("south", index)] for index in range(20)
    )
    events = [event for turn in rounds for event in turn.events]
    assert [(event.kind, event.camera) for event in events] == [(EventKind.MASK_MISSING, "north")]


@pytest.mark.parametrize(("reason", "is_told"), [("frozen", False), ("unfocused", True)])
def test_nothing_is_told_about_people_in_a_frozen_picture_who_may_be_gone(make_face, reason, is_told):
    alerts, bare = CameraAlerts(), make_face(30, 20, 20)
    alerts.note("north", CameraState(CameraCondition.BLIND, reason, 0.0))
    rounds = watch(FakeAnalyzer([bare] for _ in range(20)), Telemetry(), alerts).rounds(
        [frame("north", index)] for index in range(20)
    )
    steps = [step for turn in rounds for step in turn.steps]
    assert steps[-1].tracks[0].verdict is Verdict.NONE
    assert any(step.events for step in steps) == is_told


def test_a_lost_camera_is_told_in_a_round_without_frames():
    alerts = CameraAlerts()
    alerts.note("south", LOST)
    (turn,) = watch(FakeAnalyzer(), Telemetry(), alerts).rounds([[]])
    assert [(event.kind, event.camera) for event in turn.events] == [(EventKind.CAMERA_BLIND, "south")]
    assert (turn.time_s, turn.steps) == (10.0, ())


class SlowAnalyzer(FakeAnalyzer):
    """Takes so long a frame, by a clock of its own."""

    def __init__(self, each_s: float) -> None:
        super().__init__()
        self.now_s, self.each_s = 0.0, each_s

    def analyze(self, images, hints=None, cameras=None, expected=None):
        self.now_s += self.each_s * len(images)
        return super().analyze(images, hints, cameras, expected)


def newest(
    names: list[str], analyzer: SlowAnalyzer, seconds: float, fps: float = 10.0
) -> Iterator[list[Frame]]:
    """What cameras give by the analyser's clock, each a little later than the last one: the newest, once."""
    given = dict.fromkeys(names, -1)
    while analyzer.now_s < seconds:
        frames = []
        for place, name in enumerate(names):
            late_s = place / len(names) / fps
            index = int((analyzer.now_s - late_s) * fps) if analyzer.now_s >= late_s else -1
            if index > given[name]:
                given[name] = index
                frames.append(Frame(name, index, index / fps + late_s, np.zeros((48, 64, 3), np.uint8)))
        analyzer.now_s += 0.0 if frames else 0.001
        yield frames


def watch_many(each_s: float) -> tuple[Counter[str], list[float], SlowAnalyzer]:
    """Ten seconds of eight cameras: the frames judged of each, and how old they were when they were."""
    names = [f"camera {number}" for number in range(8)]
    analyzer, delays_s, judged = SlowAnalyzer(each_s), [], Counter()
    pipelines = {
        name: Pipeline(analyzer, FaceTracker(TrackerConfig()), AlertPolicy(PolicyConfig(), name))
        for name in names
    }
    many = Watch(analyzer, pipelines, CameraAlerts(), Telemetry(), clock=lambda: analyzer.now_s)
    for turn in many.rounds(newest(names, analyzer, 10.0)):
        for step in turn.steps:
            judged[step.frame.camera] += 1
            delays_s.append(turn.time_s - step.frame.time_s)
    return judged, sorted(delays_s), analyzer


def test_no_camera_starves_where_there_is_time_for_half_of_the_frames():
    judged, delays_s, analyzer = watch_many(each_s=0.025)
    assert min(judged.values()) >= 48  # of 400 that there is time for
    assert max(judged.values()) - min(judged.values()) <= 1
    assert delays_s[-1] < 0.1 + 8 * 0.025 + 0.025
    assert max(analyzer.batches[8:]) == 4, "a tenth of a second's frames at once"


def test_an_analyser_that_becomes_too_slow_is_told_once_and_its_recovery_too():
    analyzer = SlowAnalyzer(0.02)
    pipelines = {
        "gate": Pipeline(analyzer, FaceTracker(TrackerConfig()), AlertPolicy(PolicyConfig(), "gate"))
    }
    alerts, told = CameraAlerts(), []
    watch = Watch(analyzer, pipelines, alerts, Telemetry(), clock=lambda: analyzer.now_s)
    for turn in watch.rounds(newest(["gate"], analyzer, 120.0)):
        analyzer.each_s = 0.6 if 40.0 < analyzer.now_s < 80.0 else 0.02
        told += [(event.kind, event.reason, event.time_s // 20) for event in turn.events]
    few = "few_frames"
    assert told == [(EventKind.TOO_SLOW, few, 2), (EventKind.FAST_ENOUGH, few, 4)]


def test_frames_that_come_in_time_are_all_judged():
    judged, delays_s, _ = watch_many(each_s=0.004)
    assert min(judged.values()) >= 98
    assert delays_s[-1] < 0.04
