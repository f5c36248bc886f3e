"""Opens pictures: the only module that calls Pillow's `open`, with a list of formats and with limits.

Without a list Pillow picks any format by content, and one of them, EPS, starts Ghostscript.
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

MAX_PIXELS = 8192 * 8192  # what judging a picture of this size takes is 2.3 GB
MAX_BYTES = 1 << 29  # a picture of MAX_PIXELS, uncompressed, at 16 bits a colour, takes three quarters
MAX_SCANS = 100  # of a progressive JPEG, which usual ones have ten of: each passes over every pixel
TILE_WIDTH, TILE_LENGTH = 322, 323  # TIFF 6.0, section 15


def is_system_file(name: str) -> bool:
    """Tell whether a file is what an operating system leaves behind, such as `._mask1.jpg` or `Thumbs.db`."""
    return name.startswith(".") or name.casefold() in SYSTEM_FILES


@contextmanager
def open_image(path: Path) -> Iterator[PIL.Image.Image]:
    """Open a picture by its header. Its pixels are decoded inside the block, when they are first used.

    Whatever goes wrong in the block with the picture's data becomes a `SourceError`.

    Raises:
        SourceError: if the picture is missing, damaged, too large, or not in one of `FORMATS`.
    """
    try:
        _require_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata and size: nothing a user can act on
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
        found = re.search(r"\d+", str(error))  # Pillow tells the number only so
        raise _too_large(path, int(found[0]) if found else PIL.Image.MAX_IMAGE_PIXELS or 0) from error
    except PermissionError as error:
        raise SourceError(f"{path}: may not be read; change its permissions.") from error
    except MemoryError as error:
        raise SourceError(f"{path}: the picture does not fit into the memory; make it smaller.") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise SourceError(f"{path}: the picture is damaged; replace or remove it.") from error


def require_bounds(path: Path, image: PIL.Image.Image) -> None:
    """Check that decoding an open picture takes a bounded time and memory, before it is decoded.

    Raises:
        SourceError: if it is too large, or is made to take very long.
    """
    pixels = image.width * image.height
    tags = getattr(image, "tag_v2", {})  # a TIFF's: a tile is decoded whole, however small the picture
    tile = int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0))
    if max(pixels, tile) > MAX_PIXELS:
        raise _too_large(path, max(pixels, tile))
    if image.info.get("progressive") and path.read_bytes().count(b"\xff\xda") > MAX_SCANS:
        raise SourceError(f"{path}: is made to take very long to decode; save it anew as a plain JPEG.")


def _too_large(path: Path, pixels: int) -> SourceError:
    return SourceError(
        f"{path}: {pixels / 1e6:.0f} megapixels are more than the {MAX_PIXELS / 1e6:.0f} that gatecam reads; "
        "make it smaller."
    )


def _require_file(path: Path) -> None:
    """Check, without opening it, that a path leads to a file: opening a pipe would wait for ever."""
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
    """Return the names of formats that Pillow may try, after making HEIF known to it where it is needed.

    Raises:
        SourceError: if the picture is a HEIF one, and the library for it is not installed.
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
