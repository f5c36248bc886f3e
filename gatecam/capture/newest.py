"""The memory that a camera's reader process shares with gatecam: the newest picture wins, nobody waits.

Three slots hold pictures. The writer fills one that is neither the newest nor being copied, then names
it the newest. Each slot carries a sequence number that is odd while the slot is written; a copy during
which it changed is thrown away (a seqlock: Lameter, "Effective synchronization on Linux/NUMA systems",
2005, section 4.3). So a writer that is killed at any instant leaves the last whole picture behind.

The memory is sparse: a slot has room for the largest picture, and only pages that were written cost.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatecam.types import Image

MAX_PIXELS = 7680 * 4320
_SLOTS = 3
_SLOT_BYTES = MAX_PIXELS * 3
_ATTEMPTS = 8  # a copy is disturbed only by a writer that ends two pictures meanwhile

_SLOT = np.dtype(
    [
        ("sequence", "u8"),
        ("index", "u8"),
        ("time_s", "f8"),
        ("height", "u8"),
        ("width", "u8"),
        ("sight", "S64"),
    ],
    align=True,
)
_HEAD = np.dtype(
    [
        ("newest", "u8"),  # 1 to 3, 0 before the first picture
        ("copied", "u8"),  # the slot that is being copied, 0 for none
        ("deadline_s", "f8"),
        ("sequence", "u8"),  # of what follows
        ("phase", "u8"),
        ("longest_open_s", "f8"),
        ("method", "u8"),
        ("reason", "S256"),
        ("slots", _SLOT, (_SLOTS,)),
    ],
    align=True,
)
_HEAD_BYTES = mmap.ALLOCATIONGRANULARITY
_MEMORY_BYTES = _HEAD_BYTES + _SLOTS * _SLOT_BYTES


class Phase(IntEnum):
    """What a reader is doing."""

    STARTING = 0
    OPENING = 1
    OPEN = 2
    PAUSING = 3


@dataclass(frozen=True, slots=True)
class Status:
    """What a reader says of itself.

    `reason` is why the last stream ended or did not open, empty once a picture has come.
    `longest_open_s` is the longest that a stream took to its first picture, 0 if none ever gave one.
    `method` is the `sources.Method` that gave the last picture, 0 before the first.
    """

    phase: Phase
    reason: str
    longest_open_s: float
    method: int = 0


@dataclass(frozen=True, slots=True)
class Glance:
    """What is known of the newest picture without copying it; `sight` is why it shows nothing, or empty."""

    index: int
    time_s: float
    sight: str


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture copied out of the memory: `image` is (H, W, 3) RGB, `time_s` monotonic."""

    index: int
    time_s: float
    image: Image


def create_memory() -> int:
    """A file descriptor of memory, all zero, that no file system shows; it is the caller's to close.

    Raises:
        OSError: there is no memory, or no descriptor left.
    """
    if hasattr(os, "memfd_create"):
        memory_fd = os.memfd_create("gatecam-camera")
    else:
        with tempfile.TemporaryFile() as file:  # has no name from the start
            memory_fd = os.dup(file.fileno())
    os.ftruncate(memory_fd, _MEMORY_BYTES)
    return memory_fd


class _Memory:
    """The memory, mapped: its head, and its slots as bytes."""

    def __init__(self, memory_fd: int) -> None:
        self._map = mmap.mmap(memory_fd, _MEMORY_BYTES)
        self._head: NDArray[Any] = np.ndarray((1,), _HEAD, self._map)
        self._slots: NDArray[Any] = self._head["slots"][0]

    def _pixels(self, slot: int, height: int, width: int) -> Image:
        """A slot's pixels, (H, W, 3), not copied."""
        return np.ndarray((height, width, 3), np.uint8, self._map, _HEAD_BYTES + slot * _SLOT_BYTES)


