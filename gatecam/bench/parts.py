"""The parts of a run: each measures one question in rounds, gatecam and what it is compared with in turns."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatecam.app import build_analyzer, build_pipeline, open_replay
from gatecam.bench.result import Measure, percentile
from gatecam.bench.scene import FPS, draw, write_clip
from gatecam.camera_alerts import CameraAlerts
from gatecam.config import Config
from gatecam.errors import OutputError
from gatecam.pipeline import advance
from gatecam.ports import FaceAnalyzer
from gatecam.telemetry import Telemetry
from gatecam.types import Frame, Image
from gatecam.watching import Watch

RESOLUTIONS = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
FACES = (0, 1, 4, 16)
CAMERAS = (1, 2, 4, 8)
CAMERA_FPS = 10.0
CAMERA_FACES = 2
CLIP_FRAMES = 120
PLAIN_FRAMES = 24  # of a clip that the plain loop is shown, which takes ten times as long a frame
WALK_FIRST, WALK_FRAMES = int(FPS), int(3 * FPS)  # frames of a still camera; the first second is not measured
ARCHIVE_BATCH, ARCHIVE_FACES = 32, 4
START_LIMIT_S = 120.0

Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: rounds, and the seconds that live cameras are watched in each."""

    backends: tuple[str, ...]
    rounds: int
    watch_s: float


class Figures:
    """Gathers values round by round."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._values: defaultdict[tuple[str, str, str, str, bool], list[float]] = defaultdict(list)

    def add(self, case: str, backend: str, figure: str, unit: str, value: float, more: bool = False) -> None:
        """Note a round's value."""
        self._values[case, backend, figure, unit, more].append(value)

    def stages(self, case: str, backend: str, telemetry: Telemetry, frames: int) -> None:
        """Note a round's stages: the mean over all frames, and percentiles of those that had the stage."""
        sums_s = {one.stage: one.sum_s for one in telemetry.histograms()}
        for one in telemetry.latencies():
            self.add(case, backend, f"{one.stage} mean", "ms", sums_s[one.stage] / frames * 1000)
            for name, value in (("p50", one.p50_ms), ("p95", one.p95_ms), ("p99", one.p99_ms)):
                self.add(case, backend, f"{one.stage} {name}", "ms", value)

    def measures(self) -> list[Measure]:
        """All of them."""
        return [
            Measure(self._part, case, backend, figure, unit, tuple(values), more)
            for (case, backend, figure, unit, more), values in self._values.items()
        ]


def resolutions(plan: Plan, videos: dict[str, Path], faces: int | None, tick: Tick) -> list[Measure]:
    """Whole replays, in turns with the plain loop on the same clips.

    Args:
        plan: how much.
        videos: the clips, by the case that they are.
        faces: in every frame of them; None if nobody knows.
        tick: told of each round.
    """
    from gatecam.bench.plain import PlainLoop

    figures = Figures("resolutions")
    ours = {name: _Replayed(name) for name in plan.backends}
    plain = PlainLoop("cuda" if "cuda" in plan.backends else "cpu")
    for case, video in videos.items():
        for one in ours.values():
            one.run(video)
        for _ in range(plan.rounds):
            frames, seen, seconds = plain.run(video, PLAIN_FRAMES)
            plain_fps = frames / seconds
            figures.add(case, "plain loop", "speed", "frames/s", plain_fps, more=True)
            _found(figures, case, "plain loop", seen, frames, faces)
            for name, one in ours.items():
                frames, seen, seconds = one.run(video)
                figures.add(case, name, "speed", "frames/s", frames / seconds, more=True)
                figures.add(case, name, "times the plain loop", "×", frames / seconds / plain_fps, more=True)
                _found(figures, case, name, seen, min(frames, PLAIN_FRAMES), faces)
                figures.stages(case, name, one.telemetry, frames)
            tick()
    return figures.measures()


