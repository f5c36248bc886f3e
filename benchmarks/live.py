"""How soon `gatecam run` speaks, and whether it speaks to the wrong ones: `make bench-live PASSES=100`.

Drawn people walk up to a streamed camera in real time, every other one with the mask on right. Printed are
the times from the sending of the first frame whose face reaches the smallest size that gatecam looks for
to the printed alert, how many were alerted of each kind, and gatecam's own summary.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatecam.settings.schema import Config
from gatecam.training.drawing import Wear
from tests.clips import Person, Waypoint, draw_walk
from tests.streams import MjpegServer, Viewer, part

FPS = 30.0
EMPTY_S = 4.0  # between two people: longer than gatecam takes someone back as the same
LOOKS = ("bare", Wear.RIGHT)
BOX_HEIGHT = 1.15  # of what the detector finds, over the width of the drawn face


@dataclass(slots=True)
class Pass:
    """One person's walk, its frames as JPEG, and what was measured of it."""

    person: Person
    pictures: list[bytes]
    reaches: int  # the frame in which the face reaches the smallest size
    begun_s: float = 0.0
    reached_s: float = 0.0
    events: list[tuple[str, float]] = field(default_factory=list)  # kind, when it was printed

    @property
    def is_bare(self) -> bool:
        """Whether no mask is worn."""
        return self.person.looks[0][1] == "bare"


def draw_pass(number: int, smallest_px: int) -> Pass:
    """A person who walks up from 24 px of face to 70 to 130, stands a moment, and leaves to a side."""
    rng = np.random.default_rng(number)
    x, near_px, walk_s = rng.uniform(0.3, 0.7), rng.uniform(70, 130), rng.uniform(1.6, 2.8)
    path = (
        Waypoint(0.0, rng.uniform(0.4, 0.6), 24.0),
        Waypoint(walk_s, x, near_px),
        Waypoint(walk_s + 0.6, x, near_px),
        Waypoint(walk_s + 1.4, rng.choice([-0.6, 1.6]), near_px),
    )
    person = Person(path, ((0.0, LOOKS[number % 2]),), mask_seed=int(rng.integers(1000)))
    length_s = walk_s + 1.4
    pictures = [encode(image) for image in draw_walk([person], length_s, fps=FPS)]
    reaches = next(i for i in range(len(pictures)) if BOX_HEIGHT * person.face_px(i / FPS) >= smallest_px)
    return Pass(person, pictures, reaches)


def encode(image: np.ndarray) -> bytes:
    """The picture as a camera's JPEG."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def film(viewer: Viewer, passes: list[Pass], empty: list[bytes], over: threading.Event) -> None:
    """Send all walks in real time, with an empty entrance between them."""

    def pictures() -> Iterator[tuple[bytes, Pass | None, int]]:
        for one in passes:
            yield from ((picture, None, 0) for picture in empty)
            yield from ((picture, one, index) for index, picture in enumerate(one.pictures))
        yield from ((picture, None, 0) for picture in empty)

    start_s = time.monotonic()
    for count, (picture, one, index) in enumerate(pictures()):
        viewer.wait(max(0.0, start_s + count / FPS - time.monotonic()))
        if one is not None and index == 0:
            one.begun_s = time.monotonic()
        if one is not None and index == one.reaches:
            one.reached_s = time.monotonic()
        viewer.send(part(picture))
    over.set()


def main() -> None:
    """Draw, stream, listen, and print what came of it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    smallest_px = Config().detector.smallest_face_px(640)
    passes = [draw_pass(number, smallest_px) for number in track(range(count), "drawing the walks")]
    empty = [encode(image) for image in draw_walk([], EMPTY_S, fps=FPS)]
    over = threading.Event()
    with tempfile.TemporaryDirectory() as folder, MjpegServer() as server:
        server.plan = lambda viewer: film(viewer, passes, empty, over)
        environment = {
            **os.environ,
            "GATECAM_NOTIFY_SOUND": "false",
            "XDG_RUNTIME_DIR": folder,
            "XDG_DATA_HOME": folder,
        }
        command = [sys.executable, "-m", "gatecam", "run", "--headless", "--camera", server.url]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        listener = threading.Thread(target=listen, args=(process, passes), daemon=True)
        listener.start()
        over.wait()
        process.terminate()
        process.wait(30)
    report(passes)


def listen(process: subprocess.Popen[str], passes: list[Pass]) -> None:
    """Give each printed event to the walk that had begun last."""
    assert process.stdout is not None
    for line in process.stdout:
        now_s, event = time.monotonic(), json.loads(line)
        begun = [one for one in passes if 0 < one.begun_s <= now_s]
        if begun:
            begun[-1].events.append((event["kind"], now_s))


def report(passes: list[Pass]) -> None:
    """Print delays and wrong alerts."""
    bare = [one for one in passes if one.is_bare]
    delays_s = sorted(
        one.events[0][1] - one.reached_s
        for one in bare
        if one.events and one.events[0][0].startswith("mask_") and one.events[0][0] != "mask_ok"
    )
    masked = [one for one in passes if not one.is_bare]
    wrong = [one for one in masked if any(kind != "mask_ok" for kind, _ in one.events)]
    thanked = sum(any(kind == "mask_ok" for kind, _ in one.events) for one in masked)
    repeated = sum(len([kind for kind, _ in one.events if kind == "mask_missing"]) > 1 for one in bare)
    print(f"bare: {len(delays_s)} of {len(bare)} alerted, {repeated} more than once")
    if delays_s:
        p95_s = delays_s[min(len(delays_s) - 1, int(0.95 * len(delays_s)))]
        median_s = statistics.median(delays_s)
        print(f"  after the smallest size was reached: median {median_s:.2f} s, p95 {p95_s:.2f} s")
    print(f"masked: {len(wrong)} of {len(masked)} alerted, {thanked} thanked")
    for one in wrong:
        print(f"  walk {passes.index(one)}: {', '.join(kind for kind, _ in one.events)}")
    kinds = [one.events[0][0] if one.events else "nothing" for one in bare]
    print("first said to bare ones:", {kind: kinds.count(kind) for kind in sorted(set(kinds))})


if __name__ == "__main__":
    main()
