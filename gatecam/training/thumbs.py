"""Make the small pictures on pages about data and scores."""

from __future__ import annotations

import cv2
import numpy as np

from gatecam.geometry import clip, expand, square
from gatecam.types import Box, Image


def around(image: Image, box: Box, margin: float) -> tuple[Image, int, int]:
    """Cut a box with its surroundings from a picture.

    Args:
        image: (H, W, 3).
        box: the face.
        margin: surroundings to show, as a fraction of the box's square.

    Returns:
        The part of the picture, and the pixel (x, y) of its upper left corner. If the box lies outside the
        picture, the part is the pixel that is nearest to it.
    """
    height, width = image.shape[:2]
    region = clip(expand(square(box), margin), width, height)
    x, y = min(int(region.x1), width - 1), min(int(region.y1), height - 1)
    return image[y : max(y + 1, int(region.y2)), x : max(x + 1, int(region.x2))], x, y


def fitted(image: Image, side_px: int) -> Image:
    """Scale a picture so that its longer side is `side_px`."""
    scale = side_px / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=smooth), np.uint8)


def jpeg(image: Image, quality: int = 80) -> bytes:
    """Encode a picture (H, W, 3) RGB as JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
