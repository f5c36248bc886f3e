"""Make the training batches of the detector from scenes, copies with masks, portraits and empty pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatecam.training.detector.candidates import Crops, crops
from gatecam.training.detector.mining import NOTHING
from gatecam.training.detector.pictures import Material
from gatecam.training.detector.scenes import Scene
from gatecam.training.detector.windows import Sources, Windows, windows
from gatecam.types import Floats
from gatecam.vision.detector.networks import O_MARGIN, O_SIZE, R_MARGIN, R_SIZE

EMPTY_SHARE, PORTRAIT_SHARE = 0.2, 0.22  # of the scenes in a batch of crops
BARE_SHARE = 0.45  # of the portraits in a batch of crops
ALL_SHARE = 0.6  # of the other scenes: chosen from scenes and copies; the rest come from scenes only
CROPS = {"rnet": (R_SIZE, R_MARGIN), "onet": (O_SIZE, O_MARGIN)}


def window_batch(material: Material, count: int, rng: np.random.Generator) -> Windows:
    """Make a batch of `count` windows for P-Net."""
    scenes = [*material.scenes, *material.scenes, *material.dressed]
    portraits = [*material.portraits, *material.dressed_portraits]
    return windows(Sources(scenes, portraits, material.empty), count, rng)


def crop_batch(
    material: Material, mined: Sequence[Floats], count: int, network: str, rng: np.random.Generator
) -> Crops:
    """Make a batch of crops from `count` scenes for "rnet" or "onet".

    Args:
        material: the scenes.
        mined: the boxes that were mined in each of `material.mined`.
        count: number of scenes.
        network: decides size and margin of the crops.
        rng: makes all random choices.
    """
    picked = [_pick(material, mined, rng) for _ in range(count)]
    return crops([scene for scene, _ in picked], [rows for _, rows in picked], *CROPS[network], rng)


def _pick(material: Material, mined: Sequence[Floats], rng: np.random.Generator) -> tuple[Scene, Floats]:
    """Choose a scene at random, and return it with the boxes that were mined in it.

    Empty scenes with mined boxes are preferred.
    """
    kind = rng.random()
    boxed, every = len(material.scenes), len(material.scenes) + len(material.dressed)
    if material.empty and kind < EMPTY_SHARE:
        wrong = [i for i in range(len(material.empty)) if len(mined[every + i])]
        i = int(rng.choice(wrong or len(material.empty)))
        return material.empty[i], mined[every + i]
    if material.portraits and kind < EMPTY_SHARE + PORTRAIT_SHARE:
        bare = rng.random() < BARE_SHARE or not material.dressed_portraits
        portraits = material.portraits if bare else material.dressed_portraits
        return portraits[int(rng.integers(len(portraits)))], NOTHING
    i = int(rng.integers(every if rng.random() < ALL_SHARE else boxed))
    return material.mined[i], mined[i]
