"""The live loop: new frames of all cameras in, their steps and the cameras' own events out.

Cameras ─► the newest frame of each ─► one analyser for all ─► each camera's tracker and policy ─► Round
   └─ states ─► CameraAlerts, which also notes how soon each frame was judged ────────────────────┘
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from gatecam.live.camera_alerts import CameraAlerts
from gatecam.people.pipeline import Pipeline, advance
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.types import Frame, Round

TURN_S = 0.1  # that frames judged at once should take at most; a person is told within half a second
LATEST = 0.2  # weight of the latest frames in what a frame takes


class Watch:
    """Watches some cameras with one analyser.

    Every camera that has a new frame gets its newest judged before any camera's next one. The frames that
    came first are judged first, as many at once as `TURN_S` lets expect, so that no decision waits for the
    frames of all cameras.

    Args:
        analyzer: finds and judges the faces of a round's frames at once.
        pipelines: of each camera, by its name.
        alerts: told of the cameras' states by whoever reads them; asked in each round.
        telemetry: gets the time from capture to decision.
        clock: monotonic time in s.
    """

    def __init__(
        self,
        analyzer: FaceAnalyzer,
        pipelines: Mapping[str, Pipeline],
        alerts: CameraAlerts,
        telemetry: Telemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._analyzer, self._pipelines, self._alerts = analyzer, pipelines, alerts
        self._telemetry, self._clock = telemetry, clock
        self._each_s = 0.0  # that a frame takes of late

    def rounds(self, frames: Iterable[list[Frame]]) -> Iterator[Round]:
        """One round or more for each item of `Cameras`, those without frames too."""
        for newest in frames:
            waiting = sorted(newest, key=lambda frame: frame.time_s)
            while True:
                size = max(1, int(TURN_S / self._each_s)) if self._each_s else len(waiting)
                yield self._round(waiting[:size])
                waiting = waiting[size:]
                if not waiting:
                    break

    def _round(self, frames: Sequence[Frame]) -> Round:
        start_s = self._clock()
        steps = tuple(advance(self._analyzer, [(self._pipelines[frame.camera], frame) for frame in frames]))
        now_s = self._clock()
        for frame in frames:
            self._telemetry.record("capture to decision", now_s - frame.time_s)
            self._alerts.judged(frame, now_s)
        if frames:
            self._each_s += LATEST * ((now_s - start_s) / len(frames) - self._each_s)
        return Round(now_s, steps, tuple(self._alerts.due(now_s)))
