"""Combine the detector and the classifier in one analyzer, `NetworkAnalyzer`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from gatecam.errors import DeviceError
from gatecam.geometry import contested_faces, pair_faces, region_box
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, Geometry
from gatecam.types import Box, Detection, Expected, Face, Floats, Image, Prediction
from gatecam.vision.bordered import Found, bordered, largest_face, matching_face
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.detector.build import build_detector
from gatecam.vision.device import (
    Backend,
    first_line,
    next_backend,
    no_cuda,
    why_cuda_failed,
)
from gatecam.vision.looks import looks_of
from gatecam.vision.precision import pick_precise_backend
from gatecam.vision.windows import window_of

T = TypeVar("T")

CROP_SEARCH_PX = 320  # longer side at which a crop is searched for its face
CROP_FACE_PX = 20  # smallest face to search for there, as in training

log = logging.getLogger(__name__)


class NetworkAnalyzer:
    """Detects and classifies faces with torch or OpenVINO. Implements `FaceAnalyzer`.

    Faces are detected only in the region of the settings. They are classified, and returned, in px of the
    whole image.
    """

    def __init__(
        self,
        config: Config,
        telemetry: Telemetry | None = None,
        before_networks: Callable[[], None] = lambda: None,
    ) -> None:
        """Load the networks on the backend of the settings.

        Args:
            config: the settings.
            telemetry: records the times of the stages `detect` and `classify`.
            before_networks: called when the libraries are imported, before the networks are loaded.

        Raises:
            DeviceError: the settings ask for a device that does not work or cannot run the networks.
            ModelError: the weights are missing, changed or of another kind.
        """
        self._telemetry = telemetry or Telemetry()
        self._load(config, pick_precise_backend(config, before_networks))
        self._set_geometry(config)

    @property
    def device(self) -> str:
        """Return what runs the networks, as the setting `device` names it, such as "openvino-int8"."""
        return self._backend.setting

    @property
    def reason(self) -> str:
        """Return why that backend was chosen."""
        return self._backend.reason

    def _load(self, config: Config, backend: Backend) -> None:
        """Load the networks. Try the next best backend where the chosen one cannot run them.

        Raises:
            DeviceError: the settings ask for this backend, and it cannot run them.
            ModelError: the weights are missing, changed or of another kind.
        """
        try:
            self._build(config, backend)
        except (DeviceError, RuntimeError) as error:
            if backend.setting == config.device == "cuda" and isinstance(error, RuntimeError):
                raise no_cuda(why_cuda_failed(str(error))) from error
            if backend.setting in ("cpu", config.device):
                raise
            self._load(config, _after(backend, error))

    def _build(self, config: Config, backend: Backend) -> None:
        self._config, self._backend = config, backend
        self._detector = build_detector(config.detector, backend)
        self._classifier = FaceClassifier(config.classifier.weights, backend)

    def apply(self, config: Config) -> None:
        """Use new thresholds, regions, door sizes and smallest faces from the next frame on."""
        self._config = config
        self._detector.apply(config.detector)
        self._set_geometry(config)

    def _set_geometry(self, config: Config) -> None:
        self._common = config.detector
        self._geometry: dict[str, Geometry] = {one.camera.name: one.detector for one in config.watched}

    def analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        cameras: Sequence[str] | None = None,
        expected: Sequence[Sequence[Expected]] | None = None,
    ) -> list[list[Face]]:
        """Return the faces of each image, best first. `FaceAnalyzer.analyze` explains the arguments.

        An image with an empty list of hints is not searched.
        """
        given = [None] * len(images) if hints is None else hints
        asked = {i: boxes for i, boxes in enumerate(given) if boxes is None or len(boxes) > 0}
        faces: list[list[Face]] = [[] for _ in images]
        if asked:
            geometry = [
                self._geometry.get(cameras[i], self._common) if cameras else self._common for i in asked
            ]
            tracks = [expected[i] if expected else () for i in asked]
            chosen, boxes = [images[i] for i in asked], list(asked.values())
            analyzed = self._safely(lambda: self._analyze(chosen, boxes, geometry, tracks))
            for i, of_image in zip(asked, analyzed, strict=True):
                faces[i] = of_image
        return faces

    def classify_crops(self, images: Sequence[Image]) -> list[Prediction]:
        """Return a prediction for each image, which is a face that was cropped with any margin.

        The face is detected in the image, as in training, and classified with the margin of the weights. An
        image without a detected face is classified as it is.
        """
        return self._safely(lambda: self._classify_crops(images))

    def _classify_crops(self, images: Sequence[Image]) -> list[Prediction]:
        views = [bordered(image, CROP_SEARCH_PX) for image in images]
        seen = [view.seen for view in views]
        found = self._detector.detect(seen, None, [CROP_FACE_PX] * len(seen)) if seen else []
        boxes = [
            _face_in(image, list(view.faces_in(detections)))
            for image, view, detections in zip(images, views, found, strict=True)
        ]
        near = [(image, box) for image, box in zip(images, boxes, strict=True) if box is not None]
        whole = [image for image, box in zip(images, boxes, strict=True) if box is None]
        by_face = iter(
            self._classifier.classify(
                [image for image, _ in near], [_corners([Detection(box, 1.0)]) for _, box in near]
            )
        )
        as_they_are = iter(self._classifier.classify_crops(whole))
        return [next(as_they_are if box is None else by_face) for box in boxes]

    def _safely(self, compute: Callable[[], T]) -> T:
        """Return the result of `compute`. If the backend fails, change to the next one for good."""
        try:
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
        tracks: Sequence[Sequence[Expected]],
    ) -> list[list[Face]]:
        with self._telemetry.stage("detect", len(images)):
            found = self._detect(images, hints, geometry)
        return self._classify_new(images, found, tracks)

    def _classify_new(
        self,
        images: Sequence[Image],
        found: Sequence[Sequence[Detection]],
        tracks: Sequence[Sequence[Expected]],
    ) -> list[list[Face]]:
        """Return each frame's faces. Classify all those without a known prediction in one batch."""
        known = [_known(faces, expected) for faces, expected in zip(found, tracks, strict=True)]
        new = [
            [face for face, old in zip(faces, olds, strict=True) if old is None]
            for faces, olds in zip(found, known, strict=True)
        ]
        classified = iter(self._classified(images, new))
        return [
            [
                _face(image, face, next(classified)) if old is None else Face(face, old, judged=False)
                for face, old in zip(faces, olds, strict=True)
            ]
            for image, faces, olds in zip(images, found, known, strict=True)
        ]

    def _classified(self, images: Sequence[Image], faces: Sequence[Sequence[Detection]]) -> list[Prediction]:
        """Return a prediction for each face.

        The stage counts only frames in which a face is classified, so its percentiles are about those frames.
        """
        count = sum(bool(of_frame) for of_frame in faces)
        if not count:
            return []
        with self._telemetry.stage("classify", count):
            return self._classifier.classify(images, [_corners(of_frame) for of_frame in faces])

    def _detect(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None],
        geometry: Sequence[Geometry],
    ) -> list[list[Detection]]:
        """Detect faces in the region of each image, or only around its hints there."""
        regions = [
            region_box(place.region or (0.0, 0.0, 1.0, 1.0), image.shape[1], image.shape[0])
            for image, place in zip(images, geometry, strict=True)
        ]
        smallest_px = [
            place.smallest_face_px(int(region.width)) for place, region in zip(geometry, regions, strict=True)
        ]
        windows = [window_of(region, boxes) for region, boxes in zip(regions, hints, strict=True)]
        found = self._detector.detect(
            [window.cut(image) for window, image in zip(windows, images, strict=True)],
            [
                None if boxes is None else [window.inside(box) for box in boxes]
                for window, boxes in zip(windows, hints, strict=True)
            ],
            smallest_px,
        )
        return [
            [window.outside(detection) for detection in faces]
            for window, faces in zip(windows, found, strict=True)
        ]