def _found(figures: Figures, case: str, name: str, seen: int, frames: int, faces: int | None) -> None:
    if faces:
        figures.add(case, name, "found", "of the faces", seen / (frames * faces), more=True)
    else:
        figures.add(case, name, "found", "faces a frame", seen / frames, more=True)


class _Replayed:
    """gatecam on the settings' defaults, decode to events."""

    def __init__(self, backend: str) -> None:
        self._config = Config(device=backend)  # type: ignore[arg-type]
        self.telemetry = Telemetry()
        self._analyzer = build_analyzer(self._config, self.telemetry)

    def run(self, video: Path) -> tuple[int, int, float]:
        """Frames, the faces in those that the plain loop is shown, and seconds."""
        self.telemetry.empty()
        frames = faces = 0
        start_s = time.perf_counter()
        with open_replay(self._config, video, self._analyzer, self.telemetry) as replay:
            for step in replay.steps:
                frames += 1
                faces += len(step.faces) if frames <= PLAIN_FRAMES else 0
        return frames, faces, time.perf_counter() - start_s


def by_faces(plan: Plan, tick: Tick) -> list[Measure]:
    """Analysis of 720p pictures without decoding: what no face, one face and each further face cost."""
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
                case = _faces(count)
                means[count] = _walk(config, analyzer, pictures[count], telemetry)
                figures.add(case, backend, "frame", "ms", means[count])
                figures.stages(case, backend, telemetry, WALK_FRAMES - WALK_FIRST)
            each = (means[FACES[-1]] - means[1]) / (FACES[-1] - 1)
            figures.add("each further face", backend, "frame", "ms", each)
            tick()
    return figures.measures()


def _walk(config: Config, analyzer: FaceAnalyzer, pictures: Sequence[Image], telemetry: Telemetry) -> float:
    """The mean time of a frame in ms, after the first second."""
    pipeline = build_pipeline(config, analyzer, "bench", telemetry)
    for index in range(WALK_FRAMES):
        if index == WALK_FIRST:
            telemetry.empty()
            start_s = time.perf_counter()
        advance(analyzer, [(pipeline, Frame("bench", index, index / FPS, pictures[index % len(pictures)]))])
    return (time.perf_counter() - start_s) / (WALK_FRAMES - WALK_FIRST) * 1000


def cameras(plan: Plan, tick: Tick) -> list[Measure]:
    """Some cameras in real time on the first backend: the slowest one's rate, and capture to decision."""
    figures = Figures("cameras")
    backend = plan.backends[0]
    config, telemetry = Config(device=backend), Telemetry()  # type: ignore[arg-type]
    analyzer = build_analyzer(config, telemetry)
    pictures = list(draw(*RESOLUTIONS["480p"], CAMERA_FACES, 30))
    _walk(config, analyzer, pictures, telemetry)
    for _ in range(plan.rounds):
        for count in CAMERAS:
            telemetry.empty()
            slowest = _watch(config, analyzer, telemetry, pictures, count, plan.watch_s)
            case = f"{count} camera{'s' * (count > 1)}"
            figures.add(case, backend, "slowest", "frames/s", slowest, more=True)
            delays = next(one for one in telemetry.latencies() if one.stage == "capture to decision")
            for name, value in (("p50", delays.p50_ms), ("p95", delays.p95_ms), ("p99", delays.p99_ms)):
                figures.add(case, backend, name, "ms", value)
        tick()
    return figures.measures()


def _watch(
    config: Config,
    analyzer: FaceAnalyzer,
    telemetry: Telemetry,
    pictures: Sequence[Image],
    count: int,
    seconds: float,
) -> float:
    """Frames/s of the camera that got fewest."""
    names = [f"camera {i + 1}" for i in range(count)]
    pipelines = {name: build_pipeline(config, analyzer, name, telemetry) for name in names}
    watch = Watch(analyzer, pipelines, CameraAlerts(), telemetry)
    taken = dict.fromkeys(names, 0)
    for turn in watch.rounds(_newest(names, pictures, seconds)):
        for step in turn.steps:
            taken[step.frame.camera] += 1
    return min(taken.values()) / seconds


