"""Define the inputs and outputs of the cascade's networks, without the library that runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from gatecam.types import Floats

ARCHITECTURE = "gatecam-cascade/1"  # the name of these networks in the specs of their weights
STRIDE_PX = 8  # distance between P-Net's cells
CELL_FACE_PX = 22.0  # side of the square around a P-Net cell, from which the cell's box offsets are measured
FACE_PX = 16  # smallest face that P-Net detects, in px of its level. The largest is twice that.
R_SIZE, O_SIZE = 24, 48
R_MARGIN, O_MARGIN = 0.3, 0.3  # added around a box, in parts of its side
R_OUTPUTS, O_OUTPUTS = 5, 15  # numbers for each crop: a logit and a box, and O-Net's landmarks
MEAN, STD = 127.5, 128.0  # of pixels, for the networks

Network = Callable[[NDArray[Any]], tuple[Floats, ...]]  # runs on pixels (n, H, W, 3), RGB


@dataclass(frozen=True, slots=True)
class CompiledNetworks:
    """Holds the three networks as callables of a backend, which normalize the pixels."""

    pnet: Network
    rnet: Network
    onet: Network
