"""Scenes of the portrait, for the tests of what the detector learns from."""

from __future__ import annotations

import numpy as np

from gatecam.training.detector.scenes import Scene
from gatecam.types import Image

BOX = (180.0, 62.0, 272.0, 172.0)
LANDMARKS = ((204.0, 108.0), (247.0, 106.0), (228.0, 130.0), (208.0, 146.0), (244.0, 144.0))
BARE = 2


def portrait_scene_of(portrait: Image, mask: int = BARE, ignored: bool = False) -> Scene:
    """The portrait with its face's box and landmarks, or with the face set aside."""
    box = np.array([BOX], np.float32)
    nothing = box[:0]
    return Scene(
        portrait,
        nothing if ignored else box,
        np.array([LANDMARKS], np.float32)[: 0 if ignored else 1],
        np.full(0 if ignored else 1, mask),
        box if ignored else nothing,
    )


def empty_scene_of(seed: int = 0, side: int = 240) -> Scene:
    """Coarse blocks of chance."""
    blocks = np.random.default_rng(seed).integers(0, 256, (side // 12, side // 12, 3), np.uint8)
    image = blocks.repeat(12, 0).repeat(12, 1)
    none = np.zeros((0, 4), np.float32)
    return Scene(image, none, np.zeros((0, 5, 2), np.float32), np.zeros(0, np.int64), none)
