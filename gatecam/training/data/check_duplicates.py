"""Finds pictures that are the same photograph: re-encoded, resized, cropped, brightened or mirrored.

Faces are alike, aligned faces more so, and a hash or correlation of the whole takes two people for one. So
likeness only proposes pairs; what decides is whether, laid over each other, fine detail agrees.

1. Candidates: for each picture the `NEAREST` others by normalised correlation of 16 × 16 greys, also of
   their middle (one may be a crop of the other) and of their mirror image; matrix products, in chunks.
2. Decision: one is laid over the other by an affine map that maximises their correlation (ECC: Evangelidis
   and Psarakis 2008, "Parametric image alignment using enhanced correlation coefficient maximization"); then
   the correlation of what a Gaussian blur takes away must reach `SAME`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatecam.types import Floats, Image

LOW_PX = 16
MIDDLE = 0.9  # of a side: so that crops of down to some 0.85 stay candidates
NEAREST = 6
LIKELY = 0.6  # correlation of a candidate
CHUNK = 512  # rows of the correlation matrix at once
BATCH = 512  # pairs between two calls of progress
DETAIL_SIGMA = 2.0  # px of a 64 px copy
EDGE_PX = 2  # left out: alignment smears them
OVERLAP = 0.5  # of the picture that both must show
# Of the 61 million pairs of UTKFace's 11,013 aligned faces 195 reach this. Looked at: all 9 below 0.9 and 60
# above are one photograph each; different people reach 0.77. Of copies re-encoded, resized, brightened,
# mirrored, or cropped by up to 15 %, 99 % keep 0.9 and more.
SAME = 0.8

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures of one photograph, by their index, the smaller first."""

    first: int
    second: int
    likeness: float  # correlation of fine detail, 1 for copies
    mirrored: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    first: int
    second: int
    scale: float  # of the second picture that the first may show
    mirrored: bool


def find_duplicates(greys: Image, progress: Progress) -> list[Pair]:
    """The pairs of one photograph, likest first. Of a large group not each pair is named, but all are linked.

    Args:
        greys: (N, S, S) uint8 greys of the pictures, squeezed into a square. Black ones match nothing.
        progress: called with pairs compared and pairs in all.
    """
    candidates = list(_candidates(greys))
    found: dict[tuple[int, int], Pair] = {}

    def compare(candidate: _Candidate) -> Pair:
        first, second = greys[candidate.first], greys[candidate.second]
        second = second[:, ::-1] if candidate.mirrored else second
        return _pair(candidate, _likeness(first, np.ascontiguousarray(second), candidate.scale))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(candidates), BATCH):
            for pair in pool.map(compare, candidates[start : start + BATCH]):
                known = found.get((pair.first, pair.second))
                if pair.likeness >= SAME and (known is None or known.likeness < pair.likeness):
                    found[pair.first, pair.second] = pair
            progress(min(start + BATCH, len(candidates)), len(candidates))
    return sorted(found.values(), key=lambda pair: (-pair.likeness, pair.first, pair.second))


def groups_of(pairs: Sequence[Pair]) -> list[list[int]]:
    """The pictures that pairs link, directly or through others, each group sorted."""
    group: dict[int, list[int]] = {}
    for pair in pairs:
        one, other = group.setdefault(pair.first, [pair.first]), group.setdefault(pair.second, [pair.second])
        if one is not other:
            one.extend(other)
            group.update(dict.fromkeys(other, one))
    unique = {id(members): members for members in group.values()}
    return sorted(sorted(members) for members in unique.values())


def _pair(candidate: _Candidate, likeness: float) -> Pair:
    first, second = sorted((candidate.first, candidate.second))
    return Pair(first, second, likeness, candidate.mirrored)


def _candidates(greys: Image) -> Iterator[_Candidate]:
    """Each picture's likest others; of two that name each other the same way, one."""
    side = greys.shape[1]
    edge = round(side * (1 - MIDDLE) / 2)
    whole, mirror = _low(greys), _low(greys[:, :, ::-1])
    middle, mirror_middle = (
        _low(g[:, edge : side - edge, edge : side - edge]) for g in (greys, greys[:, :, ::-1])
    )
    views = ((whole, 1.0, False), (middle, MIDDLE, False), (mirror, 1.0, True), (mirror_middle, MIDDLE, True))
    seen = set()
    for start in range(0, len(greys), CHUNK):
        rows = torch.arange(start, min(start + CHUNK, len(greys)))
        likeness = torch.stack([whole[rows] @ view.T for view, _, _ in views])  # (4, chunk, N)
        best, which = likeness.max(0)
        best[torch.arange(len(rows)), rows] = -1
        values, columns = best.topk(min(NEAREST, len(greys)))
        for i, j in (values >= LIKELY).nonzero().tolist():
            first, second = int(rows[i]), int(columns[i, j])
            _, scale, mirrored = views[int(which[i, second])]
            key = (min(first, second), max(first, second), mirrored, first if scale < 1 else -1)
            if key not in seen:
                seen.add(key)
                yield _Candidate(first, second, scale, mirrored)


def _low(greys: Image) -> Tensor:
    """(N, LOW_PX²) vectors whose product is the correlation."""
    small = [
        cv2.resize(np.ascontiguousarray(g), (LOW_PX, LOW_PX), interpolation=cv2.INTER_AREA) for g in greys
    ]
    vectors = torch.from_numpy(np.array(small, np.float32).reshape(len(small), -1))
    vectors -= vectors.mean(1, keepdim=True)
    unit: Tensor = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return unit


def _likeness(first: Image, second: Image, scale: float) -> float:
    """Correlation of the fine detail of greys (S, S), the second laid over the first; -1 without a fit."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    side = len(a)
    corner = (1 - scale) * side / 2
    start = np.array([[scale, 0, corner], [0, scale, corner]], np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    everywhere = np.ones(a.shape, np.uint8)
    try:
        _, found = cv2.findTransformECC(a, b, start, cv2.MOTION_AFFINE, stop, everywhere, 3)
    except cv2.error:  # they do not come together
        return -1.0
    fit = np.asarray(found, np.float32)
    both = _laid(np.ones_like(b), fit) > 0.99
    both[:EDGE_PX] = both[-EDGE_PX:] = both[:, :EDGE_PX] = both[:, -EDGE_PX:] = False
    if both.mean() < OVERLAP:
        return -1.0
    return _correlation(_detail(a)[both], _detail(_laid(b, fit))[both])


def _laid(grey: Floats, fit: Floats) -> Floats:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(grey, fit, grey.shape[::-1], flags=flags), np.float32)


def _detail(grey: Floats) -> Floats:
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), DETAIL_SIGMA), np.float32)


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6))
