"""Grow, clip, move and compare boxes."""

from __future__ import annotations

import math

from gatecam.types import Box


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


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1. It is 0 if both boxes are empty.

    >>> iou(Box(0, 0, 10, 10), Box(0, 0, 10, 5))
    0.5
    """
    overlap = Box(max(a.x1, b.x1), max(a.y1, b.y1), min(a.x2, b.x2), min(a.y2, b.y2))
    inside = overlap.area if overlap.width > 0 and overlap.height > 0 else 0.0
    union = a.area + b.area - inside
    return inside / union if union > 0 else 0.0
