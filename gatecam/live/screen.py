"""Draw the window of `gatecam run`: each camera's picture, or a notice that the camera is blind."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from gatecam.live.parts import Live
from gatecam.live.window import Window
from gatecam.pictures.draw import Banner, annotate, camera_notice, tile
from gatecam.runtime.wall_clock import time_of_day
from gatecam.settings.schema import Config, Geometry
from gatecam.types import CameraState, Image, Round, Step

RATE_FRAMES = 30  # the frame rate on the screen is averaged over this many frames


class Screen:
    """Shows the pictures of all cameras side by side in a window and handles its keys each round."""

    def __init__(self, window: Window, stop: Callable[[], None], config: Config) -> None:
        """Prepare a view of each camera. `stop` is called when the user closes the window."""
        self._window, self._stop = window, stop
        self._views: dict[str, _View] = {}
        self.apply(config)

    def apply(self, config: Config) -> None:
        """Show the cameras, regions and ignored places of new settings."""
        names = [one.camera.name for one in config.watched]
        self._views = {name: self._views.get(name) or _View(name) for name in names}
        for one in config.watched:
            self._views[one.camera.name].geometry = one.detector

    def show(self, turn: Round, live: Live) -> None:
        """Show the new pictures of a round and handle the window's keys."""
        changed = False
        for name, state in live.alerts.states.items():
            if name not in self._views:
                continue
            steps = [step for step in turn.steps if step.frame.camera == name]
            changed |= self._views[name].update(steps, state, several=len(self._views) > 1)
        pictures = [view.picture for view in self._views.values() if view.picture is not None]
        if not (self._window.show(tile(pictures)) if changed and pictures else self._window.is_open()):
            self._stop()


class _View:
    """Draws one camera's picture, with frame rate and age in the corner."""

    def __init__(self, name: str) -> None:
        self.geometry: Geometry | None = None
        self.picture: Image | None = None
        self._name = name
        self._banner = Banner()
        self._shown_s: deque[float] = deque(maxlen=RATE_FRAMES)
        self._noticed: CameraState | None = None  # the state that the picture shows

    def update(self, steps: list[Step], state: CameraState, several: bool) -> bool:
        """Draw the picture again if needed. Return whether it has changed."""
        reason = state.blindness
        if reason and (steps or state is not self._noticed):
            image = steps[-1].frame.image if steps else None
            self.picture = camera_notice(image, reason, time_of_day(state.since_s))
        elif steps and not reason:
            self.picture = self._annotated(steps[-1], several)
        else:
            return False
        self._noticed = state
        return True

    def _annotated(self, step: Step, several: bool) -> Image:
        now_s = time.monotonic()
        self._shown_s.append(now_s)
        age_ms = (now_s - step.frame.time_s) * 1000
        corner = f"{self._rate():.0f} frames/s  {age_ms:.0f} ms old"
        if several:
            corner = f"{self._name}  {corner}"
        banner = self._banner.update(step)
        return annotate(step, banner=banner, corner=corner, geometry=self.geometry)

    def _rate(self) -> float:
        seconds = self._shown_s[-1] - self._shown_s[0]
        return (len(self._shown_s) - 1) / seconds if seconds > 0 else 0.0
