"""P-, R- and O-Net of our cascade: deeper and wider than those of Zhang et al. 2016, the work divided alike.

P-Net proposes faces all over the picture, R-Net refuses most of what is none, O-Net decides, and places the
box and five landmarks. Each sees a part of the surroundings as well, of which a mask covers nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

ARCHITECTURE = "gatecam-cascade/1"  # what the spec of weights of these networks says
STRIDE_PX = 8  # of P-Net's cells
CELL_FACE_PX = 22.0  # side of the face that a cell of P-Net stands for; it moves the box from there
FACE_PX = 16  # smallest side of a face that P-Net is made for, in px of its level; the largest is twice that
R_SIZE, O_SIZE = 24, 48
R_MARGIN, O_MARGIN = 0.3, 0.3  # of a box's side, added around it


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class PNet(nn.Module):
    """A face's logit (n, h, w) and its box (n, 4, h, w) for every 8th pixel of (n, 3, 8h, 8w).

    A box is the offset of its corners from a square of `CELL_FACE_PX` around the cell, in parts of its side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _conv(3, 16, 2), _conv(16, 32, 2), _conv(32, 64, 2), _conv(64, 64), _conv(64, 64), _conv(64, 64)
        )
        self.head = nn.Conv2d(64, 5, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and boxes of every cell."""
        out = self.head(self.trunk(x))
        return out[:, 0], out[:, 1:]


class RNet(nn.Module):
    """A face's logit (n,) and box (n, 4) for crops (n, 3, 24, 24), corners in parts of the crop's square."""

    outputs = 5

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(_conv(3, 32, 2), _conv(32, 48), _conv(48, 64, 2), _conv(64, 64))
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(64 * 6 * 6, 128), nn.ReLU(inplace=True))
        self.head = nn.Linear(128, self.outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and boxes of the crops."""
        out = self.head(self.dense(self.trunk(x)))
        return out[:, 0], out[:, 1:]


class ONet(nn.Module):
    """As R-Net for crops (n, 3, 48, 48), and landmarks (n, 10): five x, y, in parts of the crop's square."""

    outputs = 15

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _conv(3, 32, 2),
            _conv(32, 64, 2),
            _conv(64, 64),
            _conv(64, 128, 2),
            _conv(128, 128),
            _conv(128, 128),
        )
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(128 * 6 * 6, 256), nn.ReLU(inplace=True))
        self.head = nn.Linear(256, self.outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, boxes and landmarks of the crops."""
        out = self.head(self.dense(self.trunk(x)))
        return out[:, 0], out[:, 1:5], out[:, 5:]


class Networks(nn.Module):
    """The three networks of a cascade; they are called one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = PNet(), RNet(), ONet()


Network = Callable[[Tensor], tuple[Tensor, ...]]  # the module, or what runs it


@dataclass(frozen=True, slots=True)
class CompiledNetworks:
    """The three networks as callables that a backend runs."""

    pnet: Network
    rnet: Network
    onet: Network