def _newest(names: Sequence[str], pictures: Sequence[Image], seconds: float) -> Iterator[list[Frame]]:
    """What cameras with a little of phase between them give in real time: the newest of each, once."""
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


def networks(plan: Plan, config: Config, tick: Tick) -> list[Measure]:
    """Each network on each backend, beside its bound on this machine."""
    from gatecam.bench import roofline
    from gatecam.vision.device import Backend

    figures = Figures("networks")
    for name in plan.backends:
        backend = Backend(name)  # type: ignore[arg-type]
        machine = roofline.rates(backend)
        figures.add("this machine", name, "matrix product", "Gflop/s", machine.flops / 1e9, more=True)
        figures.add("this machine", name, "memory copy", "GB/s", machine.bytes_s / 1e9, more=True)
        for case in roofline.cases(config):
            layers = roofline.layers_of(case.network, case.pixels, 2 if name == "cuda" else 4)
            bound_s = machine.bound_s(layers)
            figures.add(case.name, name, "operations", "Mflop", sum(one.flops for one in layers) / 1e6)
            figures.add(case.name, name, "bytes", "MB", sum(one.size_bytes for one in layers) / 1e6)
            figures.add(case.name, name, "bound", "ms", bound_s * 1000)
            for seconds in roofline.network_times(case, backend, plan.rounds):
                figures.add(case.name, name, "time", "ms", seconds * 1000)
                figures.add(case.name, name, "times the bound", "×", seconds / bound_s)
        tick()
    return figures.measures()


def starts(plan: Plan, tick: Tick) -> list[Measure]:
    """New processes: how soon the first verdict is written, and how much memory one takes at most.

    Raises:
        OutputError: no verdict came.
    """
    figures = Figures("start")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, *RESOLUTIONS["720p"], 1, CLIP_FRAMES)
        for backend in plan.backends:
            for _ in range(plan.rounds):
                seconds, peak_mb = _start(clip, Path(folder) / "events.jsonl", backend)
                figures.add("first verdict", backend, "time", "s", seconds)
                figures.add("first verdict", backend, "memory", "MB", peak_mb)
                tick()
    return figures.measures()


def _start(clip: Path, events: Path, backend: str) -> tuple[float, float]:
    """Seconds until the first event is in the file, and the process's most memory in MB."""
    events.unlink(missing_ok=True)
    start_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "gatecam", "replay", str(clip), "--events", str(events)],
        env={**os.environ, "GATECAM_DEVICE": backend},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found_s, peak_mb = START_LIMIT_S, 0.0
    while process.poll() is None and time.perf_counter() - start_s < START_LIMIT_S:
        peak_mb = _peak_mb(process.pid) or peak_mb
        if found_s == START_LIMIT_S and events.is_file() and events.stat().st_size:
            found_s = time.perf_counter() - start_s
        time.sleep(0.005)
    process.kill()
    process.wait()
    if found_s == START_LIMIT_S:
        raise OutputError(f"a replay on {backend} gave no verdict: run `gatecam doctor`.")
    return found_s, peak_mb


def _peak_mb(pid: int) -> float | None:
    """The most memory that a process has held so far; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


def archive(plan: Plan, tick: Tick) -> list[Measure]:
    """On the GPU: batches as a replay analyses them, and one frame alone."""
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
                spent_s = []
                for _ in range(20):
                    start_s = time.perf_counter()
                    analyzer.analyze(batch)
                    spent_s.append(time.perf_counter() - start_s)
                speed = len(batch) * len(spent_s) / sum(spent_s)
                figures.add(case, backend, "speed", "frames/s", speed, more=True)
                figures.add(case, backend, "p50", "ms", percentile(spent_s, 0.5) * 1000)
                figures.add(case, backend, "p95", "ms", percentile(spent_s, 0.95) * 1000)
                tick()
    return figures.measures()


def _faces(count: int) -> str:
    return {0: "no face", 1: "1 face"}.get(count, f"{count} faces")
