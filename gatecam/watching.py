"""Floor 4: the live loop: new frames of all cameras in, their steps and the cameras' own events out.

Cameras ─► the newest frame of each ─► one analyser for all ─► each camera's tracker and policy ─► Round
   └─ states ─► CameraAlerts ─────────────────────────────────────────────────────────────────────┘
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from gatecam.camera_alerts import CameraAlerts
from gatecam.pipeline import Pipeline, advance
from gatecam.ports import FaceAnalyzer
from gatecam.telemetry import Telemetry
from gatecam.types import Frame, Round


class Watch:
    """Watches some cameras with one analyser.

    Every camera that has a new frame has its newest in each round, so that none waits for another for
    longer than one round takes.

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

    def rounds(self, frames: Iterable[list[Frame]]) -> Iterator[Round]:
        """One round for each item of `Cameras`, those without frames too."""
        for newest in frames:
            given = [(self._pipelines[frame.camera], frame) for frame in newest]
            steps = tuple(advance(self._analyzer, given))
            now_s = self._clock()
            for frame in newest:
                self._telemetry.record("capture to decision", now_s - frame.time_s)
            yield Round(now_s, steps, tuple(self._alerts.due(now_s)))
