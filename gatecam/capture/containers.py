"""Open containers more safely than FFmpeg does by itself, and detect files that were cut off.

FFmpeg reads a cut file as if it ended there. Durations are too coarse to show a cut, as audio may be longer
than the picture. The structure of the file is exact: a box, segment or block that reaches beyond the end of
the file proves the cut. A whole file has none.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import av

# Old metadata is not always UTF-8. PyAV before version 19 raises an error for it unless this option is set.
_VERSION = int(av.__version__.split(".")[0])
ANY_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if _VERSION < 19 else {}

# Formats that make FFmpeg open other files or addresses
_LEADS_ELSEWHERE = {
    *("concat", "concatf", "dash", "hls", "hls,applehttp", "imf", "rtp", "rtsp", "sap", "sdp", "vobsub"),
    *("webm_dash_manifest", "lavfi"),
}
FILM_FORMATS = ",".join(sorted(av.formats_available - _LEADS_ELSEWHERE))  # FFmpeg's `format_whitelist`

EBML_HEADER = 0x1A45DFA3
MATROSKA_SEGMENT = 0x18538067


def is_cut_off(path: Path, format_name: str) -> bool:
    """Return whether a file of the FFmpeg format `format_name` ends before its container does.

    Only a proven cut counts. False if the format states no size, as in live Matroska, or if the structure is
    unusual.
    """
    check = _CHECKS.get(format_name.split(",")[0])
    if check is None:
        return False
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return check(file, size)
        except (struct.error, IndexError):  # the file ends inside a header
            return True


def _mp4_is_cut_off(file: BinaryIO, size: int) -> bool:
    """Follow the top-level boxes to the end of the file (ISO/IEC 14496-12, 4.2)."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        # Length 0 means up to the end; otherwise it is a camera's padding
        if length < 8 or not kind.isalnum():
            return False
        position += length
    return position > size


def _matroska_is_cut_off(file: BinaryIO, size: int) -> bool:
    """Read the size of the segment after the EBML header (RFC 8794).

    A size of all ones means unknown. Live recorders write it.
    """
    if _ebml_number(file, keep_marker=True) != EBML_HEADER:
        return False
    file.seek(_ebml_number(file), os.SEEK_CUR)
    if _ebml_number(file, keep_marker=True) != MATROSKA_SEGMENT:
        return False
    start = file.tell()
    length = _ebml_number(file)
    width = file.tell() - start
    return length != (1 << 7 * width) - 1 and file.tell() + length > size


def _ebml_number(file: BinaryIO, keep_marker: bool = False) -> int:
    """Read a number whose first byte has as many leading zeros as bytes follow it (RFC 8794, 4)."""
    (first,) = struct.unpack("B", file.read(1))
    width = 9 - first.bit_length()
    value: int = first if keep_marker else first & 0xFF >> width
    for byte in struct.unpack(f"{width - 1}B", file.read(width - 1)):
        value = value << 8 | byte
    return value


def _avi_is_cut_off(file: BinaryIO, size: int) -> bool:
    """Compare the length in the RIFF header with the size. Some writers count the header's 8 bytes too."""
    file.seek(4)
    (length,) = struct.unpack("<I", file.read(4))
    return bool(length > size)


def _gif_is_cut_off(file: BinaryIO, size: int) -> bool:
    """Follow the blocks and sub-blocks up to the trailer, which a whole file may lack (GIF89a, 13 to 27)."""
    data = file.read()
    position = 13 + _colour_table_bytes(data[10])
    while position < size:
        if data[position] == 0:  # padding
            position += 1
            continue
        if data[position] == ord("!"):  # an extension
            position += 2
        elif data[position] == ord(","):  # a picture
            position += 11 + _colour_table_bytes(data[position + 9])
        else:  # the trailer, or anything in a damaged file
            return data[position] != ord(";")
        while position < size and data[position]:
            position += 1 + data[position]
        position += 1
    return position > size


def _colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _transport_stream_is_cut_off(file: BinaryIO, size: int) -> bool:
    """Check for whole packets of 188 bytes from 0x47 on, or of 192 in M2TS (ISO/IEC 13818-1, 2.4.3.2)."""
    start = file.read(5)
    if start[0] == 0x47:
        return size % 188 != 0
    return start[4] == 0x47 and size % 192 != 0


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov": _mp4_is_cut_off,
    "matroska": _matroska_is_cut_off,
    "avi": _avi_is_cut_off,
    "gif": _gif_is_cut_off,
    "mpegts": _transport_stream_is_cut_off,
}
