"""A face finder that finds what it is told to."""

from __future__ import annotations

from gatecam.types import Box, Image


class FakeFinder:
    """Finds `found` in every picture; counts its searches. Implements `ports.FaceFinder`."""

    def __init__(self) -> None:
        self.found: list[Box] = []
        self.searches = 0

    def find(self, image: Image, largest_px: int | None = None) -> list[Box]:
        self.searches += 1
        return self.found
