"""Raise an alert when a camera is blind or too slow, and report when that is over."""

from __future__ import annotations

from collections import defaultdict

from gatecam.live.pace import Pace
from gatecam.settings.schema import TRIAL, PaceConfig
from gatecam.types import CameraCondition, CameraState, Event, EventKind, Frame, Verdict

CLEAR_S = 2.0  # an outage is over when the camera has seen for this long, so a loose plug causes one alert

DEFAULT_PACE = PaceConfig()


class CameraAlerts:
    """Turns the states and the pace of cameras into events.

    An outage is reported at once, because the camera's state already allows for short failures.
    """

    def __init__(self, pace: PaceConfig = DEFAULT_PACE) -> None:
        self._states: dict[str, CameraState] = {}
        self._blind: dict[str, str] = {}  # cameras reported as blind, with the reason
        self._pace = pace
        self._paces: defaultdict[str, Pace] = defaultdict(lambda: Pace(self._pace))
        self._slow: dict[str, str] = {}  # cameras reported as too slow, with the reason

    @property
    def states(self) -> dict[str, CameraState]:
        """Return the latest state of each camera by its name."""
        return dict(self._states)

    @property
    def slow(self) -> dict[str, str]:
        """Return the cameras reported as too slow by name, each with its reason."""
        return dict(self._slow)

    def pace(self, camera: str) -> Pace:
        """Return the pace at which a camera's frames are judged."""
        return self._paces[camera]

    def note(self, camera: str, state: CameraState) -> None:
        """Record a camera's new state."""
        self._states[camera] = state
        if state.kind in (CameraCondition.OPENING, CameraCondition.LOST):
            self._paces[camera].pause()

    def judged(self, frame: Frame, now_s: float) -> None:
        """Record that a frame was just judged. A camera that is only tried out is left out."""
        if frame.camera != TRIAL:
            self._paces[frame.camera].note(frame, now_s)

    def forget(self, camera: str) -> None:
        """Forget a camera that is no longer watched."""
        for known in (self._states, self._blind, self._paces, self._slow):
            known.pop(camera, None)

    def apply(self, pace: PaceConfig) -> None:
        """Apply new limits to the pace of all cameras."""
        self._pace = pace
        for each in self._paces.values():
            each.config = pace

    def due(self, now_s: float) -> list[Event]:
        """Return the events that are due at a monotonic time."""
        events = []
        for camera, state in self._states.items():
            reason = state.blindness
            if reason and camera not in self._blind:
                self._blind[camera] = reason
                events.append(_event(EventKind.CAMERA_BLIND, camera, reason, now_s))
            elif state.sees and camera in self._blind and now_s - state.since_s >= CLEAR_S:
                events.append(_event(EventKind.CAMERA_OK, camera, self._blind.pop(camera), now_s))
        for camera, pace in self._paces.items():
            if pace.slowness is not None and camera not in self._slow:
                self._slow[camera] = pace.slowness
                events.append(_event(EventKind.TOO_SLOW, camera, pace.slowness, now_s))
            elif pace.slowness is None and camera in self._slow:
                events.append(_event(EventKind.FAST_ENOUGH, camera, self._slow.pop(camera), now_s))
        return events


def _event(kind: EventKind, camera: str, reason: str, now_s: float) -> Event:
    return Event(kind, camera, 0, Verdict.UNKNOWN, now_s, reason=reason)
