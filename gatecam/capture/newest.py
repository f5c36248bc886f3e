"""Share the newest frame of a camera between its reader process and gatecam, without either waiting.

The memory has three slots for frames. The writer fills a slot that is neither the newest nor being copied,
and then marks it as the newest. Each slot has a sequence number that is odd while the slot is written. A copy
during which the number changed is thrown away (a seqlock: Lameter, "Effective synchronization on Linux/NUMA
systems", 2005, section 4.3). So a writer that is killed at any moment leaves the last whole frame behind.

The memory is sparse: each slot has room for the largest frame, but only written pages use memory.
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
_ATTEMPTS = 8  # a copy fails only if the writer finishes two frames meanwhile

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
        ("newest", "u8"),  # 1 to 3, 0 before the first frame
        ("copied", "u8"),  # the slot that is being copied, 0 for none
        ("deadline_s", "f8"),
        ("sequence", "u8"),  # sequence number of the fields below
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
    """Names what a reader is doing."""

    STARTING = 0
    OPENING = 1
    OPEN = 2
    PAUSING = 3


@dataclass(frozen=True, slots=True)
class Status:
    """Holds what a reader reports about itself.

    `reason` says why the last stream ended or did not open. It is empty once a frame has come.
    `longest_open_s` is the longest time from opening a stream to its first frame, 0 if none came.
    `method` is the `reading.Method` that gave the last frame, 0 before the first.
    """

    phase: Phase
    reason: str
    longest_open_s: float
    method: int = 0


@dataclass(frozen=True, slots=True)
class Glance:
    """Describes the newest frame without its image. `sight` says why it shows nothing, or is empty."""

    index: int
    time_s: float
    sight: str


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Holds a frame copied out of the memory: `image` is (H, W, 3) RGB, `time_s` is monotonic."""

    index: int
    time_s: float
    image: Image


def create_memory() -> int:
    """Return a file descriptor for anonymous memory filled with zeros. The caller closes it.

    Raises:
        OSError: there is not enough memory, or no descriptor left.
    """
    if hasattr(os, "memfd_create"):
        memory_fd = os.memfd_create("gatecam-camera")
    else:
        with tempfile.TemporaryFile() as file:  # this file never has a name
            memory_fd = os.dup(file.fileno())
    os.ftruncate(memory_fd, _MEMORY_BYTES)
    return memory_fd


class _Memory:
    """Maps the memory: its head, and its slots as bytes."""

    def __init__(self, memory_fd: int) -> None:
        self._map = mmap.mmap(memory_fd, _MEMORY_BYTES)
        self._head: NDArray[Any] = np.ndarray((1,), _HEAD, self._map)
        self._slots: NDArray[Any] = self._head["slots"][0]

    def _pixels(self, slot: int, height: int, width: int) -> Image:
        """Return a view of a slot's pixels, (H, W, 3)."""
        return np.ndarray((height, width, 3), np.uint8, self._map, _HEAD_BYTES + slot * _SLOT_BYTES)


class NewestWriter(_Memory):
    """Writes frames in the reader process. The pipe `bell_fd` gets one byte for everything new."""

    def __init__(self, memory_fd: int, bell_fd: int) -> None:
        super().__init__(memory_fd)
        self._bell_fd = bell_fd
        os.set_blocking(bell_fd, False)
        self._used_bytes = [0] * _SLOTS

    def put(self, image: Image, index: int, time_s: float, sight: str) -> None:
        """Publish an image, (H, W, 3) with at most `MAX_PIXELS`, as the newest.

        Raises:
            ValueError: the image is too large.
            BrokenPipeError: gatecam has closed its end.
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
        """Report what the reader is doing, and by when it will report something else."""
        self.promise(deadline_s)
        self._head["sequence"][0] |= 1
        self._head["phase"][0] = phase
        self._head["reason"][0] = reason.encode("ascii", "replace")
        self._head["longest_open_s"][0] = longest_open_s
        self._head["method"][0] = method
        self._head["sequence"][0] += 1
        self.ring()

    def promise(self, deadline_s: float) -> None:
        """Set the monotonic time by which the reader will report something else."""
        self._head["deadline_s"][0] = deadline_s

    def ring(self) -> None:
        """Wake the process that waits for something new."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full, so the other end is awake soon anyway
            os.write(self._bell_fd, b"!")

    def _give_back(self, slot: int, used_bytes: int) -> None:
        """Free the pages that an earlier, larger image used."""
        first = -(-used_bytes // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        unused = self._used_bytes[slot] - first
        self._used_bytes[slot] = used_bytes
        if unused > 0 and hasattr(mmap, "MADV_REMOVE"):
            self._map.madvise(mmap.MADV_REMOVE, _HEAD_BYTES + slot * _SLOT_BYTES + first, unused)


class NewestReader(_Memory):
    """Reads frames in gatecam's process. It returns whole frames within bounds, whatever the writer does."""

    def __init__(self, memory_fd: int) -> None:
        super().__init__(memory_fd)
        self._status = Status(Phase.STARTING, "", 0.0)

    def take(self, after: int) -> Picture | None:
        """Return a copy of the newest frame if its index is above `after`, else None."""
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
        """Return what is known of the newest frame. None before the first."""
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
        """Return what the reader process last reported about itself."""
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
        """Return by when the reader process will report something else, unless it hangs."""
        return float(self._head["deadline_s"][0])
