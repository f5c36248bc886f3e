"""Make the training batches of the detector from scenes, copies with masks, portraits and empty pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatecam.training.detector.candidates import Crops, crops
from gatecam.training.detector.mining import NOTHING
from gatecam.training.detector.pictures import MINED_PORTRAITS, Material
from gatecam.training.detector.scenes import Scene
from gatecam.training.detector.windows import Sources, Windows, windows
from gatecam.types import Floats
from gatecam.vision.detector.sizes import O_MARGIN, O_SIZE, R_MARGIN, R_SIZE

EMPTY_SHARE, PORTRAIT_SHARE = 0.17, 0.3  # of the scenes in a batch of crops
BARE_SHARE = 0.7  # of the portraits in a batch of crops
ALL_SHARE = 0.6  # of the other scenes: chosen from scenes and copies; the rest come from scenes only
CROPS = {"rnet": (R_SIZE, R_MARGIN), "onet": (O_SIZE, O_MARGIN)}


def window_batch(material: Material, count: int, rng: np.random.Generator) -> Windows:
    """Make a batch of `count` windows for P-Net."""
    scenes = [*material.scenes, *material.scenes, *material.dressed]

    def portrait() -> Scene:
        return _portrait(material, rng)[0]

    return windows(Sources(scenes, portrait if material.portraits else None, material.empty), count, rng)


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
    if material.portraits and (kind < EMPTY_SHARE + PORTRAIT_SHARE or not every):
        scene, i = _portrait(material, rng)
        at = every + len(material.empty) + i
        return scene, mined[at] if i >= 0 and at < len(mined) else NOTHING
    i = int(rng.integers(every if rng.random() < ALL_SHARE else boxed))
    return material.mined[i], mined[i]


def _portrait(material: Material, rng: np.random.Generator) -> tuple[Scene, int]:
    """Choose a portrait, bare or with something drawn on it.

    Return it and its index among the mined portraits, -1 where it was not mined.
    """
    half = MINED_PORTRAITS // 2
    if rng.random() < BARE_SHARE or not material.dressed_portraits:
        i = int(rng.choice(len(material.portraits), p=material.chances))
        return material.portraits[i], i if i < half else -1
    i = int(rng.integers(len(material.dressed_portraits)))
    return material.dressed_portraits[i], min(half, len(material.portraits)) + i if i < half else -1
