"""Hold the parts of the live loop that `app.py` builds: watched cameras and sinks for their events."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from gatecam.capture.camera import Cameras
from gatecam.live.camera_alerts import CameraAlerts
from gatecam.live.evidence import Recorder
from gatecam.live.notes import Endings
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
    `recorder` keeps pictures of alerts, if the settings say so.
    """

    queues: tuple[QueuedSink | Courier | Recorder, ...]
    sink: Sink
    totals: ClassTotals
    presence: Presences
    tests: Mapping[str, Callable[[], None]]
    endings: Endings
    recorder: Recorder | None
    _parts: ExitStack

    def note(self, turn: Round, alerts: CameraAlerts) -> None:
        """Send the events of a round, and update the totals and the presence. This never blocks or raises."""
        for step in turn.steps:
            events = [self.send(event) for event in step.events]
            self.endings.note(step, events)
            if self.recorder is not None:
                self.recorder.note(step, events)
            self.totals.note(step)
        for event in turn.camera_events:
            self.endings.note_camera(self.send(event))
        self.presence.note(turn.steps, alerts.states, alerts.slow)

    def send(self, event: Event) -> Event:
        """Put an event into every queue, and return it with its date and key. This never blocks or raises."""
        dated = replace(event, at=wall_clock(), key=uuid.uuid4().hex)
        self.sink.send(dated)
        return dated

    def close(self) -> None:
        """Deliver the remaining events, for some seconds at most."""
        self._parts.close()
