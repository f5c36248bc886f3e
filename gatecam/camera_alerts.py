"""Floor 3: a camera that does not see is an alert, once an outage, and its end is told as well."""

from __future__ import annotations

from gatecam.types import CameraState, Event, EventKind, Verdict

CLEAR_S = 2.0  # of seeing, before an outage counts as over: a loose plug is one alert


class CameraAlerts:
    """Turns the states of cameras into events.

    Whether a camera sees was weighed where its state comes from, so that an outage is told at once.
    """

    def __init__(self) -> None:
        self._states: dict[str, CameraState] = {}
        self._told: dict[str, str] = {}  # why each camera did not see that was told of

    @property
    def states(self) -> dict[str, CameraState]:
        """The latest state of each camera, by its name."""
        return dict(self._states)

    def note(self, camera: str, state: CameraState) -> None:
        """Take in a camera's new state."""
        self._states[camera] = state

    def due(self, now_s: float) -> list[Event]:
        """The events that are due at a monotonic time."""
        events = []
        for camera, state in self._states.items():
            reason = state.blindness
            if reason and camera not in self._told:
                self._told[camera] = reason
                events.append(_event(EventKind.CAMERA_BLIND, camera, reason, now_s))
            elif state.sees and camera in self._told and now_s - state.since_s >= CLEAR_S:
                events.append(_event(EventKind.CAMERA_OK, camera, self._told.pop(camera), now_s))
        return events


def _event(kind: EventKind, camera: str, reason: str, now_s: float) -> Event:
    return Event(kind, camera, 0, Verdict.UNKNOWN, now_s, reason=reason)
