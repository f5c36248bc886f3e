"""How fast replay is beside the plain loop: `make bench`, or `python tests/bench_replay.py VIDEO...`.

Both in one run. The plain loop is what one would write first: the library's MTCNN on its defaults, frame
by frame, then torchvision's ResNet-18 at 224 px, face by face. Both decode the same files; the two take
turns, and medians over the rounds are printed, so that a noisy machine disturbs both alike.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from pathlib import Path

from gatecam.app import build_analyzer, let_threads_sleep, open_replay

let_threads_sleep()  # both loops as gatecam runs: OpenMP reads it when torch is loaded

import cv2  # noqa: E402
import torch  # noqa: E402
from facenet_pytorch import MTCNN  # noqa: E402
from torchvision.models import resnet18  # noqa: E402

from gatecam.config import Config  # noqa: E402
from gatecam.telemetry import Telemetry  # noqa: E402

ROUNDS = 5
CLIPS = Path(__file__).parents[1].parent / "shared" / "data" / "videos"


class PlainLoop:
    """Decode, `MTCNN.detect`, crop, resize to 224, ResNet-18: one frame and one face at a time."""

    def __init__(self) -> None:
        self._detector = MTCNN(keep_all=True)
        self._classifier = resnet18(num_classes=18).eval()

    @torch.inference_mode()
    def run(self, video: Path) -> int:
        """The number of frames."""
        capture, frames = cv2.VideoCapture(str(video)), 0
        while True:
            ok, image = capture.read()
            if not ok:
                return frames
            frames += 1
            rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            boxes, _ = self._detector.detect(rgb)
            for box in boxes if boxes is not None else ():
                x1, y1, x2, y2 = (max(0, int(v)) for v in box)
                if x2 <= x1 or y2 <= y1:
                    continue
                face = cv2.resize(rgb[y1:y2, x1:x2], (224, 224)).transpose(2, 0, 1)
                self._classifier(torch.from_numpy(face)[None].float() / 255).softmax(1)


class Replay:
    """gatecam on its defaults, decode to events."""

    def __init__(self) -> None:
        self._telemetry = Telemetry()
        self._config = Config()
        self._analyzer = build_analyzer(self._config, self._telemetry)

    def run(self, video: Path) -> int:
        """The number of frames."""
        with open_replay(self._config, video, self._analyzer, self._telemetry) as replay:
            return sum(1 for _ in replay.steps)


def main() -> None:
    """Print a row a clip and the ratio over all."""
    warnings.filterwarnings("ignore", category=UserWarning)
    videos = [Path(name) for name in sys.argv[1:]] or sorted(CLIPS.glob("*.mkv"))
    if not videos:
        sys.exit("give a video: the shared clips are not here")
    plain, ours = PlainLoop(), Replay()
    for video in videos[:1]:  # warm up
        plain.run(video), ours.run(video)
    print(f"{'clip':<28}{'frames':>8}{'plain loop':>16}{'gatecam':>16}{'ratio':>8}")
    totals = [0.0, 0.0]
    for video in videos:
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for side, loop in enumerate((plain, ours)):
                start_s = time.perf_counter()
                frames = loop.run(video)
                seconds[side].append(time.perf_counter() - start_s)
        slow, fast = (statistics.median(s) for s in seconds)
        totals = [totals[0] + slow, totals[1] + fast]
        print(
            f"{video.name:<28}{frames:>8}{frames / slow:>12.1f} f/s"
            f"{frames / fast:>12.1f} f/s{slow / fast:>8.2f}"
        )
    print(f"all clips: gatecam takes 1/{totals[0] / totals[1]:.2f} of the plain loop's time")


if __name__ == "__main__":
    main()
