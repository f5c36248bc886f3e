"""Detector and classifier behind one call: `FaceAnalyzer` on a torch device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from gatecam.config import Config, Geometry
from gatecam.errors import DeviceError
from gatecam.geometry import iou, region_box, shift
from gatecam.telemetry import Telemetry
from gatecam.types import Box, Detection, Expected, Face, Image, Prediction
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.detector.build import build_detector
from gatecam.vision.detector.cascade_fixed import FixedCascade
from gatecam.vision.device import (
    Backend,
    first_line,
    next_backend,
    no_cuda,
    pick_backend,
    torch_threads,
    why_cuda_failed,
)
from gatecam.vision.resident import Asked, ResidentAnalysis
from gatecam.vision.upload import upload

T = TypeVar("T")

SAME_FACE = 0.4  # IoU of a face with where its track expects it

log = logging.getLogger(__name__)


class TorchAnalyzer:
    """Finds and judges faces with torch; implements `FaceAnalyzer`.

    Faces are looked for in the region of the settings alone; they are judged, and told, in the whole image.
    """

    def __init__(self, config: Config, telemetry: Telemetry | None = None) -> None:
        self._telemetry = telemetry or Telemetry()
        self._load(config, pick_backend(config.device))
        self._place(config)

    @property
    def device(self) -> str:
        """What runs the networks: "cpu", "cuda" or "openvino"."""
        return self._backend.name

    @property
    def reason(self) -> str:
        """Why that one was picked."""
        return self._backend.reason

    def _load(self, config: Config, backend: Backend) -> None:
        """Load the networks; on the next best backend where the one that was picked cannot run them.

        Raises:
            DeviceError: the settings ask for this backend, and it cannot.
            ModelError: the weights are missing, changed or of another kind.
        """
        try:
            self._build(config, backend)
        except (DeviceError, RuntimeError) as error:
            if backend.name == config.device == "cuda" and isinstance(error, RuntimeError):
                raise no_cuda(why_cuda_failed(str(error))) from error
            if backend.name in ("cpu", config.device):
                raise
            self._load(config, _after(backend, error))

    def _build(self, config: Config, backend: Backend) -> None:
        self._config, self._backend, self._device = config, backend, backend.device
        self._detector = build_detector(config.detector, backend)
        self._classifier = FaceClassifier(config.classifier.weights, backend)
        self._resident: ResidentAnalysis | None = None
        if backend.name == "cuda" and isinstance(self._detector, FixedCascade):
            self._resident = ResidentAnalysis(self._detector, self._classifier, self._device)

    def apply(self, config: Config) -> None:
        """From the next frame on take thresholds, doors, regions and smallest faces from other settings."""
        self._config = config
        self._detector.apply(config.detector)
        self._place(config)

    def _place(self, config: Config) -> None:
        self._common = config.detector
        self._geometry: dict[str, Geometry] = {one.camera.name: one.detector for one in config.watched}

    def analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        cameras: Sequence[str] | None = None,
        expected: Sequence[Sequence[Expected]] | None = None,
    ) -> list[list[Face]]:
        """The faces of each image, best first; what is given beside them as `FaceAnalyzer` has it.

        An image whose hints are empty costs nothing, not even its upload.
        """
        given = [None] * len(images) if hints is None else hints
        asked = {i: boxes for i, boxes in enumerate(given) if boxes is None or len(boxes) > 0}
        faces: list[list[Face]] = [[] for _ in images]
        if asked:
            geometry = [
                self._geometry.get(cameras[i], self._common) if cameras else self._common for i in asked
            ]
            known = [[track for track in expected[i] if track.known] if expected else [] for i in asked]
            chosen, boxes = [images[i] for i in asked], list(asked.values())
            looked_at = self._safely(lambda: self._analyze(chosen, boxes, geometry, known))
            for i, of_image in zip(asked, looked_at, strict=True):
                faces[i] = of_image
        return faces

    def classify_crops(self, images: Sequence[Image]) -> list[Prediction]:
        """One prediction an image, each a face already cropped."""
        return self._safely(
            lambda: self._classifier.classify_crops([self._upload(image) for image in images])
        )

    def _safely(self, compute: Callable[[], T]) -> T:
        """What is computed; where the GPU or OpenVINO fails, on the next best backend from then on."""
        try:
            with torch_threads(self._backend):
                return compute()
        except RuntimeError as error:
            if self._backend.name == "cpu":
                raise
            self._load(self._config, _after(self._backend, error))
            return self._safely(compute)

    def _analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None],
        geometry: Sequence[Geometry],
        known: Sequence[Sequence[Expected]],
    ) -> list[list[Face]]:
        asked = _asked(images, hints, geometry)
        if self._resident is not None:
            with self._telemetry.stage("analyze", len(images)):
                judged_at_once = self._resident.analyze(upload(images, self._device), asked)
                return [
                    [_face(face, prediction, _known(face, tracks)) for face, prediction in faces]
                    for faces, tracks in zip(judged_at_once, known, strict=True)
                ]
        with self._telemetry.stage("detect", len(images)):
            frames = [self._upload(image) for image in images]
            found = self._detect(frames, asked)
        return self._judged(frames, found, known)

    def _judged(
        self,
        frames: Sequence[Tensor],
        found: Sequence[Sequence[Detection]],
        known: Sequence[Sequence[Expected]],
    ) -> list[list[Face]]:
        """Each frame's faces: with what is known of them, the others judged, all of all frames at once."""
        lent = [[_known(face, tracks) for face in faces] for faces, tracks in zip(found, known, strict=True)]
        new = [
            [face for face, old in zip(faces, olds, strict=True) if old is None]
            for faces, olds in zip(found, lent, strict=True)
        ]
        judged = iter(self._classified(frames, new))
        return [
            [
                _face(face, next(judged) if old is None else old, old)
                for face, old in zip(faces, olds, strict=True)
            ]
            for faces, olds in zip(found, lent, strict=True)
        ]

    def _classified(self, frames: Sequence[Tensor], faces: Sequence[Sequence[Detection]]) -> list[Prediction]:
        """A prediction a face; the stage counts frames in which one is judged, as its percentiles tell."""
        judging = sum(bool(of_frame) for of_frame in faces)
        if not judging:
            return []
        with self._telemetry.stage("classify", judging):
            return self._classifier.classify(frames, [self._boxes(of_frame) for of_frame in faces])

    def _detect(self, frames: Sequence[Tensor], asked: Asked) -> list[list[Detection]]:
        """Detect in views of the regions, in pixels of the frames."""
        found = self._detector.detect(asked.views(frames), asked.hints, asked.smallest_px)
        return [
            [_shifted(detection, part.x1, part.y1) for detection in faces]
            for faces, part in zip(found, asked.parts, strict=True)
        ]

    def _upload(self, image: Image) -> Tensor:
        return torch.from_numpy(np.require(image, requirements=("C", "W"))).to(
            self._device, non_blocking=True
        )

    def _boxes(self, faces: Sequence[Detection]) -> Tensor:
        corners = [(f.box.x1, f.box.y1, f.box.x2, f.box.y2) for f in faces]
        return torch.tensor(corners, device=self._device).reshape(-1, 4)


