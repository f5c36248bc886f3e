"""Run the live loop, which turns the new frames of all cameras into steps and events.

Cameras ─► the newest frame of each ─► one analyzer for all ─► each camera's tracker and policy ─► Round
   └─ states ─► CameraAlerts, which also records how soon each frame was judged ──────────────────┘
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gatecam.live.camera_alerts import CameraAlerts
from gatecam.people.pipeline import Pipeline, advance
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.types import Blindness, Frame, Round, Step

TURN_S = 0.1  # time limit for judging frames together, so that a person is alerted within half a second
LATEST = 0.2  # weight of the latest round in the moving average of the time per frame


class Watch:
    """Watches several cameras with one analyzer.

    The newest frame of every camera is judged before any camera's next frame. The oldest frames are judged
    first, and as many together as probably fit into `TURN_S`. So no decision waits for the frames of all
    cameras.
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
        self._each_s = 0.0  # moving average of the time per frame

    def rounds(self, frames: Iterable[list[Frame]]) -> Iterator[Round]:
        """Yield at least one round for each item of `Cameras`, even for an item without frames."""
        for newest in frames:
            waiting = sorted(newest, key=lambda frame: frame.time_s)
            while True:
                size = max(1, int(TURN_S / self._each_s)) if self._each_s else len(waiting)
                yield self._round(waiting[:size])
                waiting = waiting[size:]
                if not waiting:
                    break

    def _round(self, frames: Sequence[Frame]) -> Round:
        frames = [frame for frame in frames if frame.camera in self._pipelines]  # others were just removed
        start_s = self._clock()
        steps = advance(self._analyzer, [(self._pipelines[frame.camera], frame) for frame in frames])
        now_s = self._clock()
        for frame in frames:
            self._telemetry.record("capture to decision", now_s - frame.time_s)
            self._alerts.judged(frame, now_s)
        if frames:
            self._each_s += LATEST * ((now_s - start_s) / len(frames) - self._each_s)
        return Round(now_s, tuple(map(self._unless_frozen, steps)), tuple(self._alerts.due(now_s)))

    def _unless_frozen(self, step: Step) -> Step:
        """Return a step without its events if the picture is frozen, because its people may be gone."""
        state = self._alerts.states.get(step.frame.camera)
        is_frozen = state is not None and state.blindness == Blindness.FROZEN
        return replace(step, events=()) if is_frozen else step
