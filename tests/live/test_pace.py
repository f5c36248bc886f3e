"""A camera counts as judged too slowly only where that lasts, and where the machine is to blame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from gatecam.live.camera_alerts import CameraAlerts
from gatecam.live.pace import START_S, WINDOW_S, WINDOWS, Pace, too_slow
from gatecam.settings.schema import PaceConfig
from gatecam.types import CameraCondition, CameraState, EventKind, Frame, Slowness

PICTURE = np.zeros((4, 4, 3), np.uint8)
LOST = CameraState(CameraCondition.LOST, "camera gate gives no picture.", 0.0)
TOLD_S = START_S + WINDOWS * WINDOW_S


class Gate:
    """A camera whose frames are judged by made-up time."""

    def __init__(self, config: PaceConfig = PaceConfig()) -> None:  # noqa: B008
        self.alerts, self.now_s, self.index = CameraAlerts(config), 0.0, 0.0
        self.told: list[tuple[float, EventKind, str]] = []

    def judge(self, seconds: float, judged_fps: float, given_fps: float, age_s: float = 0.05) -> Gate:
        for _ in range(round(seconds * judged_fps)):
            self.now_s += 1 / judged_fps
            self.index += given_fps / judged_fps
            frame = Frame("gate", int(self.index), self.now_s - age_s, PICTURE)
            self.alerts.judged(frame, self.now_s)
            self.told += [(self.now_s, event.kind, event.reason) for event in self.alerts.due(self.now_s)]
        return self


@pytest.mark.parametrize(
    ("judged_fps", "given_fps", "age_s", "reason"),
    [
        (1.5, 30, 1.5, Slowness.FEW_FRAMES),
        (3, 30, 0.4, Slowness.FEW_FRAMES),
        (3, 5, 0.4, Slowness.FEW_FRAMES),  # held to five by camera.max_fps, and three are judged
        (12, 30, 1.5, Slowness.LATE),
        (2, 2, 1.5, Slowness.LATE),
        (2, 2, 0.3, None),  # a camera that gives two
        (3.9, 4.3, 0.1, None),  # nearly all that come
        (5, 30, 0.3, None),
        (30, 30, 0.03, None),
    ],
)
def test_too_slow_is_what_is_judged_seldom_or_late_by_the_machine(judged_fps, given_fps, age_s, reason):
    gate = Gate().judge(60, judged_fps, given_fps, age_s)
    assert [(kind, why) for _, kind, why in gate.told] == ([(EventKind.TOO_SLOW, reason)] if reason else [])
    assert gate.alerts.slow == ({"gate": reason} if reason else {})


def test_the_first_seconds_do_not_count_and_two_windows_must_agree():
    gate = Gate().judge(60, 2, 30)
    assert TOLD_S <= gate.told[0][0] <= TOLD_S + 2.0
    busy_start = Gate().judge(START_S, 1, 30, 3.0).judge(60, 20, 30)
    short = Gate().judge(30, 20, 30).judge(WINDOW_S, 2, 30).judge(30, 20, 30)
    assert busy_start.told == short.told == []


def test_the_end_is_told_once_the_bounds_are_kept_with_a_margin():
    gate = Gate().judge(30, 2, 30).judge(60, 4.5, 30)
    assert [kind for _, kind, _ in gate.told] == [EventKind.TOO_SLOW], "4.5 of 4 is no margin"
    gate.judge(30, 10, 30)
    assert [(kind, why) for _, kind, why in gate.told[1:]] == [(EventKind.FAST_ENOUGH, "few_frames")]
    assert gate.alerts.slow == {}


def test_a_rate_about_the_bound_does_not_flap():
    gate = Gate()
    for _ in range(40):
        gate.judge(WINDOW_S, 3.6, 30).judge(WINDOW_S, 4.4, 30)
    assert len(gate.told) <= 1


def test_an_outage_is_not_weighed_and_what_was_told_before_holds_over_it():
    gate = Gate().judge(30, 2, 30)
    gate.alerts.note("gate", LOST)
    gate.now_s += 100
    gate.judge(START_S, 2, 30)
    assert [kind for _, kind, _ in gate.told if kind is not EventKind.CAMERA_BLIND] == [EventKind.TOO_SLOW]
    fast = Gate().judge(30, 20, 30)
    fast.alerts.note("gate", LOST)
    fast.now_s += 100
    fast.index += 3000  # that another reader passed over
    fast.judge(60, 20, 30)
    assert [kind for _, kind, _ in fast.told] == [EventKind.CAMERA_BLIND]


def test_bounds_are_settings_and_change_while_it_runs():
    assert Gate(PaceConfig(min_fps=0, max_age_s=60)).judge(60, 1, 30, 3.0).told == []
    gate = Gate().judge(30, 2, 30)
    gate.alerts.apply(PaceConfig(min_fps=1))
    gate.judge(30, 2, 30)
    assert [kind for _, kind, _ in gate.told] == [EventKind.TOO_SLOW, EventKind.FAST_ENOUGH]
    assert all(earlier <= later for (earlier, *_), (later, *_) in pairwise(gate.told))


@pytest.mark.parametrize(("device", "openvino"), [("cpu", True), ("openvino", False), ("cuda", False)])
def test_the_sentence_says_what_helps(device, openvino):
    pace = Pace(PaceConfig())
    pace.judged_fps, pace.given_fps, pace.age_s = 1.52, 30.0, 1.46
    said = too_slow("gate", pace, device)
    assert "1.5 of 30.0 frames/s are judged, 1.5 s after" in said
    assert "camera.max_fps" in said
    assert ("OpenVINO" in said) is openvino