def _corners(faces: Sequence[Detection]) -> Floats:
    """Return the corners of faces as (n, 4)."""
    corners = [(f.box.x1, f.box.y1, f.box.x2, f.box.y2) for f in faces]
    return np.array(corners, np.float32).reshape(-1, 4)


def _face_in(crop: Image, faces: Sequence[Found]) -> Box | None:
    """Return the face that a crop was cut around: the one that overlaps it most, or else the largest."""
    face = matching_face(Box(0, 0, crop.shape[1], crop.shape[0]), faces) or largest_face(faces)
    return face[0] if face else None


def _after(failed: Backend, error: Exception) -> Backend:
    """Return the backend that replaces a failed one, and log it."""
    reason = first_line(error)
    chosen = next_backend(failed, reason)
    log.warning(
        "%s failed (%s): the networks run on %s until the next start.",
        "The GPU" if failed.name == "cuda" else _named(failed),
        reason,
        _named(chosen) if chosen.name == "openvino" else "torch on the CPU",
    )
    return chosen


def _named(backend: Backend) -> str:
    """Return a name for OpenVINO, with its precision if that is not float32."""
    return "OpenVINO" if backend.precision == "float32" else f"OpenVINO in {backend.precision}"


def _face(image: Image, detection: Detection, classified: Prediction) -> Face:
    """Return a face that was classified in this image, with its looks."""
    return Face(detection, classified, looks=looks_of(image, detection.box))


def _known(faces: Sequence[Detection], tracks: Sequence[Expected]) -> list[Prediction | None]:
    """Return for each face the known prediction of its track, or None if the face must be classified.

    A face that may belong to several tracks must be classified, because then its looks are needed.
    """
    known: list[Prediction | None] = [None] * len(faces)
    if any(track.known for track in tracks):
        boxes = [face.box for face in faces]
        contested = contested_faces(tracks, boxes)
        for track, face in pair_faces(tracks, boxes).items():
            if face not in contested:
                known[face] = tracks[track].known
    return known
