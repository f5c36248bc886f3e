"""Measure how `gatecam archive` scales and what it costs: `make bench-archive MINUTES=10`.

Two looped recordings of the demo are analyzed by one worker, by two, and by `gatecam replay` on
one core. Times include the start of programs, networks and Ray.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.clips import write_demo

GATECAM = (sys.executable, "-m", "gatecam")


def seconds(words: list[str], cores: int) -> float:
    """Return how long a command takes on some of the cores."""
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    start_s = time.perf_counter()
    subprocess.run(["taskset", "-c", allowed, *GATECAM, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start_s


def main(minutes: float) -> None:
    """Print the times, the gain of a second worker and the overhead over replay."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip, nas = folder / "clip.mp4", folder / "nas"
        nas.mkdir()
        write_demo(clip)
        looped = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(clip), "-t", str(60 * minutes)]
        recordings = [nas / "a.mp4", nas / "b.mp4"]
        for path in recordings:
            subprocess.run([*looped, "-c", "copy", str(path)], check=True)
        replay_s = seconds(["replay", *map(str, recordings)], cores=1)
        one_s, two_s = (
            seconds(["archive", str(nas), "--out", str(folder / f"{count}"), "--workers", f"{count}"], count)
            for count in (1, 2)
        )
    print(f"2 recordings of {minutes:g} minutes, load {os.getloadavg()[0]:.1f}")
    print(
        f"replay on one core {replay_s:.0f} s, archive with one worker {one_s:.0f} s, with two {two_s:.0f} s"
    )
    print(f"two workers: {one_s / two_s:.2f} times one; overhead over replay: {one_s / replay_s - 1:+.0%}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
