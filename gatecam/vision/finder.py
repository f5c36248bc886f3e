"""Find everything that may be a face, even if it is doubtful or small, so that it can be blurred."""

from __future__ import annotations

import logging

from gatecam.errors import DeviceError
from gatecam.settings.schema import Config
from gatecam.types import Box, Image
from gatecam.vision.bordered import shrunk
from gatecam.vision.detector.build import STOCK, build_detector
from gatecam.vision.device import Backend, first_line
from gatecam.vision.openvino import describe_openvino

log = logging.getLogger(__name__)

# A face that is missed stays visible, but a patch that is blurred in vain costs nothing.
SMALLEST_PX = 16
THRESHOLDS = {"pnet_threshold": 0.3, "rnet_threshold": 0.2, "onet_threshold": 0.1}
CPU = Backend("cpu")
STOCK_SEARCH = {"weights": STOCK, "pnet_threshold": 0.3, "rnet_threshold": 0.3, "onet_threshold": 0.2}


class LowFaceFinder:
    """Searches whole pictures on the CPU with low thresholds. Implements `FaceFinder`."""

    def __init__(self, config: Config, thorough: bool = False) -> None:
        """Load the detector that the settings name.

        Args:
            config: the settings. Their thresholds, region and smallest face are ignored.
            thorough: also search with the stock weights, because the two cascades miss different faces. This
                takes about ten times as long.

        Raises:
            ModelError: weights are missing, changed or of another kind.
        """
        low = config.detector.model_copy(update={**THRESHOLDS, "min_face_px": SMALLEST_PX, "region": None})
        self._searches = [low, low.model_copy(update=STOCK_SEARCH)] if thorough else [low]
        is_fast = config.device != "cpu" and describe_openvino()[0]
        try:
            # one thread, because the analysis runs at the same time
            self._load(Backend("openvino", threads=1) if is_fast else CPU)
        except DeviceError:  # the analyzer reports an OpenVINO that cannot run the networks
            self._load(CPU)

    def _load(self, backend: Backend) -> None:
        self._detectors = [build_detector(one, backend) for one in self._searches]
        self._backend = backend

    def find(self, image: Image, largest_px: int | None = None) -> list[Box]:
        """Return boxes that may be faces. A picture wider than `largest_px` is searched at that width."""
        scale = 1.0 if largest_px is None else min(1.0, largest_px / image.shape[1])
        boxes = self._found(shrunk(image, scale))
        return [Box(b.x1 / scale, b.y1 / scale, b.x2 / scale, b.y2 / scale) for b in boxes]

    def _found(self, picture: Image) -> list[Box]:
        """Return the boxes of all searches. Change to torch for good where OpenVINO fails."""
        try:
            return [detection.box for one in self._detectors for detection in one.detect([picture])[0]]
        except RuntimeError as error:
            if self._backend is CPU:
                raise
            log.warning("OpenVINO failed (%s): torch finds the faces to blur from now on.", first_line(error))
            self._load(CPU)
            return self._found(picture)
