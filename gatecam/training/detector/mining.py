"""Mine the mistakes of a cascade's first networks, which the next network learns from."""

from __future__ import annotations

import numpy as np

from gatecam.types import Floats, Image
from gatecam.vision.detector.cascade import Candidates, CascadeDetector
from gatecam.vision.detector.pyramid import Picture
from gatecam.vision.detector.sizes import O_MARGIN, O_SIZE, R_MARGIN, R_SIZE, Network

# Low thresholds let more mistakes through than in use, so that the next network sees more of them.
MINED_THRESHOLDS = {
    "rnet": {"pnet_threshold": 0.15},
    "onet": {"pnet_threshold": 0.2, "rnet_threshold": 0.1},
}
BEFORE = {"rnet": "pnet", "onet": "rnet"}

NOTHING = np.zeros((0, 5), np.float32)


class Miner(CascadeDetector):
    """Runs a cascade only up to R-Net or O-Net."""

    def candidates(self, image: Image, after: str) -> Floats:
        """Return the candidates (k, 5) that remain in a picture after "pnet" or "rnet": corners and score."""
        return _rows(self._handed_on([Picture(image)], after))

    def scored_by(self, image: Image, network: str) -> Floats:
        """Return the candidates (k, 5) that "rnet" or "onet" gets in a picture, with its own scores."""
        pictures = [Picture(image)]
        found = self._handed_on(pictures, BEFORE[network])
        net: Network = getattr(self._nets, network)
        size, margin = (R_SIZE, R_MARGIN) if network == "rnet" else (O_SIZE, O_MARGIN)
        outputs, _ = self._outputs(net, pictures, found, size, margin)
        return _rows(found.moved(found.boxes, outputs[:, 0]))

    def _handed_on(self, pictures: list[Picture], after: str) -> Candidates:
        smallest_px = [self._config.smallest_face_px(picture.size[1]) for picture in pictures]
        proposed = self._propose(pictures, [None] * len(pictures), smallest_px)
        return proposed if after == "pnet" else self._refine(pictures, proposed)


def _rows(found: Candidates) -> Floats:
    return np.concatenate([found.boxes, found.scores[:, None]], 1)
