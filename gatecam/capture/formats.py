"""Open pictures with a list of allowed formats and with limits.

No other module calls Pillow's `open`. Without a list, Pillow chooses a format by the content, and one of
them, EPS, starts Ghostscript.
"""

from __future__ import annotations

import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import PIL.Image
from PIL import UnidentifiedImageError

from gatecam.errors import MissingExtraError, SourceError
from gatecam.runtime.picture_files import FORMATS

HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # ISO/IEC 23008-12

SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")

MAX_PIXELS = 8192 * 8192  # classifying a picture of this size takes 2.3 GB
MAX_BYTES = 1 << 29  # uncompressed MAX_PIXELS at 16 bits per colour take three quarters of it
MAX_SCANS = 100  # of a progressive JPEG: each passes over every pixel, and usual files have ten
TILE_WIDTH, TILE_LENGTH = 322, 323  # TIFF 6.0, section 15


def is_system_file(name: str) -> bool:
    """Return whether a file was left by an operating system, such as `._mask1.jpg` or `Thumbs.db`."""
    return name.startswith(".") or name.casefold() in SYSTEM_FILES


@contextmanager
def open_image(path: Path) -> Iterator[PIL.Image.Image]:
    """Open a picture and read its header. The pixels are decoded in the block, when they are first used.

    Any error in the block that comes from the picture's data is raised as a `SourceError`.

    Raises:
        SourceError: the picture is missing, damaged, too large, or not in one of `FORMATS`.
    """
    try:
        _require_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about metadata and size, which users cannot act on
            with PIL.Image.open(path, formats=_formats(path)) as image:
                require_bounds(path, image)
                yield image
    except SourceError:
        raise
    except UnidentifiedImageError as error:
        raise SourceError(
            f"{path}: not a picture in a format that gatecam reads; convert it to JPEG."
        ) from error
    except PIL.Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))  # Pillow gives the number only in this text
        raise _too_large(path, int(found[0]) if found else PIL.Image.MAX_IMAGE_PIXELS or 0) from error
    except PermissionError as error:
        raise SourceError(f"{path}: may not be read; change its permissions.") from error
    except MemoryError as error:
        raise SourceError(f"{path}: the picture does not fit into the memory; make it smaller.") from error
    except Exception as error:  # Pillow's decoders raise nearly any error on damaged data
        raise SourceError(f"{path}: the picture is damaged; replace or remove it.") from error


def require_bounds(path: Path, image: PIL.Image.Image) -> None:
    """Check before decoding that an open picture takes a bounded time and memory.

    Raises:
        SourceError: the picture is too large, or built to take very long to decode.
    """
    pixels = image.width * image.height
    tags = getattr(image, "tag_v2", {})  # of a TIFF; a tile is decoded whole, even for a small picture
    tile = int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0))
    if max(pixels, tile) > MAX_PIXELS:
        raise _too_large(path, max(pixels, tile))
    if image.info.get("progressive") and path.read_bytes().count(b"\xff\xda") > MAX_SCANS:
        raise SourceError(f"{path}: would take very long to decode; save it again as a plain JPEG.")


def _too_large(path: Path, pixels: int) -> SourceError:
    return SourceError(
        f"{path}: {pixels / 1e6:.0f} megapixels are more than the {MAX_PIXELS / 1e6:.0f} that gatecam reads; "
        "make it smaller."
    )


def _require_file(path: Path) -> None:
    """Check that a path leads to a file without opening it: opening a pipe would wait for ever."""
    try:
        status = path.stat()
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: there is no such picture; check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise SourceError(f"{path}: is {kind}, not a picture; remove it, or give a picture.")
    if not status.st_size:
        raise SourceError(f"{path}: the file is empty; copy it again, or remove it.")
    if status.st_size > MAX_BYTES:
        raise SourceError(
            f"{path}: {status.st_size / 1e6:.0f} MB are more than the {MAX_BYTES / 1e6:.0f} that gatecam "
            "reads of a picture; make it smaller."
        )


def _formats(path: Path) -> list[str]:
    """Return the formats that Pillow may try. For a HEIF picture this registers HEIF with Pillow.

    Raises:
        SourceError: it is a HEIF picture, and the library for HEIF is not installed.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if head[4:8] != b"ftyp" or head[8:12] not in HEIF_BRANDS or b"avif" in head:
        PIL.Image.init()
        return [name for name in FORMATS if name in PIL.Image.OPEN and name != "HEIF"]
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
        return ["HEIF"]
    raise SourceError(f"{path}: {MissingExtraError('reading HEIC pictures', 'heif')}")
