"""Detector and classifier behind one call: `FaceAnalyzer` on a torch device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gatecam.config import Config
from gatecam.geometry import region_box, shift
from gatecam.telemetry import Telemetry
from gatecam.types import Box, Detection, Face, Image, Prediction
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.detector import build_detector
from gatecam.vision.device import pick_device


class TorchAnalyzer:
    """Finds and judges faces with torch; implements `FaceAnalyzer`.

    Faces are looked for in the region of the settings alone; they are judged, and told, in the whole image.
    """

    def __init__(self, config: Config, telemetry: Telemetry | None = None) -> None:
        self._device = pick_device(config.device)
        self._detector = build_detector(config.detector, self._device)
        self._region = config.detector.region or (0.0, 0.0, 1.0, 1.0)
        self._classifier = FaceClassifier(config.classifier.weights, self._device)
        self._telemetry = telemetry or Telemetry()

    def analyze(
        self, images: Sequence[Image], hints: Sequence[Sequence[Box] | None] | None = None
    ) -> list[list[Face]]:
        """The faces of each image, best first; `hints` as `FaceAnalyzer` has them.

        An image whose hints are empty costs nothing, not even its upload.
        """
        given = [None] * len(images) if hints is None else hints
        asked = {i: boxes for i, boxes in enumerate(given) if boxes is None or len(boxes) > 0}
        faces: list[list[Face]] = [[] for _ in images]
        if asked:
            looked_at = self._analyze([images[i] for i in asked], list(asked.values()))
            for i, of_image in zip(asked, looked_at, strict=True):
                faces[i] = of_image
        return faces

    def classify_crops(self, images: Sequence[Image]) -> list[Prediction]:
        """One prediction an image, each a face already cropped."""
        return self._classifier.classify_crops([self._upload(image) for image in images])

    def _analyze(self, images: Sequence[Image], hints: Sequence[Sequence[Box] | None]) -> list[list[Face]]:
        with self._telemetry.stage("detect", len(images)):
            frames = [self._upload(image) for image in images]
            found = self._detect(frames, hints)
        with self._telemetry.stage("classify", len(images)):
            judged = iter(self._classifier.classify(frames, [self._boxes(faces) for faces in found]))
            return [[Face(detection, next(judged)) for detection in faces] for faces in found]

    def _detect(
        self, frames: Sequence[Tensor], hints: Sequence[Sequence[Box] | None]
    ) -> list[list[Detection]]:
        """Detect in views of the region, in pixels of the frames."""
        parts = [region_box(self._region, frame.shape[1], frame.shape[0]) for frame in frames]
        views = [
            frame[int(part.y1) : int(part.y2), int(part.x1) : int(part.x2)]
            for frame, part in zip(frames, parts, strict=True)
        ]
        hints_in_views = [
            None if boxes is None else [shift(box, -part.x1, -part.y1) for box in boxes]
            for boxes, part in zip(hints, parts, strict=True)
        ]
        found = self._detector.detect(views, hints_in_views)
        return [
            [_shifted(detection, part.x1, part.y1) for detection in faces]
            for faces, part in zip(found, parts, strict=True)
        ]

    def _upload(self, image: Image) -> Tensor:
        return torch.from_numpy(np.require(image, requirements=("C", "W"))).to(
            self._device, non_blocking=True
        )

    def _boxes(self, faces: Sequence[Detection]) -> Tensor:
        corners = [(f.box.x1, f.box.y1, f.box.x2, f.box.y2) for f in faces]
        return torch.tensor(corners, device=self._device).reshape(-1, 4)


def _shifted(detection: Detection, dx: float, dy: float) -> Detection:
    """The detection moved by `dx`, `dy` pixels, landmarks too."""
    landmarks = detection.landmarks
    if landmarks is not None:
        landmarks = landmarks + np.array([dx, dy], landmarks.dtype)
    return Detection(shift(detection.box, dx, dy), detection.score, landmarks)
