"""Run the plain loop: facenet-pytorch's MTCNN with its defaults, then a ResNet-18 for each face.

This is the simplest program that does gatecam's work, frame by frame and face by face at 224 px. The bench
gives gatecam's speed as a multiple of it.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import cv2
import torch
from facenet_pytorch import MTCNN
from torchvision.models import resnet18

from gatecam.errors import SourceError

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
    def run(self, video: Path, limit: int) -> tuple[int, int, float]:
        """Process at most `limit` frames of a video's beginning. Return the frames, faces and seconds.

        Raises:
            SourceError: OpenCV cannot read any frame.
        """
        capture = cv2.VideoCapture(str(video))
        frames = faces = 0
        start_s = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns about the library's lists of different lengths
            while frames < limit:
                ok, image = capture.read()
                if not ok:
                    break
                frames += 1
                faces += self._judge(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        seconds = time.perf_counter() - start_s
        capture.release()
        if not frames:
            raise SourceError(
                f"{video}: OpenCV, which the plain loop uses, cannot decode it. Export it again as H.264."
            )
        return frames, faces, seconds

    def _judge(self, image: cv2.typing.MatLike) -> int:
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
