"""Hold the parts of the live loop that `app.py` builds: watched cameras and sinks for their events."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatecam.capture.camera import Cameras
from gatecam.errors import CameraError
from gatecam.live.camera_alerts import CameraAlerts
from gatecam.live.notes import Endings
from gatecam.notify.mqtt import MqttOutput
from gatecam.notify.queue import QueuedSink
from gatecam.people.pipeline import Pipeline
from gatecam.people.presence import Presences
from gatecam.ports import FaceAnalyzer, Sink
from gatecam.runtime.locks import camera_lock
from gatecam.runtime.wall_clock import wall_clock
from gatecam.settings.schema import CameraConfig, Config
from gatecam.types import Event, Round

if TYPE_CHECKING:
    from gatecam.live.evidence import Recorder
    from gatecam.store.events import EventStore
    from gatecam.store.keeping import Housekeeping
    from gatecam.store.outbox import Courier
    from gatecam.store.totals import ClassTotals


class CameraLocks:
    """Locks cameras for this program, each until it is released."""

    def __init__(self) -> None:
        self._held: dict[str, ExitStack] = {}

    def take(self, camera: CameraConfig) -> None:
        """Lock a camera.

        Raises:
            CameraError: another gatecam uses it.
        """
        with ExitStack() as stack:
            stack.enter_context(camera_lock(camera.name, camera.source))
            self._held[camera.name] = stack.pop_all()

    def release(self, names: Iterable[str]) -> None:
        """Release cameras by name."""
        for name in list(names):
            self._held.pop(name).close()

    def close(self) -> None:
        """Release all cameras."""
        self.release(self._held)


@dataclass(frozen=True, slots=True)
class Live:
    """Watches the cameras. `rounds` yields their steps and events at least ten times a second.

    `refused` has a sentence for each camera that is not watched because another gatecam uses it. `names` has
    the names of all cameras of the settings, in their order.
    """

    cameras: Cameras
    alerts: CameraAlerts
    rounds: Iterator[Round]
    analyzer: FaceAnalyzer
    _pipelines: dict[str, Pipeline]
    _locks: CameraLocks
    _build: Callable[[Config], Pipeline]
    refused: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def stop(self) -> None:
        """End the rounds. A signal handler may call this."""
        self.cameras.stop()

    def apply(self, config: Config) -> str | None:
        """Apply new settings without losing a track. Return which cameras cannot be watched, and why.

        Cameras are added, removed and opened again as needed. Only the thread that iterates over the rounds
        may call this. Other settings that need a restart are ignored here.
        """
        self.analyzer.apply(config)
        self.alerts.apply(config.pace)
        self.names[:] = [one.camera.name for one in config.watched]
        problem = self._watch({one.camera.name: one for one in config.watched})
        for one in config.watched:
            if (pipeline := self._pipelines.get(one.camera.name)) is None:
                continue
            pipeline.tracker.apply(one.tracker)
            pipeline.policy.apply(one.policy)
            pipeline.ignore = one.detector.ignore
            if pipeline.planner is None or one.detector.detect_every == 1:
                pipeline.planner = self._build(one).planner
            else:
                pipeline.planner.apply(one.detector)
        return problem

    def _watch(self, wanted: Mapping[str, Config]) -> str | None:
        """Watch these cameras and no others. Return a sentence if another gatecam uses some of them.

        A camera that is opened with other settings keeps its people, their alerts and its outage.
        """
        kept = [one.config for one in self.cameras.cameras if _camera_of(wanted, one.name) == one.config]
        gone = self._pipelines.keys() - {camera.name for camera in kept}
        self.refused.clear()
        if gone:
            self.cameras.change(kept)  # ends the readers before others may use their cameras
            self._locks.release(gone)
        before = {name: self._pipelines.pop(name) for name in gone}
        for name, one in wanted.items():
            if name in self._pipelines:
                continue
            try:
                self._locks.take(one.camera)
            except CameraError as error:
                self.refused[name] = str(error)
            else:
                pipeline = self._pipelines[name] = self._build(one)
                if (old := before.get(name)) is not None:
                    pipeline.tracker, pipeline.policy = old.tracker, old.policy
        for name in gone - self._pipelines.keys():
            self.alerts.forget(name)
        if gone or len(self._pipelines) > len(kept):
            self.cameras.change([one.camera for name, one in wanted.items() if name in self._pipelines])
        return " ".join(self.refused.values()) or None


def _camera_of(wanted: Mapping[str, Config], name: str) -> CameraConfig | None:
    return wanted[name].camera if name in wanted else None


@dataclass(slots=True)
class LiveSinks:
    """Passes live events to all sinks except the screen. All sinks get the same date and time of an event.

    `queues` counts what waits and what was delivered. `sink` passes events to the store and to the sinks that
    do not wait for the store. `tests` sends a test to each output by name, or raises `OutputError`.
    `copies` are the other databases that get the events. `start_recorder` starts the recorder when the
    settings first want pictures of alerts. `cameras` are the names of those that are watched.
    """

    queues: tuple[QueuedSink | Courier | Recorder, ...]
    sink: Sink
    totals: ClassTotals
    presence: Presences
    tests: Mapping[str, Callable[[], None]]
    endings: Endings
    copies: tuple[EventStore, ...]
    keeping: Housekeeping
    start_recorder: Callable[[Config], Recorder]
    cameras: list[str]
    _mqtt: MqttOutput | None
    _parts: ExitStack
    recorder: Recorder | None = None

    def apply(self, config: Config) -> None:
        """Apply new settings to pictures of alerts, to retention, and to the cameras that are watched."""
        self.cameras[:] = names = [one.camera.name for one in config.watched]
        self.presence.keep(names)
        self.endings.keep(names)
        self.keeping.apply(config.evidence)
        self.record(config)
        if self._mqtt is not None:
            self._mqtt.watch(names)

    def record(self, config: Config) -> None:
        """Keep pictures of alerts as the settings say. The recorder is started when it is first needed."""
        if self.recorder is not None:
            self.recorder.apply(config)
        elif config.evidence.snapshots:
            self.recorder = self.start_recorder(config)
            self.queues = (*self.queues, self.recorder)

    def note(self, turn: Round, alerts: CameraAlerts) -> None:
        """Send the events of a round, and update the totals and the presence. This never blocks or raises."""
        self.presence.note(turn.steps, alerts.states, alerts.slow)  # first, for the sound of the events
        for step in turn.steps:
            events = [self.send(event) for event in step.events]
            self.endings.note(step, events)
            if self.recorder is not None:
                self.recorder.note(step, events)
            self.totals.note(step)
        for event in turn.camera_events:
            self.endings.note_camera(self.send(event))

    def send(self, event: Event) -> Event:
        """Put an event into every queue, and return it with its date and key. This never blocks or raises."""
        dated = replace(event, at=wall_clock(), key=uuid.uuid4().hex)
        self.sink.send(dated)
        return dated

    def close(self) -> None:
        """End all alerts, and deliver the remaining events, for some seconds at most."""
        self.endings.keep(())
        self._parts.close()
