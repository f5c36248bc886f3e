"""Measure whether one camera's frames are judged often and soon enough.

A frame's index counts all frames that the camera gave. So the gap between two judged frames shows how many
were skipped. A camera that gives few frames, or is limited by `camera.max_fps`, leaves no gap.
"""

from __future__ import annotations

from statistics import median

from gatecam.settings.schema import PaceConfig
from gatecam.types import Frame, Slowness

START_S = 10.0  # nothing is measured this long after the first frame, while the networks warm up
WINDOW_S = 5.0  # frames are counted over this time
WINDOWS = 2  # this many consecutive windows must agree before `slowness` changes
KEPT_SHARE = 0.8  # if this share of the frames is judged, a low rate is the camera's own
MARGIN = 1.25  # hysteresis: the limits must be met by this factor before slowness is over


class Pace:
    """Measures over some seconds how often and how soon one camera's frames are judged."""

    def __init__(self, config: PaceConfig) -> None:
        self.config = config
        self.slowness: Slowness | None = None  # why the camera is too slow now
        self.judged_fps = self.given_fps = self.age_s = 0.0  # in the latest window
        self._start_s: float | None = None  # start of the window, None until there is a frame
        self._first_index = 0
        self._ages_s: list[float] = []
        self._agreeing = 0  # consecutive windows that contradict `slowness`

    def note(self, frame: Frame, now_s: float) -> None:
        """Record that a frame was just judged."""
        if self._start_s is None:
            self._start_s = now_s + START_S
        seconds = now_s - self._start_s
        if seconds < 0:
            self._first_index = frame.index
            return
        self._ages_s.append(now_s - frame.time_s)
        if seconds >= WINDOW_S:
            self.judged_fps = len(self._ages_s) / seconds
            self.given_fps = (frame.index - self._first_index) / seconds
            self.age_s = median(self._ages_s)
            self._weigh()
            self._start_s, self._first_index, self._ages_s = now_s, frame.index, []

    def pause(self) -> None:
        """Stop measuring until the next frame, because the camera gives none."""
        self._start_s, self._ages_s, self._agreeing = None, [], 0

    def _weigh(self) -> None:
        """Compare a window with the limits and change `slowness` once enough windows agree."""
        found = self._found(1.0 if self.slowness is None else MARGIN)
        self._agreeing = self._agreeing + 1 if (found is None) != (self.slowness is None) else 0
        if self._agreeing == WINDOWS:
            self.slowness, self._agreeing = found, 0

    def _found(self, margin: float) -> Slowness | None:
        passes_over = self.judged_fps < KEPT_SHARE * self.given_fps
        if passes_over and self.judged_fps < margin * self.config.min_fps:
            return Slowness.FEW_FRAMES
        return Slowness.LATE if margin * self.age_s > self.config.max_age_s else None


def too_slow(camera: str, pace: Pace, device: str) -> str:
    """Return a sentence that says that a camera is too slow and what helps."""
    openvino = (
        ", or use OpenVINO: `pip install 'gatecam[openvino]'` and device: auto" if device == "cpu" else ""
    )
    return (
        f"camera {camera}: too slow: {pace.judged_fps:.1f} of {pace.given_fps:.1f} frames/s are judged, "
        f"{pace.age_s:.1f} s after they were taken. Choose a smaller picture, a larger detector.min_face_px, "
        f"a lower camera.max_fps or fewer cameras{openvino}."
    )
