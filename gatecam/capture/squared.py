"""Turn decoded frames of video files and cameras into pictures with square pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from gatecam.types import Image

EXTREME = 4  # ratio of a pixel's sides that no camera has, so the file must be wrong
SLIGHT = 0.01  # a difference that nobody sees and that comes from rounding


def square_rgb(
    picture: VideoFrame, ratio: Fraction | None, most_pixels: int, converter: VideoReformatter
) -> Image:
    """Return a frame as (H, W, 3) RGB with square pixels.

    Args:
        picture: A decoded frame.
        ratio: The width of a pixel divided by its height (sample aspect ratio), or None if unknown.
        most_pixels: If stretching the frame gives more pixels, its longer side is shrunk instead.
        converter: The converter, which is reused for all frames.
    """
    width, height = square_size(picture.width, picture.height, ratio, most_pixels)
    image = converter.reformat(picture, width=width, height=height, format="rgb24").to_ndarray()
    return image.astype(np.uint8, copy=False)


def square_size(width: int, height: int, ratio: Fraction | None, most_pixels: int) -> tuple[int, int]:
    """Return the size at which a frame with oblong pixels is shown undistorted.

    >>> square_size(720, 576, Fraction(16, 11), 7680 * 4320)
    (1047, 576)
    >>> square_size(720, 576, Fraction(3, 4), 7680 * 4320)
    (720, 768)
    """
    if not ratio or not 1 / EXTREME <= ratio <= EXTREME or abs(ratio - 1) < SLIGHT:
        return width, height
    stretched = max(1, round(width * ratio)), max(1, round(height / ratio))
    grown, shrunk = (stretched[0], height), (width, stretched[1])
    if ratio < 1:
        grown, shrunk = shrunk, grown
    return grown if grown[0] * grown[1] <= most_pixels else shrunk
