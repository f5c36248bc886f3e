"""Find JPEG pictures in a stream of bytes, whatever lies between them."""

from __future__ import annotations

from collections.abc import Iterator

START, END = b"\xff\xd8\xff", b"\xff\xd9"  # SOI with the next marker's first byte, and EOI (ITU-T T.81, B.1)
MAX_BYTES = 64 * 1024 * 1024  # of one picture: twice what one of 8K at the best quality needs


class JpegScanner:
    """Finds whole pictures in bytes that arrive piece by piece. It keeps at most one picture.

    A picture in which another one begins is incomplete, and is left out.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0  # no picture ends before this position

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take more bytes and yield the pictures that end in them."""
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
        """Drop the bytes before the next picture, and return whether there is one."""
        start = self._bytes.find(START)
        self._drop(max(0, len(self._bytes) - len(START) + 1) if start < 0 else start)
        return start >= 0

    def _drop(self, count: int) -> None:
        if count:
            del self._bytes[:count]
            self._searched = 0
