"""A camera that does not see, or is judged too slowly, is an alert, and its end is told as well."""

from __future__ import annotations

from collections import defaultdict

from gatecam.live.pace import Pace
from gatecam.settings.config import PaceConfig
from gatecam.types import CameraCondition, CameraState, Event, EventKind, Frame, Verdict

CLEAR_S = 2.0  # of seeing, before an outage counts as over: a loose plug is one alert

DEFAULT_PACE = PaceConfig()


class CameraAlerts:
    """Turns the states of cameras, and how fast their frames are judged, into events.

    Whether a camera sees was weighed where its state comes from, so that an outage is told at once.
    """

    def __init__(self, pace: PaceConfig = DEFAULT_PACE) -> None:
        self._states: dict[str, CameraState] = {}
        self._told: dict[str, str] = {}  # why each camera did not see that was told of
        self._pace = pace
        self._paces: defaultdict[str, Pace] = defaultdict(lambda: Pace(self._pace))
        self._slow: dict[str, str] = {}  # why each camera is judged too slowly that was told of

    @property
    def states(self) -> dict[str, CameraState]:
        """The latest state of each camera, by its name."""
        return dict(self._states)

    @property
    def slow(self) -> dict[str, str]:
        """Why each camera is judged too slowly that was told of, by its name."""
        return dict(self._slow)

    def pace(self, camera: str) -> Pace:
        """Return how fast a camera's frames are judged."""
        return self._paces[camera]

    def note(self, camera: str, state: CameraState) -> None:
        """Take in a camera's new state."""
        self._states[camera] = state
        if state.kind in (CameraCondition.OPENING, CameraCondition.LOST):
            self._paces[camera].pause()

    def judged(self, frame: Frame, now_s: float) -> None:
        """Take in a frame that was judged just now."""
        self._paces[frame.camera].note(frame, now_s)

    def apply(self, pace: PaceConfig) -> None:
        """Weigh the pace of all cameras by other bounds from now on."""
        self._pace = pace
        for each in self._paces.values():
            each.config = pace

    def due(self, now_s: float) -> list[Event]:
        """Return the events that are due at a monotonic time."""
        events = []
        for camera, state in self._states.items():
            reason = state.blindness
            if reason and camera not in self._told:
                self._told[camera] = reason
                events.append(_event(EventKind.CAMERA_BLIND, camera, reason, now_s))
            elif state.sees and camera in self._told and now_s - state.since_s >= CLEAR_S:
                events.append(_event(EventKind.CAMERA_OK, camera, self._told.pop(camera), now_s))
        for camera, pace in self._paces.items():
            if pace.slowness is not None and camera not in self._slow:
                self._slow[camera] = pace.slowness
                events.append(_event(EventKind.TOO_SLOW, camera, pace.slowness, now_s))
            elif pace.slowness is None and camera in self._slow:
                events.append(_event(EventKind.FAST_ENOUGH, camera, self._slow.pop(camera), now_s))
        return events


def _event(kind: EventKind, camera: str, reason: str, now_s: float) -> Event:
    return Event(kind, camera, 0, Verdict.UNKNOWN, now_s, reason=reason)