def _after(failed: Backend, error: Exception) -> Backend:
    """The backend that goes on after one that failed, which is told."""
    reason = first_line(error)
    chosen = next_backend(failed, reason)
    log.warning(
        "%s failed (%s): the networks run on %s until the next start.",
        "The GPU" if failed.name == "cuda" else "OpenVINO",
        reason,
        "OpenVINO" if chosen.name == "openvino" else "torch on the CPU",
    )
    return chosen


def _asked(
    images: Sequence[Image], hints: Sequence[Sequence[Box] | None], geometry: Sequence[Geometry]
) -> Asked:
    """What is looked at of each image: the region of its camera."""
    parts = [
        region_box(place.region or (0.0, 0.0, 1.0, 1.0), image.shape[1], image.shape[0])
        for image, place in zip(images, geometry, strict=True)
    ]
    in_parts = [
        None if boxes is None else [shift(box, -part.x1, -part.y1) for box in boxes]
        for boxes, part in zip(hints, parts, strict=True)
    ]
    smallest_px = [
        place.smallest_face_px(int(part.width)) for place, part in zip(geometry, parts, strict=True)
    ]
    return Asked(parts, in_parts, smallest_px)


def _face(detection: Detection, judged: Prediction, known: Prediction | None) -> Face:
    """The face; what is known of it goes before what was judged now, so that all backends tell the same."""
    return Face(detection, judged) if known is None else Face(detection, known, judged=False)


def _known(face: Detection, tracks: Sequence[Expected]) -> Prediction | None:
    """What is known of a face: that of the one track that it lies at; of two nobody can tell."""
    at = [track for track in tracks if iou(track.box, face.box) > SAME_FACE]
    return at[0].known if len(at) == 1 else None


def _shifted(detection: Detection, dx: float, dy: float) -> Detection:
    """The detection moved by `dx`, `dy` pixels, landmarks too."""
    landmarks = detection.landmarks
    if landmarks is not None:
        landmarks = landmarks + np.array([dx, dy], landmarks.dtype)
    return Detection(shift(detection.box, dx, dy), detection.score, landmarks)
