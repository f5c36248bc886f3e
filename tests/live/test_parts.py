"""Cameras change while gatecam runs: what is known of them goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from gatecam.app import build_pipeline
from gatecam.capture.camera import Cameras
from gatecam.errors import CameraError
from gatecam.live.camera_alerts import CLEAR_S, CameraAlerts
from gatecam.live.parts import CameraLocks, Live
from gatecam.people.pipeline import Pipeline
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import CameraConfig, Config, DetectorConfig
from gatecam.types import CameraCondition, CameraState, EventKind, Slowness
from gatecam.vision.fake import FakeAnalyzer


class FakeCameras:
    """Has the settings of cameras, and opens none."""

    def __init__(self, configs: list[CameraConfig]) -> None:
        self.change(configs)

    def change(self, configs: list[CameraConfig]) -> None:
        self.cameras = [SimpleNamespace(name=one.name, config=one) for one in configs]


class FakeLocks:
    """Locks any camera, unless its source is "taken"."""

    def take(self, camera: CameraConfig) -> None:
        if camera.source == "/dev/taken":
            raise CameraError(f"camera {camera.name} is used by another gatecam.")

    def release(self, names: object) -> None:
        pass


def gate(source: str) -> Config:
    return Config(camera=CameraConfig(name="gate", source=source))


def build(config: Config) -> Pipeline:
    return build_pipeline(config, FakeAnalyzer(), "gate", Telemetry())


@pytest.fixture
def live() -> Live:
    config = gate("rtsp://10.0.0.5/live")
    cameras, locks = cast(Cameras, FakeCameras([config.camera])), cast(CameraLocks, FakeLocks())
    parts = {"gate": build(config)}
    return Live(cameras, CameraAlerts(), iter(()), FakeAnalyzer(), parts, locks, build)


def state(kind: CameraCondition, since_s: float) -> CameraState:
    return CameraState(kind, "", since_s)


def test_a_lost_camera_whose_address_is_corrected_is_told_to_see_again(live):
    live.alerts.note("gate", state(CameraCondition.LOST, 5.0))
    assert [event.kind for event in live.alerts.due(6.0)] == [EventKind.CAMERA_BLIND]
    live.apply(gate("rtsp://10.0.0.6/live"))
    live.alerts.note("gate", state(CameraCondition.OPENING, 7.0))
    assert live.alerts.due(7.5) == []
    live.alerts.note("gate", state(CameraCondition.OPEN, 8.0))
    assert [event.kind for event in live.alerts.due(8.0 + CLEAR_S)] == [EventKind.CAMERA_OK]


def test_a_slow_camera_that_is_changed_is_slow_until_its_pace_is_measured(live):
    pace = live.alerts.pace("gate")
    pace.slowness = Slowness.LATE
    assert [event.kind for event in live.alerts.due(6.0)] == [EventKind.TOO_SLOW]
    live.apply(gate("rtsp://10.0.0.6/live"))
    assert live.alerts.due(7.0) == []
    pace.slowness = None
    assert [event.kind for event in live.alerts.due(30.0)] == [EventKind.FAST_ENOUGH]


def test_people_before_a_changed_camera_keep_their_numbers_and_are_not_told_again(live):
    before = live._pipelines["gate"]
    live.apply(gate("rtsp://10.0.0.6/live"))
    after = live._pipelines["gate"]
    assert after is not before
    assert (after.tracker, after.policy) == (before.tracker, before.policy)


def test_frames_are_searched_whole_or_by_key_frames_as_soon_as_the_settings_say_so(live):
    def applied(every: int) -> bool:
        config = gate("rtsp://10.0.0.5/live")
        live.apply(config.model_copy(update={"detector": DetectorConfig(detect_every=every)}))
        return live._pipelines["gate"].planner is not None

    tracker = live._pipelines["gate"].tracker
    assert [applied(every) for every in (10, 1, 1, 5)] == [True, False, False, True]
    assert live._pipelines["gate"].tracker is tracker


def test_nothing_more_is_told_of_a_camera_that_another_gatecam_has_taken(live):
    live.alerts.note("gate", state(CameraCondition.LOST, 5.0))
    assert "is used by another gatecam" in (live.apply(gate("/dev/taken")) or "")
    assert live.refused == {"gate": "camera gate is used by another gatecam."}
    assert live.alerts.states == {}
    assert live.alerts.due(9.0) == []
    live.apply(gate("rtsp://10.0.0.6/live"))
    assert live.refused == {}
