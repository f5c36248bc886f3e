"""Grow, clip, move and compare boxes, and decide which face belongs to which track."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gatecam.types import Box, Expected, Image

MAX_SIDE_RATIO = 1.75  # of a track's side and a face's. More means a person behind, or a box in the face.
REACH = 0.5  # largest distance from the predicted center, in face sides
REACH_PER_S = 5.0  # added per second since the last face, about the walking speed in face widths
MAX_REACH = 1.5  # upper limit, less than from one head to the next in a queue
PICTURE_REACH, PICTURE_SIDE_RATIO = 0.3, 1.3  # of a picture, whose box only jitters


def expand(box: Box, margin: float) -> Box:
    """Grow a box by `margin` of its own size, half on each side.

    >>> expand(Box(10, 10, 30, 50), margin=0.5)
    Box(x1=5.0, y1=0.0, x2=35.0, y2=60.0)
    """
    dx, dy = box.width * margin / 2, box.height * margin / 2
    return Box(box.x1 - dx, box.y1 - dy, box.x2 + dx, box.y2 + dy)


def square(box: Box) -> Box:
    """Return the smallest square that covers the box and has the same center.

    >>> square(Box(0, 0, 10, 20))
    Box(x1=-5.0, y1=0.0, x2=15.0, y2=20.0)
    """
    half = max(box.width, box.height) / 2
    x, y = box.center
    return Box(x - half, y - half, x + half, y + half)


def clip(box: Box, width: int, height: int) -> Box:
    """Cut off the parts of a box outside a frame of `width` × `height` pixels."""
    return Box(
        min(max(box.x1, 0.0), width),
        min(max(box.y1, 0.0), height),
        min(max(box.x2, 0.0), width),
        min(max(box.y2, 0.0), height),
    )


def shift(box: Box, dx: float, dy: float) -> Box:
    """Move a box by `dx`, `dy` pixels."""
    return Box(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)


def region_box(region: tuple[float, float, float, float], width: int, height: int) -> Box:
    """Convert a region to the box of all pixels that it touches.

    Args:
        region: x1, y1, x2, y2 as fractions of the picture, 0 to 1.
        width: the picture's width in px.
        height: the picture's height in px.

    >>> region_box((0.1, 0.0, 0.9, 0.5), 640, 481)
    Box(x1=64, y1=0, x2=576, y2=241)
    """
    x1, y1, x2, y2 = region
    return Box(math.floor(x1 * width), math.floor(y1 * height), math.ceil(x2 * width), math.ceil(y2 * height))


def is_in_any(box: Box, regions: Iterable[tuple[float, float, float, float]], image: Image) -> bool:
    """Check whether the center of a box lies in one of several regions of an image.

    Each region is x1, y1, x2, y2 as fractions of the picture, 0 to 1.
    """
    x, y = box.center[0] / image.shape[1], box.center[1] / image.shape[0]
    return any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in regions)


def overlap(a: Box, b: Box) -> float:
    """Return the area that two boxes share, in square pixels.

    >>> overlap(Box(0, 0, 10, 10), Box(5, 0, 20, 4))
    20
    """
    width, height = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
    return width * height if width > 0 and height > 0 else 0.0


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1. It is 0 if both boxes are empty.

    >>> iou(Box(0, 0, 10, 10), Box(0, 0, 10, 5))
    0.5
    """
    inside = overlap(a, b)
    union = a.area + b.area - inside
    return inside / union if union > 0 else 0.0


def pair_faces(
    tracks: Sequence[Expected], faces: Sequence[Box], penalty: Callable[[int, int], float] | None = None
) -> dict[int, int]:
    """Decide which face belongs to which track. Return the face's index by the track's index.

    The cheapest pair comes first, and each track and face is used at most once. The cost falls with overlap
    and rises with distance. The time since a track's last face is added, so that a track seen just now is
    preferred to one that was lost. A face that is too far away or of another size belongs to no track.

    Args:
        tracks: where the tracks are expected.
        faces: the boxes of the faces.
        penalty: returns what is added to the cost of a track and a face, given their indices. It is called
            only where the place leaves a choice: for contested faces and for tracks without a recent face.
    """
    if not tracks or not faces:
        return {}
    costs = _pair_costs(tracks, faces)
    if penalty is not None:
        lost = np.array([[not track.seen] for track in tracks])
        for track, face in np.argwhere(np.isfinite(costs) & (_contested(costs) | lost)):
            costs[track, face] += penalty(int(track), int(face))
    pairs: dict[int, int] = {}
    while np.isfinite(costs.min()):
        track, face = divmod(int(costs.argmin()), costs.shape[1])
        pairs[track] = face
        costs[track, :] = np.inf
        costs[:, face] = np.inf
    return pairs


def contested_faces(tracks: Sequence[Expected], faces: Sequence[Box]) -> set[int]:
    """Return the indices of the faces that may belong to several tracks."""
    if not tracks or not faces:
        return set()
    return {int(face) for _, face in np.argwhere(_contested(_pair_costs(tracks, faces)))}


def _contested(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the possible pairs whose face has another possible track or whose track has another face."""
    possible = np.isfinite(costs)
    several = (possible.sum(axis=0, keepdims=True) > 1) | (possible.sum(axis=1, keepdims=True) > 1)
    return np.asarray(possible & several, np.bool_)


def _pair_costs(tracks: Sequence[Expected], faces: Sequence[Box]) -> NDArray[np.float64]:
    """Return the cost of pairing each track (row) with each face (column), `inf` if that is impossible."""
    a = _corners(track.box for track in tracks)[:, None]  # (T, 1, 4)
    b = _corners(faces)[None]  # (1, F, 4)
    missing_s = np.array([[track.missing_s] for track in tracks])  # (T, 1)
    area_a, area_b = (np.maximum(np.prod(box[..., 2:] - box[..., :2], axis=-1), 1.0) for box in (a, b))
    overlap = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0.0)
    inside = overlap.prod(axis=-1)
    overlap_share = inside / (area_a + area_b - inside)  # (T, F)
    middles = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    distance = np.hypot(middles[..., 0], middles[..., 1]) / np.sqrt(np.sqrt(area_a * area_b))
    is_picture = np.array([[track.is_picture] for track in tracks])
    reach = np.where(is_picture, PICTURE_REACH, np.minimum(REACH + REACH_PER_S * missing_s, MAX_REACH))
    side_ratio = np.sqrt(np.maximum(area_a / area_b, area_b / area_a))
    most_ratio = np.where(is_picture, PICTURE_SIDE_RATIO, MAX_SIDE_RATIO)
    possible = (side_ratio <= most_ratio) & (distance <= reach)
    return np.where(possible, distance - overlap_share + missing_s, np.inf)


def _corners(boxes: Iterable[Box]) -> NDArray[np.float64]:
    return np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes])
