"""Pictures are found between whatever else comes, and nothing is kept of the rest."""

from __future__ import annotations

import pytest

from gatecam.capture import jpegs
from gatecam.capture.jpegs import JpegScanner
from tests.streams import jpeg, noise, part

PICTURES = [jpeg(level) for level in (60, 120, 180)]


@pytest.mark.parametrize("size", [1, 7, 1000, 1_000_000])
def test_pictures_are_found_however_the_bytes_come(size):
    stream = b"".join([noise(500, 1), part(PICTURES[0]), b"\xff", part(PICTURES[1]), PICTURES[2]])
    scanner = JpegScanner()
    found = [
        picture for at in range(0, len(stream), size) for picture in scanner.feed(stream[at : at + size])
    ]
    assert found == PICTURES


def test_half_a_picture_is_left_out():
    scanner = JpegScanner()
    stream = part(PICTURES[0][:300]) + part(PICTURES[1]) + part(PICTURES[2][:400])
    assert list(scanner.feed(stream)) == [PICTURES[1]]
    assert list(scanner.feed(part(PICTURES[0]))) == [PICTURES[0]]


def test_what_is_no_picture_is_not_kept(monkeypatch):
    scanner = JpegScanner()
    for _ in range(100):
        assert list(scanner.feed(b"\0" * 10_000)) == []
    assert len(scanner._bytes) < 10
    monkeypatch.setattr(jpegs, "MAX_BYTES", 100_000)
    for _ in range(100):
        assert list(scanner.feed(jpegs.START + b"\0" * 10_000)) == []
        assert len(scanner._bytes) <= 120_000
