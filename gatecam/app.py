"""Floor 5: the only place that builds parts from settings, and the only one that knows the time of day."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gatecam.capture.camera import Camera
from gatecam.capture.prefetch import prefetch
from gatecam.capture.recording import Recording, open_recording
from gatecam.config import Config
from gatecam.errors import DeviceError
from gatecam.keyframes import KeyFrames
from gatecam.notify.jsonl import JsonLinesSink
from gatecam.notify.queue import FanOut, QueuedSink
from gatecam.notify.tone import ToneSink
from gatecam.pipeline import Pipeline, timed
from gatecam.policy import AlertPolicy
from gatecam.ports import CropClassifier, FaceAnalyzer, Sink
from gatecam.telemetry import Telemetry
from gatecam.tracking import FaceTracker
from gatecam.types import Step

if TYPE_CHECKING:
    from gatecam.vision.analyzer import TorchAnalyzer


def build_analyzer(config: Config, telemetry: Telemetry) -> FaceAnalyzer:
    """Detector and classifier on the device of the settings; loading them takes seconds.

    Raises:
        DeviceError: the device is not there, or torch and torchvision do not fit together.
        ModelError: the weights are missing, changed or of another kind.
    """
    return _torch_analyzer(config, telemetry)


def build_crop_classifier(config: Config) -> CropClassifier:
    """The classifier for pictures that are faces already; raises as `build_analyzer`."""
    return _torch_analyzer(config, Telemetry())


def _torch_analyzer(config: Config, telemetry: Telemetry) -> TorchAnalyzer:
    """Imports torch, so that what needs no networks starts without it."""
    let_threads_sleep()
    try:
        from gatecam.vision.analyzer import TorchAnalyzer
    except (ImportError, RuntimeError) as error:
        raise DeviceError(
            f"torch and torchvision do not load ({error}): install a matching pair with "
            "`pip install --upgrade torch torchvision`."
        ) from error
    return TorchAnalyzer(config, telemetry)


def let_threads_sleep() -> None:
    """Have torch's threads wait for each other asleep, after a short spin; of use before torch is loaded.

    Threads that only spin are a tenth faster alone, and ten times slower beside any other busy
    program on two cores (`docs/adr/0005-sleeping-threads.md`). Variables that are set already stay.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def build_pipeline(
    config: Config, analyzer: FaceAnalyzer, camera: str, telemetry: Telemetry, batch: int = 1
) -> Pipeline:
    """One camera's pipeline, with a tracker, a policy and, unless all is searched, key frames of its own."""
    tracker, policy = FaceTracker(config.tracker), AlertPolicy(config.policy, camera)
    planner = KeyFrames(config.detector, telemetry) if config.detector.detect_every > 1 else None
    return Pipeline(analyzer, tracker, policy, telemetry, batch, planner)


@dataclass(frozen=True, slots=True)
class Replay:
    """A recording being replayed: `steps` yields one step a frame."""

    recording: Recording
    steps: Iterator[Step]


@contextmanager
def open_replay(
    config: Config, path: Path, analyzer: FaceAnalyzer, telemetry: Telemetry, camera: str | None = None
) -> Iterator[Replay]:
    """Replay a video file or a folder of pictures; decoding runs ahead in a thread of its own.

    The camera's name is that of the file or folder unless it is given.

    Raises:
        SourceError: nothing can be read from `path`.
    """
    recording = open_recording(path, config.replay.image_fps, camera)
    batch = config.replay.batch
    with recording as frames, closing(prefetch(timed(frames, telemetry), 2 * batch)) as ahead:
        pipeline = build_pipeline(config, analyzer, recording.camera, telemetry, batch)
        yield Replay(recording, pipeline.steps(ahead))


@dataclass(frozen=True, slots=True)
class Live:
    """A camera being watched: `steps` yields one step a frame that was not dropped, until `stop`."""

    camera: Camera
    steps: Iterator[Step]

    def stop(self) -> None:
        """End the steps; safe in a signal handler."""
        self.camera.stop()


@contextmanager
def open_live(
    config: Config,
    analyzer: FaceAnalyzer,
    telemetry: Telemetry,
    on_state: Callable[[str], None],
    on_idle: Callable[[], None],
) -> Iterator[Live]:
    """Watch the camera of the settings; `on_state` and `on_idle` are called as `Camera` says.

    Raises:
        CameraError: the camera cannot be opened.
    """
    camera = Camera(config.camera, on_state, on_idle)
    with camera as frames:
        pipeline = build_pipeline(config, analyzer, config.camera.name, telemetry)
        yield Live(camera, pipeline.steps(frames))


def build_live_sinks(config: Config, telemetry: Telemetry, print_events: bool) -> FanOut:
    """Where live events go besides the screen, each behind a queue of its own.

    Raises:
        OutputError: the event log cannot be written.
    """
    sinks: list[Sink] = []
    if print_events:
        sinks.append(
            QueuedSink(JsonLinesSink(sys.stdout, stamp=wall_clock), config.notify.queue, "print", telemetry)
        )
    if config.notify.log is not None:
        log = JsonLinesSink(Path(config.notify.log), append=True, stamp=wall_clock)
        sinks.append(QueuedSink(log, config.notify.queue, "log", telemetry))
    if config.notify.sound:
        sinks.append(QueuedSink(ToneSink(), config.notify.queue, "tone", telemetry))
    return FanOut(sinks)


def time_of_day(time_s: float) -> str:
    """When a live frame was taken, in local time: `11-23 14:05:09`."""
    return f"{datetime.now() - timedelta(seconds=time.monotonic() - time_s):%m-%d %H:%M:%S}"


def wall_clock() -> str:
    """The time of day, with its offset: `2026-11-23T14:05:09.123+00:00`."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
