"""What watches cameras and where its events go, as `app.py` builds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Protocol

from gatecam.capture.camera import Cameras
from gatecam.live.camera_alerts import CameraAlerts
from gatecam.people.pipeline import Pipeline
from gatecam.people.presence import Presences
from gatecam.ports import FaceAnalyzer, Sink
from gatecam.runtime.wall_clock import wall_clock
from gatecam.settings.config import Config
from gatecam.store.totals import ClassTotals
from gatecam.types import CameraState, Event, Round


@dataclass(frozen=True, slots=True)
class Live:
    """Cameras being watched: `rounds` yields their steps and events, ten times a second at least."""

    cameras: Cameras
    alerts: CameraAlerts
    rounds: Iterator[Round]
    _analyzer: FaceAnalyzer
    _pipelines: Mapping[str, Pipeline]

    def stop(self) -> None:
        """End the rounds; safe in a signal handler."""
        self.cameras.stop()

    def apply(self, config: Config) -> None:
        """Go on by other settings, in all that can change while cameras are watched; no track is lost."""
        self._analyzer.apply(config)
        self.alerts.apply(config.pace)
        for one in config.watched:
            pipeline = self._pipelines[one.camera.name]
            pipeline.tracker.apply(one.tracker)
            pipeline.policy.apply(one.policy)
            if pipeline.planner is not None:
                pipeline.planner.apply(one.detector)


class Queue(Protocol):
    """What waits for one output, and what became of the rest."""

    @property
    def name(self) -> str:
        """Which output it is."""
        ...

    @property
    def waiting(self) -> int:
        """Events that the output has not yet."""
        ...

    @property
    def sent(self) -> int:
        """Events that it took."""
        ...

    @property
    def failed(self) -> int:
        """Failures so far."""
        ...

    @property
    def dropped(self) -> int:
        """Events that it will never get."""
        ...


@dataclass(frozen=True, slots=True)
class LiveSinks:
    """Where live events go besides the screen; each event gets the time of day once, for all of them.

    The counts of the `queues` tell how it goes; `sink` leads to the store, and to what does not wait for it.
    """

    queues: tuple[Queue, ...]
    sink: Sink
    totals: ClassTotals
    presence: Presences
    _parts: ExitStack

    def note(self, turn: Round, states: Mapping[str, CameraState], slow: Mapping[str, str]) -> None:
        """Take in a round, and how the cameras are: for totals, and for who shows what is there now.

        `slow` says why cameras are judged too slowly, by their names.
        """
        for step in turn.steps:
            self.totals.note(step)
        self.presence.note(turn.steps, states, slow)

    def send(self, event: Event) -> None:
        """Hand an event to every queue; neither blocks nor raises."""
        self.sink.send(replace(event, at=wall_clock()))

    def close(self) -> None:
        """Deliver what is left, for some seconds at most."""
        self._parts.close()
