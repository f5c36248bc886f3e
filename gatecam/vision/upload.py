"""One upload for all frames of a batch: one after the other in one buffer, from pinned memory to a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gatecam.types import Image


@dataclass(frozen=True, slots=True, eq=False)
class Uploaded:
    """Frames on the device. `pixels` is (P, 3) uint8: all rows of the first, then of the second, …"""

    pixels: Tensor
    sizes: tuple[tuple[int, int], ...]  # (height, width) of each
    starts: tuple[int, ...]  # of each in `pixels`

    def frames(self) -> list[Tensor]:
        """Each as (H, W, 3) uint8; nothing is copied."""
        return [
            self.pixels[start : start + height * width].view(height, width, 3)
            for start, (height, width) in zip(self.starts, self.sizes, strict=True)
        ]


def sent(values: Tensor, device: torch.device) -> Tensor:
    """A small tensor on the device; from pinned memory to a GPU, as only that is not waited for."""
    pinned = values.pin_memory() if device.type == "cuda" else values
    return pinned.to(device, non_blocking=True)


def upload(images: Sequence[Image], device: torch.device) -> Uploaded:
    """Frames (H, W, 3) uint8, of any size and order in memory, by one transfer that is not waited for."""
    sizes = tuple((image.shape[0], image.shape[1]) for image in images)
    ends = np.cumsum([height * width for height, width in sizes], dtype=np.int64).tolist()
    starts = (0, *ends[:-1])
    staging = torch.empty((ends[-1], 3), dtype=torch.uint8, pin_memory=device.type == "cuda")
    for image, start, end in zip(images, starts, ends, strict=True):
        whole = np.require(image, requirements=("C", "W"))
        staging[start:end].copy_(torch.from_numpy(whole).view(-1, 3))  # torch copies with all cores
    return Uploaded(staging.to(device, non_blocking=True), sizes, starts)
