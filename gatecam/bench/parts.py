"""Measure the parts of a run in rounds. In each round gatecam alternates with what it is compared with."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from gatecam.app import build_analyzer, build_pipeline
from gatecam.bench.memory import Peak
from gatecam.bench.result import CAPTURE, Measure, percentile
from gatecam.bench.scene import FPS, draw
from gatecam.capture.recording import open_recording
from gatecam.errors import DeviceError
from gatecam.live.camera_alerts import CameraAlerts
from gatecam.live.watch import Watch
from gatecam.people.pipeline import advance
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from gatecam.types import Frame, Image

RESOLUTIONS = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
FACES = (0, 1, 4, 16)
CAMERAS = (1, 2, 4, 8)
CAMERA_FPS = 10.0
CAMERA_FACES = 2
CAMERA_PICTURES = 30
CLIP_FRAMES = 120
WALK_FIRST, WALK_FRAMES = int(FPS), int(3 * FPS)  # frames of a still camera; the first second is not measured
ARCHIVE_BATCH, ARCHIVE_FACES = 32, 4

Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Says what to measure: the backends, the rounds, and the seconds to watch live cameras in each round."""

    backends: tuple[str, ...]
    rounds: int
    watch_s: float


class Figures:
    """Collects values round by round."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._values: defaultdict[tuple[str, str, str, str, bool], list[float]] = defaultdict(list)

    def add(self, case: str, backend: str, figure: str, unit: str, value: float, more: bool = False) -> None:
        """Add a round's value."""
        self._values[case, backend, figure, unit, more].append(value)

    def stages(self, case: str, backend: str, telemetry: Telemetry, frames: int) -> None:
        """Add a round's stages: means over all frames, and percentiles over frames that had the stage."""
        sums_s = {one.stage: one.sum_s for one in telemetry.histograms()}
        for one in telemetry.latencies():
            self.add(case, backend, f"{one.stage} mean", "ms", sums_s[one.stage] / frames * 1000)
            for name, value in (("p50", one.p50_ms), ("p95", one.p95_ms), ("p99", one.p99_ms)):
                self.add(case, backend, f"{one.stage} {name}", "ms", value)

    def spread(self, case: str, backend: str, figure: str, spent_s: Sequence[float]) -> None:
        """Add the mean and percentiles of a round's times."""
        self.add(case, backend, f"{figure} mean", "ms", fmean(spent_s) * 1000)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            self.add(case, backend, f"{figure} {name}", "ms", percentile(spent_s, share) * 1000)

    def memory(self, case: str, backend: str, peak: Peak) -> None:
        """Add a round's peak memory, where the system counts it."""
        for figure, held_mb in (("memory", peak.held_mb()), ("GPU memory", peak.held_on_gpu_mb())):
            if held_mb is not None:
                self.add(case, backend, figure, "MB", held_mb)

    def measures(self) -> list[Measure]:
        """Return everything that was added."""
        return [
            Measure(self._part, case, backend, figure, unit, tuple(values), more)
            for (case, backend, figure, unit, more), values in self._values.items()
        ]


def require(analyzer: FaceAnalyzer, backend: str) -> None:
    """Check that the measurement used the given backend until its end.

    Raises:
        DeviceError: the backend failed, and another one replaced it.
    """
    if analyzer.device != backend:
        raise DeviceError(
            f"{backend} failed during the measurement, and {analyzer.device} replaced it. See "
            f"`gatecam doctor`, or measure with `--device {analyzer.device}`."
        )


def by_faces(plan: Plan, tick: Tick) -> list[Measure]:
    """Measure the analysis of 720p pictures without decoding: no face, one face, and each further face."""
    figures = Figures("faces")
    width, height = RESOLUTIONS["720p"]
    pictures = {count: list(draw(width, height, count, 12)) for count in FACES}
    for backend in plan.backends:
        config, telemetry = Config(device=backend), Telemetry()  # type: ignore[arg-type]
        analyzer = build_analyzer(config, telemetry)
        for _ in range(plan.rounds):
            means = {}
            for count in FACES:
                telemetry.empty()
                case, peak = _faces(count), Peak()
                spent_s = _walk(config, analyzer, pictures[count], telemetry)
                means[count] = fmean(spent_s) * 1000
                figures.add(case, backend, "frame", "ms", means[count])
                figures.memory(case, backend, peak)
                figures.stages(case, backend, telemetry, len(spent_s))
                figures.spread(case, backend, CAPTURE, spent_s)
            each = (means[FACES[-1]] - means[1]) / (FACES[-1] - 1)
            figures.add("each further face", backend, "frame", "ms", each)
            require(analyzer, backend)
            tick()
    return figures.measures()


def _walk(
    config: Config, analyzer: FaceAnalyzer, pictures: Sequence[Image], telemetry: Telemetry
) -> list[float]:
    """Return the seconds for each frame after the first second."""
    pipeline = build_pipeline(config, analyzer, "bench", telemetry)
    spent_s: list[float] = []
    for index in range(WALK_FRAMES):
        if index == WALK_FIRST:
            telemetry.empty()
            spent_s.clear()
        frame = Frame("bench", index, index / FPS, pictures[index % len(pictures)])
        start_s = time.perf_counter()
        advance(analyzer, [(pipeline, frame)])
        spent_s.append(time.perf_counter() - start_s)
    return spent_s


