"""Measure what each camera sees, and give advice for its place and settings."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass
from statistics import median

import numpy as np

from gatecam.settings.explain import WANTED_PX
from gatecam.settings.schema import Config
from gatecam.types import Image, Round, Step

KEPT_S = 10.0  # time over which a camera is measured
BRIGHTNESS_S = 0.5  # least time between two measurements of the brightness
STEP_PX = 8  # the brightness is measured at every eighth pixel of every eighth row
DARK, BRIGHT = 0.15, 0.85  # mean brightness, as shares of white, beyond which faces are hard to judge
FEW_FPS = 5.0  # with fewer judged frames a second, people are judged late


@dataclass(frozen=True, slots=True)
class Sight:
    """Describes what a camera has seen in the last seconds.

    `width` and `height` are the picture's, in px. `fps` counts judged frames. `brightness` is the picture's
    mean as a share of white. `face_px` is the median width of the largest face, None without one. `people`
    and `verdicts` are about the newest frame.
    """

    width: int
    height: int
    fps: float
    brightness: float
    face_px: int | None
    people: int
    verdicts: tuple[str, ...]

    def advice(self) -> list[str]:
        """Return the keys of the advice in `page_words`, most important first. "good" means nothing to do."""
        found = []
        if self.brightness < DARK:
            found.append("dark")
        if self.brightness > BRIGHT:
            found.append("bright")
        if self.fps < FEW_FPS:
            found.append("few")
        if self.face_px is None:
            found.append("nobody")
        elif self.face_px < WANTED_PX:
            found.append("small")
        return found or ["good"]


class _View:
    """Keeps the last seconds of one camera."""

    def __init__(self) -> None:
        self.times_s: deque[float] = deque()
        self.faces: deque[tuple[float, float]] = deque()  # time, width of the largest face in px
        self.brightness, self._bright_s = 0.0, -BRIGHTNESS_S
        self.newest: Step | None = None

    def note(self, step: Step) -> None:
        now_s = step.frame.time_s
        self.newest = step
        self.times_s.append(now_s)
        if widths := [track.box.width for track in step.tracks if track.in_view]:
            self.faces.append((now_s, max(widths)))
        while self.times_s[0] < now_s - KEPT_S:
            self.times_s.popleft()
        while self.faces and self.faces[0][0] < now_s - KEPT_S:
            self.faces.popleft()
        if now_s - self._bright_s >= BRIGHTNESS_S:
            self._bright_s, self.brightness = now_s, _brightness(step.frame.image)

    def sight(self, step: Step) -> Sight:
        height, width = step.frame.image.shape[:2]
        times_s, widths = list(self.times_s), [width for _, width in list(self.faces)]
        span_s = times_s[-1] - times_s[0]
        seen = [track for track in step.tracks if track.in_view]
        return Sight(
            width,
            height,
            round((len(times_s) - 1) / span_s, 1) if span_s > 0 else 0.0,
            round(self.brightness, 2),
            round(median(widths)) if widths else None,
            len(seen),
            tuple(track.verdict.value for track in seen),
        )


class Sights:
    """Measures what the cameras see. The live loop calls `note`, and any thread reads with `of`."""

    def __init__(self) -> None:
        self._views: defaultdict[str, _View] = defaultdict(_View)

    def note(self, turn: Round) -> None:
        """Take the steps of a round."""
        for step in turn.steps:
            self._views[step.frame.camera].note(step)

    def apply(self, config: Config) -> None:
        """Forget the cameras that new settings no longer have."""
        for name in self._views.keys() - {one.camera.name for one in config.watched}:
            del self._views[name]

    def of(self, camera: str, now_s: float | None = None) -> Sight | None:
        """Return what a camera sees, or None if it has given no frame for some seconds."""
        view = self._views.get(camera)
        if view is None or view.newest is None:
            return None
        age_s = (time.monotonic() if now_s is None else now_s) - view.newest.frame.time_s
        return None if age_s > KEPT_S else view.sight(view.newest)


def _brightness(image: Image) -> float:
    return float(np.mean(image[::STEP_PX, ::STEP_PX])) / 255
