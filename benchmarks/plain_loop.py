"""Compare replays with the plain loop: `make bench-plain`, or `benchmarks/plain_loop.py [VIDEO] [ROUNDS]`.

The plain loop is facenet-pytorch's MTCNN with its defaults, then a ResNet-18 for each face. This is the
simplest program that does gatecam's work, frame by frame and face by face at 224 px. It alternates with
gatecam on the same clips.

It detects faces of 20 px and more, and gatecam with its defaults those of 32 px and more. So gatecam is also
measured with the plain loop's settings: faces of 20 px, every frame searched whole and every face judged.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

from gatecam.runtime.cores import set_threads

if __name__ == "__main__":
    set_threads()  # OpenMP reads it when torch is loaded

import cv2
import torch
from facenet_pytorch import MTCNN
from torchvision.models import resnet18

from gatecam.bench.page import terminal_table
from gatecam.bench.parts import CLIP_FRAMES, RESOLUTIONS, Figures
from gatecam.bench.replays import Player, Ran
from gatecam.bench.result import Measure
from gatecam.bench.scene import write_clip
from gatecam.errors import SourceError
from gatecam.runtime.console import open_console
from gatecam.settings.schema import Config, DetectorConfig
from gatecam.vision.precision import working_backends

FRAMES = 24  # of a clip for the plain loop, which takes ten times as long per frame
WARM_UP = 4  # frames that are processed before, unmeasured
CLASSES = 18
FACE_PX = 224
SMALLEST_PX = 20  # side of the smallest face that the library detects by default; its pyramid ends there


class PlainLoop:
    """Decodes, detects, crops, resizes and classifies, one frame and one face at a time."""

    def __init__(self, device: str) -> None:
        """Load the networks on a torch device, "cpu" or "cuda"."""
        self._device = torch.device(device)
        self._detector = MTCNN(keep_all=True, device=self._device)
        self._classifier = resnet18(num_classes=CLASSES).eval().to(self._device)

    @torch.inference_mode()
    def run(self, video: Path, limit: int) -> Ran:
        """Process at most `limit` frames of a video's beginning.

        Raises:
            SourceError: OpenCV cannot read any frame.
        """
        capture = cv2.VideoCapture(str(video))
        faces: list[int] = []
        start_s = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns about the library's lists of different lengths
            while len(faces) < limit:
                ok, image = capture.read()
                if not ok:
                    break
                faces.append(self._analyze(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)))
        seconds = time.perf_counter() - start_s
        capture.release()
        if not faces:
            raise SourceError(
                f"{video}: OpenCV, which the plain loop uses, cannot decode it. Export it again as H.264."
            )
        return Ran(tuple(faces), seconds)

    def _analyze(self, image: cv2.typing.MatLike) -> int:
        if min(image.shape[:2]) < SMALLEST_PX:  # the library fails on an empty pyramid
            return 0
        boxes, _ = self._detector.detect(image)
        count = 0
        for box in boxes if boxes is not None else ():
            x1, y1, x2, y2 = (max(0, int(v)) for v in box)
            if x2 > x1 and y2 > y1:
                face = cv2.resize(image[y1:y2, x1:x2], (FACE_PX, FACE_PX)).transpose(2, 0, 1)
                crop = torch.from_numpy(face)[None].to(self._device).float() / 255
                self._classifier(crop).softmax(1).cpu()
                count += 1
        return count


def compare(videos: dict[str, Path], backends: Iterable[str], rounds: int) -> list[Measure]:
    """Measure replays of clips (by case) on gatecam's backends and with the plain loop, in turn."""
    figures = Figures("plain loop")
    plain = PlainLoop("cuda" if "cuda" in backends else "cpu")
    alike = DetectorConfig(min_face_px=SMALLEST_PX, detect_every=1)
    players = {}
    for name in backends:
        players[name] = Player(Config(device=name)), None  # type: ignore[arg-type]
        players[f"{name}, alike"] = Player(Config(device=name, detector=alike)), FRAMES  # type: ignore[arg-type]
    for case, video in videos.items():
        for run in (plain.run, *(player.run for player, _ in players.values())):
            run(video, WARM_UP)
        for _ in range(rounds):
            ran = plain.run(video, FRAMES)
            plain_fps = ran.fps
            _add(figures, case, "plain loop", ran)
            for name, (player, limit) in players.items():
                ran = player.run(video, limit)
                _add(figures, case, name, ran)
                figures.add(case, name, "times the plain loop", "×", ran.fps / plain_fps, more=True)
    return figures.measures()


def _add(figures: Figures, case: str, name: str, ran: Ran) -> None:
    seen = ran.faces[:FRAMES]
    figures.add(case, name, "speed", "frames/s", ran.fps, more=True)
    figures.add(case, name, "found", "faces a frame", sum(seen) / len(seen), more=True)


def main(video: str | None = None, rounds: str = "5") -> None:
    """Compare on a clip, or on drawn ones of three sizes, and print a table."""
    backends = [backend.setting for backend in working_backends()]
    with tempfile.TemporaryDirectory() as folder:
        videos = {video: Path(video)} if video else {}
        for case, size in () if video else RESOLUTIONS.items():
            videos[case] = Path(folder) / f"{case}.mp4"
            write_clip(videos[case], *size, 1, CLIP_FRAMES)
        measures = compare(videos, backends, int(rounds))
    open_console().print(terminal_table("Replays compared with the plain loop", measures))


if __name__ == "__main__":
    main(*sys.argv[1:])
