"""A camera that does not see is told once an outage, with its reason, and cleared by itself."""

from __future__ import annotations

import pytest

from gatecam.live.camera_alerts import CLEAR_S, CameraAlerts
from gatecam.types import CameraCondition, CameraState, EventKind, Verdict

OPENING = CameraState(CameraCondition.OPENING, "", 0.0)


def lost(since_s: float = 5.0) -> CameraState:
    return CameraState(CameraCondition.LOST, "camera gate gives no picture.", since_s)


def blind(reason: str, since_s: float = 5.0) -> CameraState:
    return CameraState(CameraCondition.BLIND, reason, since_s)


def seeing(since_s: float) -> CameraState:
    return CameraState(CameraCondition.OPEN, "", since_s)


@pytest.mark.parametrize(("state", "reason"), [(lost(), "lost"), (blind("frozen"), "frozen")])
def test_a_camera_that_does_not_see_is_told_at_once_and_only_once(state, reason):
    alerts = CameraAlerts()
    alerts.note("gate", state)
    (event,) = alerts.due(7.0)
    assert (event.kind, event.camera, event.reason) == (EventKind.CAMERA_BLIND, "gate", reason)
    assert (event.time_s, event.verdict, event.track_id) == (7.0, Verdict.UNKNOWN, 0)
    assert alerts.due(7.1) == alerts.due(700.0) == []


def test_it_is_cleared_once_the_camera_has_seen_for_a_while():
    alerts = CameraAlerts()
    alerts.note("gate", lost())
    alerts.due(7.0)
    alerts.note("gate", seeing(10.0))
    assert alerts.due(10.0 + CLEAR_S - 0.01) == []
    (event,) = alerts.due(10.0 + CLEAR_S)
    assert (event.kind, event.reason) == (EventKind.CAMERA_OK, "lost")
    assert alerts.due(100.0) == []


def test_a_loose_plug_is_one_outage():
    alerts, told = CameraAlerts(), []
    for second in range(5, 60, 2):
        alerts.note("gate", lost(second))
        told += alerts.due(second)
        alerts.note("gate", seeing(second + 0.5))
        told += alerts.due(second + 1.0)
    assert [event.kind for event in told] == [EventKind.CAMERA_BLIND]


def test_another_reason_within_one_outage_is_not_told_again():
    alerts = CameraAlerts()
    alerts.note("gate", lost())
    alerts.due(7.0)
    alerts.note("gate", blind("dark", 8.0))
    assert alerts.due(8.0) == []
    assert alerts.states["gate"].blindness == "dark"


def test_a_camera_that_opens_or_sees_from_the_start_is_not_told():
    alerts = CameraAlerts()
    alerts.note("gate", OPENING)
    alerts.note("yard", seeing(1.0))
    assert alerts.due(100.0) == []
    assert OPENING.blindness == ""


def test_cameras_are_told_each_by_itself():
    alerts = CameraAlerts()
    alerts.note("gate", lost())
    assert [event.camera for event in alerts.due(6.0)] == ["gate"]
    alerts.note("yard", blind("covered"))
    assert [event.camera for event in alerts.due(7.0)] == ["yard"]
