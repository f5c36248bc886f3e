"""Measure whole replays of clips from the file to the events."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gatecam.app import build_analyzer, build_pipeline, open_replay
from gatecam.bench.memory import Peak
from gatecam.bench.parts import Figures, Plan, Tick, require
from gatecam.bench.result import CAPTURE, Measure
from gatecam.bench.scene import FPS
from gatecam.capture.recording import open_recording
from gatecam.people.pipeline import advance
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config

WARM_UP = 4  # frames of a clip that are processed before, unmeasured
PACED_FRAMES = 60  # frames of a clip that come at a camera's pace


def resolutions(plan: Plan, videos: dict[str, Path], tick: Tick) -> list[Measure]:
    """Measure whole replays, and frames at a camera's pace.

    Args:
        plan: the backends and rounds.
        videos: the clips by case.
        tick: called after each round.

    Raises:
        DeviceError: a backend failed, and another one replaced it.
        SourceError: a clip cannot be read.
    """
    figures = Figures("resolutions")
    players = [Player(Config(device=name)) for name in plan.backends]  # type: ignore[arg-type]
    for case, video in videos.items():
        for player in players:
            player.run(video, WARM_UP)
        for _ in range(plan.rounds):
            for name, player in zip(plan.backends, players, strict=True):
                peak = Peak()
                ran = player.run(video)
                figures.memory(case, name, peak)
                figures.add(case, name, "speed", "frames/s", ran.fps, more=True)
                figures.stages(case, name, player.telemetry, len(ran.faces))
                figures.spread(case, name, CAPTURE, player.paced(video))
                require(player.analyzer, name)
            tick()
    return figures.measures()


@dataclass(frozen=True, slots=True)
class Ran:
    """Holds the result of a pass over a clip: the number of faces in each frame, and the time it took."""

    faces: tuple[int, ...]
    seconds: float

    @property
    def fps(self) -> float:
        """Return frames per second."""
        return len(self.faces) / self.seconds


class Player:
    """Replays clips, from decoding to events."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.telemetry = Telemetry()
        self.analyzer = build_analyzer(config, self.telemetry)

    def run(self, video: Path, limit: int | None = None) -> Ran:
        """Replay the whole clip, or its first `limit` frames."""
        self.telemetry.empty()
        start_s = time.perf_counter()
        with open_replay(self._config, video, self.analyzer, self.telemetry) as replay:
            faces = tuple(len(step.faces) for step in islice(replay.steps, limit))
            return Ran(faces, time.perf_counter() - start_s)

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
