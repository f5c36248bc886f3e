"""Hold the parts of the live loop that `app.py` builds: watched cameras and sinks for their events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from gatecam.capture.camera import Cameras
from gatecam.live.camera_alerts import CameraAlerts
from gatecam.notify.queue import QueuedSink
from gatecam.people.pipeline import Pipeline
from gatecam.people.presence import Presences
from gatecam.ports import FaceAnalyzer, Sink
from gatecam.runtime.wall_clock import wall_clock
from gatecam.settings.schema import Config
from gatecam.store.outbox import Courier
from gatecam.store.totals import ClassTotals
from gatecam.types import Event, Round


@dataclass(frozen=True, slots=True)
class Live:
    """Watches the cameras. `rounds` yields their steps and events at least ten times a second."""

    cameras: Cameras
    alerts: CameraAlerts
    rounds: Iterator[Round]
    _analyzer: FaceAnalyzer
    _pipelines: Mapping[str, Pipeline]

    def stop(self) -> None:
        """End the rounds. A signal handler may call this."""
        self.cameras.stop()

    def apply(self, config: Config) -> None:
        """Apply new settings without losing a track. Settings that need a restart are ignored here."""
        self._analyzer.apply(config)
        self.alerts.apply(config.pace)
        for one in config.watched:
            pipeline = self._pipelines[one.camera.name]
            pipeline.tracker.apply(one.tracker)
            pipeline.policy.apply(one.policy)
            pipeline.ignore = one.detector.ignore
            if pipeline.planner is not None:
                pipeline.planner.apply(one.detector)


@dataclass(frozen=True, slots=True)
class LiveSinks:
    """Passes live events to all sinks except the screen, with the same date and time for all of them.

    `queues` counts what waits and what was delivered. `sink` passes events to the store and to the sinks that
    do not wait for the store. `tests` sends a test to each output by name, or raises `OutputError`.
    """

    queues: tuple[QueuedSink | Courier, ...]
    sink: Sink
    totals: ClassTotals
    presence: Presences
    tests: Mapping[str, Callable[[], None]]
    _parts: ExitStack

    def note(self, turn: Round, alerts: CameraAlerts) -> None:
        """Send the events of a round, and update the totals and the presence. This never blocks or raises."""
        for event in turn.events:
            self.send(event)
        for step in turn.steps:
            self.totals.note(step)
        self.presence.note(turn.steps, alerts.states, alerts.slow)

    def send(self, event: Event) -> None:
        """Put an event into every queue. This neither blocks nor raises."""
        self.sink.send(replace(event, at=wall_clock()))

    def close(self) -> None:
        """Deliver the remaining events, for some seconds at most."""
        self._parts.close()
