"""Adapt facenet-pytorch's MTCNN (Zhang et al. 2016) to `Detector`, for `detector.weights: stock`.

The library finds few masked faces. It serves for comparisons, and to find bare faces that our cascade misses.
On OpenVINO, `stock_compiled.py` runs its networks without it.

The library fails on frames that are too small for its pyramid and on candidates outside of the frame. This
adapter guards against both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pickle import UnpicklingError

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN

from gatecam.errors import ModelError
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Detection, Image
from gatecam.vision.detector.pyramid import GREY
from gatecam.vision.detector.stock_compiled import search_each

CELL_PX = 12.0  # size of P-Net's input; the library fails where no level of its pyramid is as large
BORDER = 0.25  # of a frame's shorter side, added where candidates lie outside of the frame


class StockDetector:
    """Finds faces with facenet-pytorch's own networks and weights, one frame after the other."""

    def __init__(self, config: DetectorConfig, device: torch.device) -> None:
        """Load the weights that the package bundles.

        Raises:
            ModelError: they are missing or damaged.
        """
        try:
            self._library = MTCNN(keep_all=True, select_largest=False, device=device)
        except (OSError, EOFError, RuntimeError, ValueError, UnpicklingError) as error:
            raise ModelError(
                f"the weights of facenet-pytorch cannot be loaded ({type(error).__name__}): "
                "reinstall it with `pip install --force-reinstall --no-deps facenet-pytorch==2.5.3`."
            ) from error
        self.apply(config)

    def apply(self, config: DetectorConfig) -> None:
        """Use new thresholds and a new smallest face from the next frame on."""
        self._config = config
        self._library.thresholds = [config.pnet_threshold, config.rnet_threshold, config.onet_threshold]
        self._library.factor = config.pyramid_factor

    def detect(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        smallest_px: Sequence[int] | None = None,
    ) -> list[list[Detection]]:
        """Return the faces of each image, best score first. See `Detector.detect`.

        An image with hints is searched whole, because the library cannot search at given boxes.
        """
        return search_each(images, hints, smallest_px, self._config, self._faces)

    def _faces(self, image: Image, smallest_px: int) -> list[Detection]:
        """Search one image (H, W, 3)."""
        if min(image.shape[:2]) * (CELL_PX / smallest_px) < CELL_PX:  # as the library computes it
            return []
        self._library.min_face_size = smallest_px
        try:
            return self._found(image, 0)
        except (IndexError, RuntimeError):  # what the library raises for candidates outside of the frame
            border = int(min(image.shape[:2]) * BORDER)
            framed = cv2.copyMakeBorder(image, *(border,) * 4, cv2.BORDER_CONSTANT, value=(GREY,) * 3)
            return self._found(np.asarray(framed, np.uint8), border)

    def _found(self, image: Image, border: int) -> list[Detection]:
        """Search an image that has a border of `border` px. Return faces in px of the image inside it."""
        boxes, scores, points = self._library.detect(np.ascontiguousarray(image), landmarks=True)
        if boxes is None:
            return []
        found = [
            Detection(Box(*(box - border).tolist()), float(score), np.asarray(five - border, np.float32))
            for box, score, five in zip(np.asarray(boxes, np.float32), scores, points, strict=True)
        ]
        return sorted(found, key=lambda face: -face.score)
