"""List the picture formats that gatecam reads, by their names in Pillow, with their file suffixes."""

from __future__ import annotations

from types import MappingProxyType

FORMATS = MappingProxyType(
    {
        "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
        "PNG": (".apng", ".png"),
        "WEBP": (".webp",),
        "BMP": (".bmp",),
        "GIF": (".gif",),
        "TIFF": (".tif", ".tiff"),
        "PPM": (".pbm", ".pgm", ".pnm", ".ppm"),
        "JPEG2000": (".j2k", ".jp2"),
        "AVIF": (".avif",),
        "HEIF": (".heic", ".heif"),
    }
)
IMAGE_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
