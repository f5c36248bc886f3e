"""Frames of several cameras are searched together, and each camera's people are its own."""

from __future__ import annotations

import numpy as np

from gatecam.camera_alerts import CameraAlerts
from gatecam.config import PolicyConfig, TrackerConfig
from gatecam.pipeline import Pipeline
from gatecam.policy import AlertPolicy
from gatecam.telemetry import Telemetry
from gatecam.tracking import FaceTracker
from gatecam.types import CameraCondition, CameraState, EventKind, Frame
from gatecam.vision.fake import FakeAnalyzer
from gatecam.watching import Watch

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


def test_a_lost_camera_is_told_in_a_round_without_frames():
    alerts = CameraAlerts()
    alerts.note("south", LOST)
    (turn,) = watch(FakeAnalyzer(), Telemetry(), alerts).rounds([[]])
    assert [(event.kind, event.camera) for event in turn.events] == [(EventKind.CAMERA_BLIND, "south")]
    assert (turn.time_s, turn.steps) == (10.0, ())
