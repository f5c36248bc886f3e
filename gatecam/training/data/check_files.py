"""Open every picture once to find damaged and odd ones and to make grey copies for `check_duplicates`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gatecam.capture.formats import open_image
from gatecam.capture.images import read_image
from gatecam.errors import SourceError
from gatecam.runtime.picture_files import FORMATS
from gatecam.training.data.rows import Progress
from gatecam.types import Image

GREY_PX = 64
BATCH = 256  # pictures between two progress calls. Ctrl-C waits for at most one batch.
DECODER_GREY = 128  # libjpeg fills blocks without data with this grey
BLOCK_PX = 8  # side of a JPEG block
FLAT = 3  # maximum difference of pixel values in a picture that shows nothing
FEWEST_PX, MOST_PX, MOST_ASPECT = 32, 10_000, 5


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """Holds what opening a picture revealed."""

    path: Path
    fault: str  # why the picture cannot be used, "" if it can
    oddity: str  # what is unusual about a usable picture, "" if nothing
    grey: Image  # (GREY_PX, GREY_PX), the picture squeezed into a square, or black if it cannot be used


def examine_pictures(paths: Sequence[Path], progress: Progress) -> list[Examined]:
    """Decode each picture completely, on all cores.

    These are faults: a file that is missing, empty, truncated or not a picture, a lower end that was never
    decoded, and a picture of a single colour. These are oddities: the extension of another format, and a very
    small, very large or very long picture. Changed bytes within a JPEG's data go unnoticed as long as all
    blocks decode, because the format has no checksum.
    """
    found: list[Examined] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), BATCH):
            found.extend(pool.map(_examine, paths[start : start + BATCH]))
            progress(len(found), len(paths))
    return found


def _examine(path: Path) -> Examined:
    black = np.zeros((GREY_PX, GREY_PX), np.uint8)
    try:
        image = read_image(path)
    except SourceError as error:
        return Examined(path, str(error).removeprefix(f"{path}: ").split(";")[0], "", black)
    if fault := _fault(image):
        return Examined(path, fault, "", black)
    grey = cv2.resize(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (GREY_PX, GREY_PX), interpolation=cv2.INTER_AREA
    )
    return Examined(path, "", _oddity(path, image), np.asarray(grey, np.uint8))


def _fault(image: Image) -> str:
    if int(image.max()) - int(image.min()) <= FLAT:
        return "a single colour from edge to edge"
    undecoded = (image == DECODER_GREY).all((1, 2))[::-1]  # per row, from the bottom
    corner, opposite = image[-BLOCK_PX:, -BLOCK_PX:], image[:BLOCK_PX, :BLOCK_PX]
    if (corner == DECODER_GREY).all() and not (
        opposite == DECODER_GREY
    ).all():  # a picture with a grey frame has both
        share = int(np.argmin(undecoded)) / len(image)
        return f"the lowest {share:.0%} never decoded" if share else "the lower right end never decoded"
    return ""


def _oddity(path: Path, image: Image) -> str:
    height, width = image.shape[:2]
    size = f"{width} × {height} px"
    if min(height, width) < FEWEST_PX:
        return f"very small: {size}"
    if max(height, width) > MOST_PX:
        return f"very large: {size}"
    if max(height, width) > MOST_ASPECT * min(height, width):
        return f"very long: {size}"
    with open_image(path) as opened:
        # MPO is a phone's JPEG with a second picture
        kind = "JPEG" if opened.format == "MPO" else opened.format
    if path.suffix.lower() in FORMATS.get(kind or "", ()):
        return ""
    return f"a {kind} file, although its name ends in {path.suffix or 'nothing'}"
