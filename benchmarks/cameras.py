"""What `gatecam run` makes of several streamed cameras: `make bench-cameras CAMERAS=4 SECONDS=40`.

Each camera is a Motion JPEG stream over HTTP, 640 × 480 at 10 frames/s with two faces in view, sent by
another process. Printed are the frames/s that were judged of each, and gatecam's own summary with the time
from capture to decision.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle, takewhile
from math import inf
from pathlib import Path

import numpy as np
import PIL.Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatecam.bench.scene import NOISE, draw
from gatecam.types import Image
from tests.streams import MjpegServer, Viewer

FPS = 10.0
FACES = 2
PICTURES = 40  # a cycle
EMPTY_PICTURES = 200  # shorter loops are taken for a frozen picture
WARM_UP_S = 8.0


def pictures() -> list[bytes]:
    """What all cameras send, as JPEG."""
    return [as_jpeg(image) for image in draw(640, 480, FACES, PICTURES)]


def empty_pictures() -> list[bytes]:
    """What a camera sends of an empty entrance, each picture with noise of its own."""
    (room,) = draw(640, 480, 0, 1)
    rng = np.random.default_rng(3)
    noisy = (np.clip(room + rng.normal(0, NOISE, room.shape), 0, 255) for _ in range(EMPTY_PICTURES))
    return [as_jpeg(picture.astype(np.uint8)) for picture in noisy]


def as_jpeg(picture: Image) -> bytes:
    """Encode a picture as a camera does."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def serve(count: int, faces_s: float = inf) -> None:
    """Send the pictures from so many addresses, printed first, until standard input closes.

    After `faces_s` seconds the scene is empty and still.
    """
    film, empty = pictures(), empty_pictures()

    def plan(viewer: Viewer) -> None:
        start_s = time.monotonic()
        viewer.film(takewhile(lambda _: time.monotonic() < start_s + faces_s, cycle(film)), FPS)
        viewer.film(cycle(empty), FPS)

    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(MjpegServer(plan=plan)) for _ in range(count)]
        print(" ".join(server.url for server in servers), flush=True)
        sys.stdin.read()


def frames_judged(environment: dict[str, str]) -> tuple[float, dict[str, int]]:
    """When it was asked, in s, and the frames of each camera so far."""
    command = [sys.executable, "-m", "gatecam", "status", "--json"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True).stdout
    cameras = json.loads(told.splitlines()[0])["cameras"]
    return time.monotonic(), {camera["name"]: camera["frames"] for camera in cameras}


def main() -> None:
    """Stream, watch, ask twice, and print what came of it."""
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    urls = server.stdout.readline().split()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder, "XDG_DATA_HOME": folder}
        environment["GATECAM_NOTIFY_SOUND"] = "false"
        settings = Path(folder) / "config.yaml"
        listed = [{"name": f"door {i + 1}", "source": url} for i, url in enumerate(urls)]
        settings.write_text(json.dumps({"cameras": listed}))  # JSON is YAML
        command = [sys.executable, "-m", "gatecam", "run", "--headless", "--config", str(settings)]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        time.sleep(WARM_UP_S)
        start_s, before = frames_judged(environment)
        time.sleep(seconds)
        end_s, after = frames_judged(environment)
        process.terminate()
        said = process.communicate(timeout=30)[1]
    server.communicate()
    rates = [(after[name] - before[name]) / (end_s - start_s) for name in after]
    print(said)
    print(f"{count} cameras: {', '.join(f'{rate:.2f}' for rate in rates)} frames/s; slowest {min(rates):.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), *map(float, sys.argv[3:]))
    else:
        main()
