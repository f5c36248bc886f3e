"""What the first networks of a cascade hand on: the mistakes that the next one learns from."""

from __future__ import annotations

import numpy as np
import torch

from gatecam.types import Floats, Image
from gatecam.vision.cascade import Candidates, CascadeDetector
from gatecam.vision.detector_networks import O_MARGIN, O_SIZE, R_MARGIN, R_SIZE, ONet, RNet
from gatecam.vision.pyramid import Pyramid

# So low that what is handed on holds more mistakes than in use, and the next network sees the next harder.
MINED_THRESHOLDS = {
    "rnet": {"pnet_threshold": 0.15},
    "onet": {"pnet_threshold": 0.2, "rnet_threshold": 0.1},
}
BEFORE = {"rnet": "pnet", "onet": "rnet"}

NOTHING = np.zeros((0, 5), np.float32)


class Miner(CascadeDetector):
    """A cascade that can be stopped half-way."""

    @torch.inference_mode()
    def candidates(self, image: Image, after: str) -> Floats:
        """The boxes (k, 5) with their scores that "pnet", or "rnet" behind it, hands on of a picture."""
        pyramid = self._pyramid(image)
        return NOTHING if pyramid is None else _rows(self._handed_on(pyramid, after))

    @torch.inference_mode()
    def judged_by(self, image: Image, network: str) -> Floats:
        """What "rnet" or "onet" is handed of a picture, (k, 5), with the scores that it gives itself."""
        pyramid = self._pyramid(image)
        if pyramid is None:
            return NOTHING
        found = self._handed_on(pyramid, BEFORE[network])
        if not found.scores.shape[1]:
            return NOTHING
        net: RNet | ONet = getattr(self._nets, network)
        size, margin = (R_SIZE, R_MARGIN) if network == "rnet" else (O_SIZE, O_MARGIN)
        logits, _, _ = self._judged(net, pyramid, found, size, margin)
        return _rows(Candidates(found.boxes, logits[..., 0].sigmoid(), found.real))

    def _pyramid(self, image: Image) -> Pyramid | None:
        if min(image.shape[:2]) <= 1:
            return None
        return Pyramid([torch.from_numpy(np.ascontiguousarray(image)).to(self._device)])

    def _handed_on(self, pyramid: Pyramid, after: str) -> Candidates:
        proposed = self._propose(pyramid, [None])
        return proposed if after == "pnet" else self._refine(pyramid, proposed, given=0)


def _rows(candidates: Candidates) -> Floats:
    rows = torch.cat([candidates.boxes[0], candidates.scores[0, :, None]], 1)
    return np.asarray(rows[candidates.real[0]].cpu().numpy())
