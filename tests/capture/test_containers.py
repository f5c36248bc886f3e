"""Only a proven cut counts: odd but whole files pass."""

import struct
from pathlib import Path

import pytest

from gatecam.capture.containers import is_cut_off


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


MP4 = box(b"ftyp", b"isom") + box(b"mdat", bytes(50))
LARGE_MP4 = struct.pack(">I4sQ", 1, b"mdat", 16 + 50) + bytes(50)
MKV = b"\x1a\x45\xdf\xa3\x82ab" + b"\x18\x53\x80\x67"
AVI = b"RIFF" + struct.pack("<I", 4 + 40) + b"AVI " + bytes(40)
GIF = b"GIF89a" + bytes(7) + b"!\xf9\x02ab\x00" + b"," + bytes(9) + b"\x02\x03abc\x00"
TS = (b"\x47" + bytes(187)) * 3
M2TS = (bytes(4) + b"\x47" + bytes(187)) * 3


@pytest.mark.parametrize(
    ("format_name", "data", "expected"),
    [
        ("mov,mp4", MP4, False),
        ("mov,mp4", MP4[:-1], True),
        ("mov,mp4", MP4 + bytes(100), False),
        ("mov,mp4", MP4 + b"\xff" * 100, False),
        ("mov,mp4", MP4 + struct.pack(">I4s", 0, b"mdat") + bytes(9), False),
        ("mov,mp4", LARGE_MP4, False),
        ("mov,mp4", LARGE_MP4[:-1], True),
        ("mov,mp4", LARGE_MP4[:10], True),
        ("matroska,webm", MKV + b"\x85abcde", False),
        ("matroska,webm", MKV + b"\x85abcd", True),
        ("matroska,webm", MKV + b"\x01" + b"\xff" * 7 + b"live", False),
        ("matroska,webm", MKV[:5], True),
        ("avi", AVI, False),
        ("avi", AVI[:20], True),
        ("avi", b"RIFF" + bytes(40), False),
        ("gif", GIF + b";", False),
        ("gif", GIF + b";leftover", False),
        ("gif", GIF, False),
        ("gif", GIF + b"\x00\x00;", False),
        ("gif", GIF[:-1], True),
        ("gif", GIF[:-3], True),
        ("gif", GIF + b"\x99", True),
        ("gif", GIF + b",", True),
        ("mpegts", TS, False),
        ("mpegts", TS[:-1], True),
        ("mpegts", M2TS, False),
        ("mpegts", M2TS[:-1], True),
        ("flv", b"anything", False),
    ],
)
def test_only_a_proven_cut_counts(tmp_path: Path, format_name, data, expected):
    path = tmp_path / "a"
    path.write_bytes(data)
    assert is_cut_off(path, format_name) is expected