class NewestWriter(_Memory):
    """The reader process's end of the memory; `bell_fd` is a pipe that gets a byte for each picture."""

    def __init__(self, memory_fd: int, bell_fd: int) -> None:
        super().__init__(memory_fd)
        self._bell_fd = bell_fd
        os.set_blocking(bell_fd, False)
        self._used_bytes = [0] * _SLOTS

    def put(self, image: Image, index: int, time_s: float, sight: str) -> None:
        """Make a picture, (H, W, 3) of at most `MAX_PIXELS`, the newest.

        Raises:
            ValueError: the picture is too large.
            BrokenPipeError: nobody is left to see it.
        """
        height, width = image.shape[:2]
        if height * width > MAX_PIXELS:
            raise ValueError(f"image: expected at most {MAX_PIXELS} pixels, got {height * width}")
        taken = {int(self._head["newest"][0]), int(self._head["copied"][0])}
        slot = next(slot for slot in range(_SLOTS) if slot + 1 not in taken)
        self._slots["sequence"][slot] |= 1
        self._pixels(slot, height, width)[:] = image
        self._give_back(slot, image.nbytes)
        for name, value in (("index", index), ("time_s", time_s), ("height", height), ("width", width)):
            self._slots[name][slot] = value
        self._slots["sight"][slot] = sight.encode("ascii", "replace")
        self._slots["sequence"][slot] += 1
        self._head["newest"][0] = slot + 1
        self.ring()

    def tell(
        self, phase: Phase, deadline_s: float, reason: str, longest_open_s: float, method: int = 0
    ) -> None:
        """Say what the reader is doing, and by when it will have said or shown something else."""
        self.promise(deadline_s)
        self._head["sequence"][0] |= 1
        self._head["phase"][0] = phase
        self._head["reason"][0] = reason.encode("ascii", "replace")
        self._head["longest_open_s"][0] = longest_open_s
        self._head["method"][0] = method
        self._head["sequence"][0] += 1
        self.ring()

    def promise(self, deadline_s: float) -> None:
        """Say by when, in monotonic time, the reader will have said or shown something else."""
        self._head["deadline_s"][0] = deadline_s

    def ring(self) -> None:
        """Wake whoever waits for something new."""
        with contextlib.suppress(BlockingIOError):  # it is full of rings that nobody has heard yet
            os.write(self._bell_fd, b"!")

    def _give_back(self, slot: int, used_bytes: int) -> None:
        """Free the pages that a larger picture left behind."""
        first = -(-used_bytes // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        unused = self._used_bytes[slot] - first
        self._used_bytes[slot] = used_bytes
        if unused > 0 and hasattr(mmap, "MADV_REMOVE"):
            self._map.madvise(mmap.MADV_REMOVE, _HEAD_BYTES + slot * _SLOT_BYTES + first, unused)


class NewestReader(_Memory):
    """gatecam's end of the memory. What it returns is whole and within bounds, whatever the writer does."""

    def __init__(self, memory_fd: int) -> None:
        super().__init__(memory_fd)
        self._status = Status(Phase.STARTING, "", 0.0)

    def take(self, after: int) -> Picture | None:
        """The newest picture, copied, if its index is above `after`."""
        for _ in range(_ATTEMPTS):
            newest = int(self._head["newest"][0])
            if not 1 <= newest <= _SLOTS:
                return None
            self._head["copied"][0] = newest
            entry = self._slots[newest - 1].copy()
            index, height, width = (int(entry[name]) for name in ("index", "height", "width"))
            if index <= after:
                break
            if height * width <= MAX_PIXELS and not entry["sequence"] % 2:
                image = self._pixels(newest - 1, height, width).copy()
                if self._slots["sequence"][newest - 1] == entry["sequence"]:
                    self._head["copied"][0] = 0
                    return Picture(index, float(entry["time_s"]), image)
        self._head["copied"][0] = 0
        return None

    def glance(self) -> Glance | None:
        """What is known of the newest picture; None before the first."""
        for _ in range(_ATTEMPTS):
            newest = int(self._head["newest"][0])
            if not 1 <= newest <= _SLOTS:
                return None
            entry = self._slots[newest - 1].copy()
            if not entry["sequence"] % 2 and self._slots["sequence"][newest - 1] == entry["sequence"]:
                sight = bytes(entry["sight"]).decode("ascii", "replace")
                return Glance(int(entry["index"]), float(entry["time_s"]), sight)
        return None

    @property
    def status(self) -> Status:
        """What the reader process last said of itself."""
        for _ in range(_ATTEMPTS):
            head = self._head[0].copy()
            if not head["sequence"] % 2 and self._head["sequence"][0] == head["sequence"]:
                phase = Phase(min(int(head["phase"]), Phase.PAUSING))
                reason = bytes(head["reason"]).decode("ascii", "replace")
                self._status = Status(phase, reason, float(head["longest_open_s"]), int(head["method"]))
                break
        return self._status

    @property
    def deadline_s(self) -> float:
        """When the reader process will have said or shown something else, unless it hangs."""
        return float(self._head["deadline_s"][0])
