"""Run public face detectors, which label pictures that train the detector and serve as a comparison.

Their files are not part of gatecam. OpenCV runs them on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from gatecam.errors import ModelError
from gatecam.types import Box, Detection, Floats, Image

LOWEST_SCORE = 0.15  # weaker detections of a teacher are dropped
STOCK = "stock"


class Teacher(Protocol):
    """Finds faces. Implemented by each teacher and by our own detectors."""

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        """Return the faces (with landmarks) of each image (H, W, 3) RGB, best first."""


class CenterFace:
    """Runs CenterFace (Xu et al. 2019, "CenterFace: Joint Face Detection and Alignment Using Face as Point").

    The network predicts a heat map of face centres at a quarter of the picture's size, and for each cell the
    logarithm of the face's sides, the offset of its centre, and five landmarks in parts of its sides.
    """

    OUTPUTS = ("537", "538", "539", "540")  # heat map, sides, offsets, landmarks
    STRIDE_PX, MULTIPLE_PX, NMS_IOU = 4, 32, 0.3

    def __init__(self, network: cv2.dnn.Net) -> None:
        self._network = network

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        """Return the faces of each image. See `Teacher.detect`."""
        return [self._faces(image) for image in images]

    def _faces(self, image: Image) -> list[Detection]:
        height, width = (-(-side // self.MULTIPLE_PX) * self.MULTIPLE_PX for side in image.shape[:2])
        padded = cv2.copyMakeBorder(
            image, 0, height - image.shape[0], 0, width - image.shape[1], cv2.BORDER_CONSTANT
        )
        self._network.setInput(cv2.dnn.blobFromImage(padded))
        heat, sides, offsets, points = (out[0] for out in self._network.forward(self.OUTPUTS))
        rows, columns = np.nonzero(heat[0] > LOWEST_SCORE)
        at = (slice(None), rows, columns)
        size = np.exp(sides[at][::-1]) * self.STRIDE_PX  # (2, n): width, height
        middle = (np.stack([columns, rows]) + offsets[at][::-1] + 0.5) * self.STRIDE_PX
        corner = middle - size / 2
        landmarks = points[at].reshape(5, 2, -1)[:, ::-1] * size + corner  # (5, 2, n)
        scores = heat[0][rows, columns]
        boxes = np.concatenate([corner, size]).T  # (n, 4): x, y, width, height
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), LOWEST_SCORE, self.NMS_IOU)
        found = [_detection(boxes[i], scores[i], landmarks[..., i]) for i in np.ravel(kept).astype(int)]
        return sorted(found, key=lambda face: -face.score)


class YuNet:
    """Runs YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector") with OpenCV."""

    NMS_IOU, KEPT = 0.3, 5000

    def __init__(self, path: Path) -> None:
        self._network = cv2.FaceDetectorYN.create(
            str(path), "", (32, 32), LOWEST_SCORE, self.NMS_IOU, self.KEPT
        )

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        """Return the faces of each image. See `Teacher.detect`."""
        found = []
        for image in images:
            self._network.setInputSize((image.shape[1], image.shape[0]))
            _, rows = self._network.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            faces = [] if rows is None else rows
            found.append([_detection(row[:4], row[14], row[4:14].reshape(5, 2)) for row in faces])
        return [sorted(faces, key=lambda face: -face.score) for faces in found]


def _detection(box: Floats, score: float, landmarks: Floats) -> Detection:
    """Make a detection of a box x, y, width, height."""
    x, y, width, height = map(float, box)
    return Detection(Box(x, y, x + width, y + height), float(score), np.asarray(landmarks, np.float32))


def load_teacher(path: Path) -> Teacher:
    """Load a teacher from its ONNX file. The names of its outputs tell which one it is.

    Raises:
        ModelError: the file cannot be read, or is another network.
    """
    try:
        network = cv2.dnn.readNetFromONNX(str(path))
        if set(CenterFace.OUTPUTS) <= set(network.getUnconnectedOutLayersNames()):
            return CenterFace(network)
        return YuNet(path)
    except cv2.error as error:
        raise ModelError(
            f"{path}: is not a network of CenterFace or YuNet. Choose the ONNX file of one of them."
        ) from error
