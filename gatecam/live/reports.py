"""Report the state of the cameras to the log, to `gatecam status` and to the service manager."""

from __future__ import annotations

import logging

from gatecam.kiosk.notify_socket import Notifier, Watchdog
from gatecam.live.pace import too_slow
from gatecam.live.parts import Live
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.logs import say
from gatecam.runtime.wall_clock import time_of_day
from gatecam.types import CameraCondition, CameraState, EventKind, Round


class Troubles:
    """Holds the current troubles as sentences for `gatecam status`."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def sentences(self) -> tuple[str, ...]:
        """Return the current troubles. If two parts report the same sentence, it comes once."""
        return tuple(dict.fromkeys(self._of.values()))

    def note(self, what: str, text: str | None) -> None:
        """Set the sentence about something, replacing an earlier one. None removes it."""
        if text is None:
            self._of.pop(what, None)
        else:
            self._of[what] = text


class CameraLog:
    """Logs when a camera goes blind, when it is blind for another reason, and when it sees again."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, float]] = {}  # the reason, and since when the camera is blind

    def __call__(self, name: str, state: CameraState) -> None:
        """Take a camera's new state."""
        told, reason = self._told.get(name), state.blindness
        if reason and (told is None or told[0] != reason):
            self._told[name] = reason, state.since_s if told is None else told[1]
            text = f"camera {name} does not see: {reason}."
            if state.kind is CameraCondition.LOST:
                text = f"{state.reason} It is tried again until it is back."
            say(text, level=logging.WARNING, camera=name, reason=reason)
        elif state.sees and told is not None:
            del self._told[name]
            after_s = round(state.since_s - told[1], 1)
            say(f"camera {name} sees again, after {after_s:g} s", camera=name, after_s=after_s)


class Supervised:
    """Reports progress and blind or slow cameras to the service manager."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier, self._watchdog = notifier, Watchdog(notifier)
        self._said = ""
        self._judged_s: dict[str, float] = {}  # when the newest judged frame of each camera was taken

    def note(self, turn: Round, live: Live) -> None:
        """Take a round."""
        states = live.alerts.states
        self._judged_s |= {step.frame.camera: step.frame.time_s for step in turn.steps}
        if turn.steps or not self._is_behind(live):
            self._watchdog.feed(turn.time_s)
        blind = [
            f"{name} has not seen since {time_of_day(state.since_s)} ({reason})"
            for name, state in states.items()
            if (reason := state.blindness)
        ]
        slow = [f"{name} is judged too slowly ({reason})" for name, reason in live.alerts.slow.items()]
        text = "; ".join([*blind, *slow]) or f"watches {len(states)} camera{'s' * (len(states) != 1)}"
        if text != self._said:
            self._said = text
            self._notifier.status(text)

    def _is_behind(self, live: Live) -> bool:
        """Return whether a camera that sees has given a frame that was not judged."""
        return any(
            camera.state.sees and (camera.last_frame_s or 0.0) > self._judged_s.get(camera.name, 0.0)
            for camera in live.cameras.cameras
        )


def pace_of(camera: str) -> str:
    """Return the name of the trouble that a camera is too slow."""
    return f"pace of {camera}"


def tell_pace(turn: Round, live: Live, analyzer: FaceAnalyzer, troubles: Troubles) -> None:
    """Log when a camera becomes too slow, and report that as a trouble until it ends."""
    for event in turn.camera_events:
        camera, what = event.camera, pace_of(event.camera)
        if event.kind is EventKind.TOO_SLOW:
            text = too_slow(camera, live.alerts.pace(camera), analyzer.device)
            say(text, level=logging.WARNING, camera=camera, reason=event.reason)
            troubles.note(what, text)
        elif event.kind is EventKind.FAST_ENOUGH:
            say(f"camera {camera}: its frames are judged in time again", camera=camera)
            troubles.note(what, None)
