"""Measure whole replays of clips from the file to the events, alternating with the plain loop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gatecam.app import build_analyzer, build_pipeline, open_replay
from gatecam.bench.memory import Peak
from gatecam.bench.parts import DEVICES, Figures, Plan, Tick, require
from gatecam.bench.plain import SMALLEST_PX, PlainLoop
from gatecam.bench.result import ALIKE, CAPTURE, PLAIN, Measure
from gatecam.bench.scene import FPS
from gatecam.capture.recording import open_recording
from gatecam.people.pipeline import advance
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, DetectorConfig

PLAIN_FRAMES = 24  # frames of a clip for the plain loop, which takes ten times as long per frame
PLAIN_WARM_UP = 4  # frames of a clip that it processes before, unmeasured
PACED_FRAMES = 60  # frames of a clip that come at a camera's pace
# gatecam then judges every face, too
ALIKE_DETECTOR = DetectorConfig(min_face_px=SMALLEST_PX, detect_every=1)


def resolutions(plan: Plan, videos: dict[str, Path], faces: int | None, tick: Tick) -> list[Measure]:
    """Measure whole replays, alternating with the plain loop on the same clips.

    Args:
        plan: the backends and rounds.
        videos: the clips by case.
        faces: number of faces in every frame, or None if unknown.
        tick: called after each round.

    Raises:
        SourceError: a clip cannot be read.
    """
    figures = Figures("resolutions")
    device = "cuda" if "cuda" in plan.backends else "cpu"
    plain, plain_name = PlainLoop(device), f"{PLAIN}, {DEVICES[device]}"
    ours = [_Replayed(name) for name in plan.backends]
    for case, video in videos.items():
        for one in ours:
            one.run(video)
            one.run_alike(video, PLAIN_WARM_UP)
        plain.run(video, PLAIN_WARM_UP)
        for _ in range(plan.rounds):
            peak = Peak()
            frames, seen, seconds = plain.run(video, PLAIN_FRAMES)
            ran = Ran(frames, seen, seconds)
            figures.add(case, plain_name, "speed", "frames/s", ran.fps, more=True)
            figures.memory(case, plain_name, peak)
            _found(figures, case, plain_name, ran, faces)
            for one in ours:
                _replayed(figures, case, one, video, ran.fps, faces)
            tick()
    return figures.measures()


@dataclass(frozen=True, slots=True)
class Ran:
    """Holds the result of a pass over a clip. Faces are counted in the plain loop's frames only."""

    frames: int
    faces: int
    seconds: float

    @property
    def fps(self) -> float:
        """Return frames per second."""
        return self.frames / self.seconds


def _replayed(
    figures: Figures, case: str, one: _Replayed, video: Path, plain_fps: float, faces: int | None
) -> None:
    """Measure a round of one backend: as a replay, at a camera's pace, and with the plain loop's settings.

    Raises:
        DeviceError: the backend failed, and another one replaced it.
    """
    peak = Peak()
    ran = one.run(video)
    figures.memory(case, one.backend, peak)
    figures.stages(case, one.backend, one.telemetry, ran.frames)
    figures.spread(case, one.backend, CAPTURE, one.paced(video))
    for name, of_name in ((one.backend, ran), (one.backend + ALIKE, one.run_alike(video, PLAIN_FRAMES))):
        figures.add(case, name, "speed", "frames/s", of_name.fps, more=True)
        figures.add(case, name, "times the plain loop", "×", of_name.fps / plain_fps, more=True)
        _found(figures, case, name, of_name, faces)
    require(one.analyzer, one.backend)


def _found(figures: Figures, case: str, name: str, ran: Ran, faces: int | None) -> None:
    seen = ran.faces / min(ran.frames, PLAIN_FRAMES)
    unit = "faces a frame" if faces is None else "of the faces"
    figures.add(case, name, "found", unit, seen / (faces or 1), more=True)


class _Replayed:
    """Runs gatecam from decoding to events, with default settings or with those of the plain loop."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._config = Config(device=backend)  # type: ignore[arg-type]
        self.telemetry = Telemetry()
        self.analyzer = build_analyzer(self._config, self.telemetry)

    def run(self, video: Path) -> Ran:
        """Replay the whole clip."""
        self.telemetry.empty()
        return self._run(self._config, video, None)

    def run_alike(self, video: Path, limit: int) -> Ran:
        """Replay the first frames with the plain loop's smallest face, and search every frame whole."""
        alike = self._config.model_copy(update={"detector": ALIKE_DETECTOR})
        self.analyzer.apply(alike)
        ran = self._run(alike, video, limit)
        self.analyzer.apply(self._config)
        return ran

    def _run(self, config: Config, video: Path, limit: int | None) -> Ran:
        frames = faces = 0
        start_s = time.perf_counter()
        with open_replay(config, video, self.analyzer, self.telemetry) as replay:
            for step in islice(replay.steps, limit):
                frames += 1
                faces += len(step.faces) if frames <= PLAIN_FRAMES else 0
            seconds = time.perf_counter() - start_s
        return Ran(frames, faces, seconds)

    def paced(self, video: Path) -> list[float]:
        """Return the seconds from the start of decoding to the events, for frames that come one by one at
        `FPS`.
        """
        pipeline = build_pipeline(self._config, self.analyzer, "bench", self.telemetry)
        spent_s: list[float] = []
        with open_recording(video, FPS) as frames:
            start_s = time.perf_counter()
            for index in range(PACED_FRAMES):
                time.sleep(max(0.0, start_s + index / FPS - time.perf_counter()))
                begun_s = time.perf_counter()
                frame = next(frames, None)
                if frame is None:
                    break
                advance(self.analyzer, [(pipeline, frame)])
                spent_s.append(time.perf_counter() - begun_s)
        return spent_s
