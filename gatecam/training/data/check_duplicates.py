"""Find pictures of the same photograph, even if re-encoded, resized, cropped, brightened or mirrored.

Faces look similar, aligned faces even more so. A hash or correlation of whole pictures would confuse two
people. The correlation therefore only proposes pairs, and the fine detail of the aligned pictures decides.

1. Candidates: for each picture, take the `NEAREST` others by normalized correlation of 16 × 16 grey copies.
   Centre crops and mirror images are compared as well, because one picture may be a crop or mirror image of
   the other. The correlations are matrix products, computed in chunks.
2. Decision: align one picture with the other by the affine map that maximizes their correlation (ECC:
   Evangelidis and Psarakis 2008, "Parametric image alignment using enhanced correlation coefficient
   maximization"). Then correlate the detail that a Gaussian blur removes. It must reach `SAME`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatecam.training.data.rows import Progress
from gatecam.types import Floats, Image

LOW_PX = 16
MIDDLE = 0.9  # side of the centre crop, as a fraction: finds crops down to about 0.85
NEAREST = 6
LIKELY = 0.6  # minimum correlation of a candidate
CHUNK = 512  # rows of the correlation matrix at once
BATCH = 512  # pairs compared between two progress calls
DETAIL_SIGMA = 2.0  # px, in the 64 px copy
EDGE_PX = 2  # width of the border that is ignored, because alignment smears it
OVERLAP = 0.5  # minimum fraction of the picture that both must show
# UTKFace's 11,013 aligned faces form 61 million pairs, and 195 of these reach the threshold. All 9 below 0.9
# and 60 above were inspected by eye, and each shows a single photograph. Different people reach 0.77 at most.
# Of copies that were re-encoded, resized, brightened, mirrored, or cropped by up to 15 %, 99 % reach 0.9.
SAME = 0.8


@dataclass(frozen=True, slots=True)
class Pair:
    """Names two pictures of one photograph by their indices, the smaller first."""

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
    """Return the pairs of pictures that show one photograph, the most similar first.

    A large group may lack some of its pairs, but the pairs found always link the whole group.

    Args:
        greys: (N, S, S) uint8 grey pictures, squeezed into a square. Black ones match nothing.
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
    """Join pairs to groups of pictures that are linked directly or through others. Each group is sorted."""
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
    """Yield each picture's most similar others. Two pictures that propose each other count once."""
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
    """Return (N, LOW_PX²) unit vectors whose dot products are the correlations of the pictures."""
    small = [
        cv2.resize(np.ascontiguousarray(g), (LOW_PX, LOW_PX), interpolation=cv2.INTER_AREA) for g in greys
    ]
    vectors = torch.from_numpy(np.array(small, np.float32).reshape(len(small), -1))
    vectors -= vectors.mean(1, keepdim=True)
    unit: Tensor = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return unit


def _likeness(first: Image, second: Image, scale: float) -> float:
    """Align the second grey picture (S, S) with the first and correlate their fine detail.

    Returns:
        The correlation, or -1 if the pictures cannot be aligned or hardly overlap.
    """
    a, b = first.astype(np.float32), second.astype(np.float32)
    side = len(a)
    corner = (1 - scale) * side / 2
    start = np.array([[scale, 0, corner], [0, scale, corner]], np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    everywhere = np.ones(a.shape, np.uint8)
    try:
        _, found = cv2.findTransformECC(a, b, start, cv2.MOTION_AFFINE, stop, everywhere, 3)
    except cv2.error:  # the alignment did not converge
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
