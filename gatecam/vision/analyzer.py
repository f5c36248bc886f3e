"""Detector and classifier behind one call: `FaceAnalyzer` on a torch device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gatecam.config import Config
from gatecam.telemetry import Telemetry
from gatecam.types import Box, Detection, Face, Image, Prediction
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.device import pick_device
from gatecam.vision.mtcnn import MtcnnDetector


class TorchAnalyzer:
    """Finds and judges faces with torch; implements `FaceAnalyzer`."""

    def __init__(self, config: Config, telemetry: Telemetry | None = None) -> None:
        self._device = pick_device(config.device)
        self._detector = MtcnnDetector(config.detector, self._device)
        self._classifier = FaceClassifier(config.classifier.weights, self._device)
        self._telemetry = telemetry or Telemetry()

    def analyze(
        self, images: Sequence[Image], hints: Sequence[Sequence[Box]] | None = None
    ) -> list[list[Face]]:
        """The faces of each image, best first; `hints` are not used yet: every frame is searched whole."""
        if not images:
            return []
        with self._telemetry.stage("detect", len(images)):
            frames = [self._upload(image) for image in images]
            found = self._detector.detect(frames)
        with self._telemetry.stage("classify", len(images)):
            judged = iter(self._classifier.classify(frames, [self._boxes(faces) for faces in found]))
            return [[Face(detection, next(judged)) for detection in faces] for faces in found]

    def classify_crops(self, images: Sequence[Image]) -> list[Prediction]:
        """One prediction an image, each a face already cropped."""
        return self._classifier.classify_crops([self._upload(image) for image in images])

    def _upload(self, image: Image) -> Tensor:
        return torch.from_numpy(np.require(image, requirements=("C", "W"))).to(
            self._device, non_blocking=True
        )

    def _boxes(self, faces: Sequence[Detection]) -> Tensor:
        corners = [(f.box.x1, f.box.y1, f.box.x2, f.box.y2) for f in faces]
        return torch.tensor(corners, device=self._device).reshape(-1, 4)