def drawn_camera() -> list[Image]:
    """Return the pictures of a camera at a drawn entrance."""
    return list(draw(*RESOLUTIONS["480p"], CAMERA_FACES, CAMERA_PICTURES))


def camera_of(video: Path) -> list[Image]:
    """Return the pictures that a camera would have given of a clip's beginning.

    Raises:
        SourceError: the clip cannot be read.
    """
    pictures: list[Image] = []
    with open_recording(video, CAMERA_FPS) as frames:
        for frame in frames:
            if len(pictures) == CAMERA_PICTURES:
                break
            if frame.time_s >= len(pictures) / CAMERA_FPS:
                pictures.append(frame.image)
    return pictures


def cameras(plan: Plan, pictures: Sequence[Image], tick: Tick) -> list[Measure]:
    """Measure live cameras that show these pictures: the slowest one's rate, and capture to decision."""
    figures = Figures("cameras")
    for backend in plan.backends:
        config, telemetry = Config(device=backend), Telemetry()  # type: ignore[arg-type]
        analyzer = build_analyzer(config, telemetry)
        _walk(config, analyzer, pictures, telemetry)
        for _ in range(plan.rounds):
            for count in CAMERAS:
                telemetry.empty()
                case, peak = f"{count} camera{'s' * (count > 1)}", Peak()
                taken = _watch(config, analyzer, telemetry, pictures, count, plan.watch_s)
                figures.add(case, backend, "slowest", "frames/s", min(taken) / plan.watch_s, more=True)
                figures.memory(case, backend, peak)
                figures.stages(case, backend, telemetry, max(1, sum(taken)))
            require(analyzer, backend)
            tick()
    return figures.measures()


def _watch(
    config: Config,
    analyzer: FaceAnalyzer,
    telemetry: Telemetry,
    pictures: Sequence[Image],
    count: int,
    seconds: float,
) -> list[int]:
    """Watch cameras for some seconds. Return the number of judged frames of each."""
    names = [f"camera {i + 1}" for i in range(count)]
    pipelines = {name: build_pipeline(config, analyzer, name, telemetry) for name in names}
    watch = Watch(analyzer, pipelines, CameraAlerts(), telemetry)
    taken = dict.fromkeys(names, 0)
    for turn in watch.rounds(_newest(names, pictures, seconds)):
        for step in turn.steps:
            taken[step.frame.camera] += 1
    return list(taken.values())


def _newest(names: Sequence[str], pictures: Sequence[Image], seconds: float) -> Iterator[list[Frame]]:
    """Yield the newest frames of cameras in real time, each frame once. The cameras are slightly out of
    phase.
    """
    start_s = time.monotonic()
    period_s = 1 / CAMERA_FPS
    phases_s = [period_s * i / len(names) for i in range(len(names))]
    given = [-1] * len(names)
    while (now_s := time.monotonic() - start_s) < seconds:
        frames = []
        for i, (name, phase_s) in enumerate(zip(names, phases_s, strict=True)):
            index = int((now_s - phase_s) // period_s)
            if index > given[i]:
                given[i] = index
                taken_s = start_s + phase_s + index * period_s
                frames.append(Frame(name, index, taken_s, pictures[index % len(pictures)]))
        if frames:
            yield frames
        else:
            due_s = min(
                phase_s + (index + 1) * period_s for phase_s, index in zip(phases_s, given, strict=True)
            )
            time.sleep(max(0.0, due_s - now_s))


def archive(plan: Plan, tick: Tick) -> list[Measure]:
    """Measure batches on the GPU as a replay analyzes them, and single frames."""
    figures = Figures("archive")
    pictures = list(draw(*RESOLUTIONS["720p"], ARCHIVE_FACES, ARCHIVE_BATCH))
    for backend in plan.backends:
        if backend != "cuda":
            continue
        analyzer = build_analyzer(Config(device="cuda"), Telemetry())
        for batch in (pictures, pictures[:1]):
            case = f"{len(batch)} frame{'s' * (len(batch) > 1)} at once"
            for _ in range(3):
                analyzer.analyze(batch)
            for _ in range(plan.rounds):
                spent_s, peak = [], Peak()
                for _ in range(20):
                    start_s = time.perf_counter()
                    analyzer.analyze(batch)
                    spent_s.append(time.perf_counter() - start_s)
                speed = len(batch) * len(spent_s) / sum(spent_s)
                figures.add(case, backend, "speed", "frames/s", speed, more=True)
                figures.memory(case, backend, peak)
                figures.spread(case, backend, "batch", spent_s)
                require(analyzer, backend)
                tick()
    return figures.measures()


def _faces(count: int) -> str:
    return {0: "no face", 1: "1 face"}.get(count, f"{count} faces")
