"""JPEG pictures out of a stream of bytes, whatever else lies between them."""

from __future__ import annotations

from collections.abc import Iterator

START, END = b"\xff\xd8\xff", b"\xff\xd9"  # SOI with the next marker's first byte, and EOI (ITU-T T.81, B.1)
MAX_BYTES = 64 * 1024 * 1024  # of one picture: one of 8K at the best quality is half of it


class JpegScanner:
    """Finds whole pictures in bytes that come bit by bit, and keeps no more than one of them.

    One that another begins within is a half one, and left out.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0  # no end lies before

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pictures that end within some more bytes."""
        self._bytes += data
        while self._at_start():
            end = self._bytes.find(END, max(len(START), self._searched))
            begun = self._bytes.find(START, max(len(START), self._searched), None if end < 0 else end)
            if begun >= 0:
                self._drop(begun)
            elif end >= 0:
                yield bytes(self._bytes[: end + len(END)])
                self._drop(end + len(END))
            else:
                self._searched = max(0, len(self._bytes) - len(START))
                break
        if len(self._bytes) > MAX_BYTES:
            self._drop(len(self._bytes))

    def _at_start(self) -> bool:
        """Drop what comes before the next picture; whether there is one."""
        start = self._bytes.find(START)
        self._drop(max(0, len(self._bytes) - len(START) + 1) if start < 0 else start)
        return start >= 0

    def _drop(self, count: int) -> None:
        if count:
            del self._bytes[:count]
            self._searched = 0
