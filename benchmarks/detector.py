"""How fast and how steady the detector is: `make bench-detector`, or `benchmarks/detector.py [VIDEO]`.

Each comparison in one run, the two taking turns, medians over the rounds:
  1. the cascade beside `facenet_pytorch.MTCNN.detect`, frame by frame, at 640 × 480 and 1280 × 720,
  2. the same with key frames and hints over a whole clip, with the tracks that each gives,
  3. batches of 1, 8 and 32 on the GPU, where there is one, beside the library's batch mode,
  4. memory over frames of changing sizes and numbers of faces.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from gatecam.runtime.cores import set_threads

set_threads()  # both as gatecam runs: OpenMP reads it when torch is loaded

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN

from gatecam.people.keyframes import KeyFrames
from gatecam.people.tracker import FaceTracker
from gatecam.settings.schema import Config, DetectorConfig
from gatecam.types import Detection, Face, Frame, Image, Prediction
from gatecam.vision.detector.build import Detector, build_detector
from gatecam.vision.device import pick_backend

ROUNDS, FRAMES, MEMORY_FRAMES = 5, 12, 20_000
MIN_FACE_PX = 32
SIZES = ((640, 480), (1280, 720))
CLIPS = Path(__file__).parents[1].parent / "shared" / "data" / "videos"
MASKED = Prediction(np.array([1, 0, 0]), np.array([1, 0]), np.array([1, 0, 0]))  # tracks need no verdicts


def read(video: Path, size: tuple[int, int], limit: int | None = None) -> list[Image]:
    """A clip's frames, resized."""
    capture, frames = cv2.VideoCapture(str(video)), []
    while limit is None or len(frames) < limit:
        ok, image = capture.read()
        if not ok:
            break
        resized = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), size)
        frames.append(np.asarray(resized, np.uint8))
    return frames


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start_s = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start_s


