"""Read single pictures and find pictures in folders."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from gatecam.capture.formats import is_system_file, open_image, require_bounds
from gatecam.errors import SourceError
from gatecam.runtime.picture_files import IMAGE_SUFFIXES
from gatecam.types import Image

TABLE_SUFFIXES = {".csv", ".json", ".jsonl"}  # labels beside pictures, and files that gatecam writes
ANIMATED = {"AVIF", "PNG", "WEBP"}  # the pages of other formats are no animation
BATCH = 8  # pictures read at once ...
BATCH_PIXELS = 24_000_000  # ... or fewer if they have more pixels, because large photographs take gigabytes
NAMED = 3  # files named in a sentence; further ones are only counted
BACKGROUND = (255, 255, 255)  # colour behind transparent pixels, as picture viewers show it

EXIF_ORIENTATION = 0x0112
# Exif 2.32, 4.6.4: the operation that turns the stored picture upright
UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}


def read_image(path: Path) -> Image:
    """Read one picture, upright, as (H, W, 3) uint8 RGB.

    An animation gives its first frame. Transparent pixels become white. 16-bit and float greys are scaled to
    8 bits.

    Raises:
        SourceError: the file is missing, truncated, too large or not a picture.
    """
    with open_image(path) as image:
        image.load()
        return to_rgb(image)


def read_batches(
    pictures: Iterable[tuple[int, Path]], unreadable: dict[int, str]
) -> Iterator[list[tuple[int, Image]]]:
    """Yield batches of numbered pictures. `unreadable` gets a sentence per picture that cannot be read."""
    batch: list[tuple[int, Image]] = []
    for number, path in pictures:
        try:
            batch.append((number, read_image(path)))
        except SourceError as error:
            unreadable[number] = str(error)
        if len(batch) == BATCH or sum(image.size // 3 for _, image in batch) > BATCH_PIXELS:
            yield batch
            batch = []
    if batch:
        yield batch


def read_frames(path: Path) -> Iterator[tuple[float, Image]]:
    """Yield each frame of an animation as (seconds that it is shown, image as from `read_image`).

    A picture without animation has one frame. The seconds are 0 if the file does not state them.

    Raises:
        SourceError: as in `read_image`, even after some frames.
    """
    with open_image(path) as image:
        for number in itertools.count(int(getattr(image, "default_image", False))):
            try:
                image.seek(number)
            except EOFError:
                return
            require_bounds(path, image)
            image.load()
            yield float(image.info.get("duration", 0)) / 1000, to_rgb(image)
            if image.format not in ANIMATED:
                return


def find_images(paths: Iterable[Path], left_out: list[Path] | None = None) -> list[Path]:
    """Return the given files and all pictures in the given folders and below, in natural order.

    Files in the folders that are not read are added to `left_out`, as in `left_out_of`.

    Raises:
        SourceError: a path does not exist, or a folder holds no picture.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise SourceError(f"{path}: there is no such file or folder; check the path.")
            found.append(path)
            continue
        folders = [Path(folder) for folder, _, _ in os.walk(path, onerror=_refuse)]
        below = [image for folder in folders for image in images_in(folder)]
        if left_out is not None:
            left_out += [file for folder in folders for file in left_out_of(folder)]
        if not below:
            raise SourceError(f"{path}: the folder holds no picture; give one with pictures in it.")
        found += sorted(below, key=_natural)
    return found


def images_in(folder: Path) -> list[Path]:
    """Return the pictures directly in a folder, in natural order: `img2` before `img10`.

    Raises:
        SourceError: the folder may not be read.
    """
    try:
        return sorted(
            (
                path
                for path in folder.iterdir()
                # macOS leaves "._name.jpg" beside "name.jpg", which is no picture
                if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
            ),
            key=_natural,
        )
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> NoReturn:
    raise SourceError(
        f"{error.filename}: may not be read ({error.strerror}); change its permissions."
    ) from error


def left_out_of(folder: Path) -> list[Path]:
    """Return the files directly in a folder that are not read, except tables and hidden files."""
    read = set(images_in(folder))
    return sorted(
        (
            path
            for path in folder.iterdir()
            if path not in read
            and not path.is_dir()
            and not is_system_file(path.name)
            and path.suffix.lower() not in TABLE_SUFFIXES
        ),
        key=_natural,
    )


def name_some(paths: Sequence[Path]) -> str:
    """Return the names of the first few files and the count of the others."""
    names = ", ".join(path.name for path in paths[:NAMED])
    return f"{names} and {len(paths) - NAMED} more" if len(paths) > NAMED else names


def left_out_sentence(paths: Sequence[Path]) -> str | None:
    """Return a sentence about the files of a folder that were not read, or None if all were."""
    if not paths:
        return None
    what = (
        "1 file that is no picture was"
        if len(paths) == 1
        else f"{len(paths)} files that are no pictures were"
    )
    return f"{what} left out: {name_some(paths)}"


def _natural(path: Path) -> tuple[list[list[str | int]], str]:
    """Return a sort key in which runs of digits count as numbers. Ties are broken by the path itself."""
    parts = [
        [int(piece) if i % 2 else piece for i, piece in enumerate(re.split(r"(\d+)", part.casefold()))]
        for part in path.parts
    ]
    return parts, str(path)


def to_rgb(image: PIL.Image.Image) -> Image:
    """Turn a decoded picture upright and return it as (H, W, 3) uint8 RGB."""
    return _rgb(_upright(image))


def _upright(image: PIL.Image.Image) -> PIL.Image.Image:
    orientation = None
    with contextlib.suppress(Exception):  # the pixels are usable even if the metadata are broken
        orientation = image.getexif().get(EXIF_ORIENTATION)
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _rgb(image: PIL.Image.Image) -> Image:
    if image.mode.startswith("I") or image.mode == "F":
        grey = _eight_bit(np.asarray(image))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = PIL.Image.new("RGBA", image.size, (*BACKGROUND, 255))
        image = PIL.Image.alpha_composite(canvas, image)
    return np.array(image.convert("RGB"))


def _eight_bit(grey: NDArray[Any]) -> Image:
    """Scale 16-bit, 32-bit or float greys to 8 bits. The type or else the peak gives the range."""
    scaled = np.empty(grey.shape, np.uint8)
    # Row by row, because float64 takes much memory
    peak = max(float(np.nan_to_num(row).max()) for row in grey)
    for row, into in zip(grey, scaled, strict=True):
        values = np.nan_to_num(row.astype(np.float64))
        if grey.dtype == np.uint16 or peak > 255:
            values = values / 257
        elif grey.dtype.kind == "f" and peak <= 1:
            values = values * 255
        into[:] = values.round().clip(0, 255)
    return scaled
