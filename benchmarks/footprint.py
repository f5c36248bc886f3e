"""How soon `gatecam run` says something after its start, and how much memory and time of a core it takes.

`make bench-footprint MINUTES=10 WORDS=--web` starts `gatecam run --headless` twice on a streamed camera of
640 × 480 with two faces: the first time with an empty state folder, as after an installation, and the second
time with what the first start left there. Printed are the seconds from each start to the first printed event.
Some seconds later the scene is empty and still. After the minutes the resident memory of the second program
is printed, alone and with its readers, and the share of a core that each used since the scene was empty.
Memory that processes share counts once for each.

`python benchmarks/footprint.py sizes` analyzes 5,000 pictures of random sizes with two faces in one process,
and prints its resident memory after each 1,000.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from cameras import __file__ as cameras_file

from gatecam.app import build_analyzer
from gatecam.bench.scene import draw
from gatecam.runtime.cores import set_threads
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config

FACES_S = 30.0  # faces are in view for so long after the camera was opened


def resident_mb(process: int) -> float:
    """Return the resident memory of a process, or 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def children(process: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, task.read_text(encoding="ascii").split()):
            found += [child, *children(child)]
    return found


def cpu_s(process: int) -> float:
    """Return the CPU time that a process has used, or 0 if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(folder: Path, words: list[str]) -> tuple[subprocess.Popen[str], float]:
    """Start gatecam. Return it, and the seconds until it printed the first event."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "XDG_DATA_HOME": str(folder)}
    environment["GATECAM_NOTIFY_SOUND"] = "false"
    command = [sys.executable, "-m", "gatecam", "run", "--headless", *words]
    command += ["--config", str(folder / "config.yaml")]
    begun_s = time.monotonic()
    with (folder / "said.txt").open("a") as said:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=said, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit((folder / "said.txt").read_text())
    return process, time.monotonic() - begun_s


def sizes(count: int = 5000) -> None:
    """Print the memory of a process that analyzes pictures of random sizes."""
    set_threads()
    analyzer = build_analyzer(Config(), Telemetry())
    (picture,) = draw(1280, 720, 2, 1)
    rng = np.random.default_rng(0)
    for index in range(count):
        analyzer.analyze([cv2.resize(picture, (int(rng.integers(200, 1280)), int(rng.integers(150, 720))))])
        if index % 1000 == 999:
            print(f"after {index + 1} sizes: {resident_mb(os.getpid()):.0f} MB", flush=True)


def main(minutes: str = "10", *words: str) -> None:
    """Start twice, wait, and print what came of it."""
    server = subprocess.Popen(
        [sys.executable, cameras_file, "serve", "1", str(FACES_S)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"cameras": [{"name": "door", "source": url}]}
        (folder / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML
        process, first_s = start(folder, list(words))
        process.terminate()
        process.communicate(timeout=30)
        process, second_s = start(folder, list(words))
        print(
            f"first event {first_s:.2f} s after the first start, {second_s:.2f} s after the next", flush=True
        )
        time.sleep(FACES_S + 5)
        readers = children(process.pid)
        before, since_s = [cpu_s(one) for one in (process.pid, *readers)], time.monotonic()
        time.sleep(60 * float(minutes))
        shares = [
            100 * (cpu_s(one) - used) / (time.monotonic() - since_s)
            for one, used in zip((process.pid, *readers), before, strict=True)
        ]
        own_mb = resident_mb(process.pid)
        total_mb = own_mb + sum(map(resident_mb, readers))
        print(f"after {minutes} minutes: {own_mb:.0f} MB, {total_mb:.0f} MB with {len(readers)} readers")
        print(f"an empty, still scene: {shares[0]:.1f} % of a core, the reader {sum(shares[1:]):.1f} %")
        process.terminate()
        process.communicate(timeout=30)
    server.communicate()


if __name__ == "__main__":
    if sys.argv[1:] == ["sizes"]:
        sizes()
    else:
        main(*sys.argv[1:])