def turns(*works: Callable[[], object]) -> list[float]:
    """The median seconds of each, taking turns."""
    for work in works:
        work()
    rounds = [[seconds(work) for work in works] for _ in range(ROUNDS)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def beside_library(video: Path, detector: Detector, library: MTCNN, device: torch.device) -> None:
    """Frame by frame, both sizes."""
    for size in SIZES:
        frames = read(video, size)
        frames = frames[:: max(1, len(frames) // FRAMES)][:FRAMES]
        theirs_s, ours_s = turns(
            lambda f=frames: [library.detect(frame) for frame in f],
            lambda f=frames: [detector.detect([frame]) for frame in f],
        )
        count = len(frames)
        print(
            f"{size[0]} x {size[1]}: library {1e3 * theirs_s / count:.1f} ms, cascade "
            f"{1e3 * ours_s / count:.1f} ms a frame: {theirs_s / ours_s:.2f} x"
        )


def tracked(frames: Sequence[Image], detector: Detector, device: torch.device, every: int) -> tuple[int, int]:
    """Search a clip with key frames `every` so many frames; people, and frames in which one was seen."""
    config = Config().detector.model_copy(update={"detect_every": every})
    planner, tracker = KeyFrames(config), FaceTracker(Config().tracker)
    people: set[int] = set()
    seen = 0
    for index, image in enumerate(frames):
        frame = Frame("bench", index, index / 30, image)
        hints = planner.plan(frame, tracker.expected(frame.time_s)) if every > 1 else None
        faces = faces_of(detector, image, hints, device)
        if every > 1 and planner.review(faces):
            faces = faces_of(detector, image, None, device)
            planner.review(faces)
        tracks = tracker.update(faces, frame.time_s)
        people |= {track.id for track in tracks}
        seen += sum(bool(track.faces) for track in tracks)
    return len(people), seen


def faces_of(detector: Detector, image: Image, hints: object, device: torch.device) -> list[Face]:
    """The faces of one frame."""
    if hints is not None and not len(hints):
        return []
    (found,) = detector.detect([image], [hints])
    return [Face(detection, MASKED) for detection in found]


def over_a_clip(video: Path, detector: Detector, library: MTCNN, device: torch.device) -> None:
    """With hints and without, beside the library."""
    frames = read(video, SIZES[0])
    results: dict[int, tuple[int, int]] = {}

    def with_every(every: int) -> None:
        results[every] = tracked(frames, detector, device, every)

    every = Config().detector.detect_every
    theirs_s, plain_s, hinted_s = turns(
        lambda: [library.detect(frame) for frame in frames], lambda: with_every(1), lambda: with_every(every)
    )
    count = len(frames)
    print(
        f"{video.name}, {count} frames: library {1e3 * theirs_s / count:.1f} ms, each frame whole "
        f"{1e3 * plain_s / count:.1f} ms ({theirs_s / plain_s:.1f} x), with hints "
        f"{1e3 * hinted_s / count:.1f} ms a frame ({theirs_s / hinted_s:.1f} x)"
    )
    for step, (people, seen) in results.items():
        print(f"  detect_every {step}: {people} people, seen {seen} times in {count} frames")


def in_batches(video: Path, detector: Detector, library: MTCNN, device: torch.device) -> None:
    """Frames/s on a GPU beside the library's batch mode."""
    frames = read(video, SIZES[1], 32)
    for size in (1, 8, 32):
        batch = (frames * 32)[:size]
        theirs_s, ours_s = turns(lambda b=batch: library.detect(b), lambda b=batch: detector.detect(b))
        print(f"batch {size}: library {size / theirs_s:.0f}, cascade {size / ours_s:.0f} frames/s")


def memory(detector: Detector, faces: Sequence[Image], device: torch.device) -> None:
    """The resident set over many frames of changing sizes and numbers of faces."""
    rng = np.random.default_rng(0)
    start_mib = 0.0
    for done in range(MEMORY_FRAMES + 1):
        if done % (MEMORY_FRAMES // 10) == 0:
            now_mib = resident_mib()
            start_mib = start_mib or now_mib
            print(f"  {done:6} frames: {now_mib:.0f} MiB", flush=True)
        detector.detect([crowd(faces, rng)])
    print(f"memory: {resident_mib() - start_mib:+.0f} MiB over {MEMORY_FRAMES} frames")


def crowd(faces: Sequence[Image], rng: np.random.Generator) -> Image:
    """A frame of some size with some faces."""
    height, width = (int(v) for v in rng.integers(120, 480, 2))
    image = np.full((height, width, 3), 90, np.uint8)
    for _ in range(int(rng.integers(0, 8))):
        face = faces[rng.integers(len(faces))]
        side = int(rng.integers(40, min(height, width, 200)))
        y, x = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        image[y : y + side, x : x + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return image


def resident_mib() -> float:
    """What the process holds now, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def cut(detections: Sequence[Detection], image: Image) -> list[Image]:
    """The faces of a frame with some of their surroundings."""
    crops = []
    for detection in detections:
        box, reach = detection.box, detection.box.width / 3
        y, x = max(0, int(box.y1 - reach)), max(0, int(box.x1 - reach))
        crops.append(image[y : int(box.y2 + reach), x : int(box.x2 + reach)])
    return crops


def main() -> None:
    """Print all comparisons."""
    warnings.simplefilter("ignore")
    video = Path(sys.argv[1]) if len(sys.argv) > 1 else CLIPS / "learn.mkv"
    backend = pick_backend(os.environ.get("GATECAM_DEVICE", "auto"))
    device = backend.device
    detector = build_detector(DetectorConfig(min_face_px=MIN_FACE_PX), backend)
    library = MTCNN(min_face_size=MIN_FACE_PX, keep_all=True, device=device)
    print(f"{backend.name}, {torch.get_num_threads()} threads, smallest face {MIN_FACE_PX} px")
    beside_library(video, detector, library, device)
    over_a_clip(video, detector, library, device)
    if device.type == "cuda":
        in_batches(video, detector, library, device)
    frame = read(video, SIZES[0], 1)[0]
    (found,) = detector.detect([frame])
    memory(detector, cut(found, frame), device)


if __name__ == "__main__":
    main()
