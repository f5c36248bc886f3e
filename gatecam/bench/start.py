"""Measure cold starts: new processes, from their start until the first verdict is written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gatecam.bench.memory import peak_mb
from gatecam.bench.parts import CLIP_FRAMES, RESOLUTIONS, Figures, Plan, Tick
from gatecam.bench.result import Measure
from gatecam.bench.scene import write_clip
from gatecam.errors import OutputError
from gatecam.settings.loading import ENV_PREFIX

START_LIMIT_S = 120.0
LOOK_EVERY_S = 0.005


def starts(plan: Plan, tick: Tick) -> list[Measure]:
    """Start new processes. Measure the time to the first verdict and the peak memory.

    Raises:
        OutputError: there was no verdict.
    """
    figures = Figures("start")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clip(folder / "clip.mp4", *RESOLUTIONS["720p"], 1, CLIP_FRAMES)
        for backend in plan.backends:
            for _ in range(plan.rounds):
                seconds, held_mb = _start(folder, backend)
                figures.add("first verdict", backend, "time", "s", seconds)
                if held_mb is not None:
                    figures.add("first verdict", backend, "memory", "MB", held_mb)
                tick()
    return figures.measures()


def _start(folder: Path, backend: str) -> tuple[float, float | None]:
    """Return the seconds until the first event is in the file, and the process's peak memory in MB."""
    settings, events, said = (folder / name for name in ("bench.yaml", "events.jsonl", "said.txt"))
    # not the user's own settings, so that all starts are the same
    settings.write_text(f"device: {backend}\n", encoding="utf-8")
    events.unlink(missing_ok=True)
    words = ("replay", str(folder / "clip.mp4"), "--events", str(events), "--config", str(settings))
    start_s = time.perf_counter()
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "gatecam", *words],
            env={name: text for name, text in os.environ.items() if not name.startswith(ENV_PREFIX)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            found_s, held_mb = _watched(process, events, start_s)
        finally:
            process.kill()
            process.wait()
    if found_s is None:
        last = "".join(said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:])
        raise OutputError(
            f"a replay on {backend} gave no verdict ({last or 'it said nothing'}): run `gatecam doctor`."
        )
    return found_s, held_mb


def _watched(
    process: subprocess.Popen[bytes], events: Path, start_s: float
) -> tuple[float | None, float | None]:
    """Return the time of the first event, or None, and the peak memory until the process ends."""
    found_s = held_mb = None
    while process.poll() is None and time.perf_counter() - start_s < START_LIMIT_S:
        held_mb = peak_mb(process.pid) or held_mb
        if found_s is None and events.is_file() and events.stat().st_size:
            found_s = time.perf_counter() - start_s
        time.sleep(LOOK_EVERY_S)
    return found_s, held_mb
