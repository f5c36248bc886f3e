"""Define the cascade's networks: P-Net proposes faces, R-Net rejects most wrong ones, O-Net decides.

The roles are those of Zhang et al. 2016, but the networks are deeper and wider. O-Net also places the box and
five landmarks. Each network sees some of the face's surroundings, because a mask does not cover them.
"""

from __future__ import annotations

from torch import Tensor, nn

from gatecam.vision.backbone import fold_batch_norms
from gatecam.vision.detector.sizes import O_OUTPUTS, R_OUTPUTS


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class PNet(nn.Module):
    """Predicts a face logit (n, h, w) and a box (n, 4, h, w) for every 8th pixel of (n, 3, 8h, 8w).

    A box is the offset of its corners from a square of `CELL_FACE_PX` around the cell, in parts of its side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _conv(3, 16, 2), _conv(16, 32, 2), _conv(32, 64, 2), _conv(64, 64), _conv(64, 64), _conv(64, 64)
        )
        self.head = nn.Conv2d(64, 5, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and boxes of every cell."""
        out = self.head(self.trunk(x))
        return out[:, 0], out[:, 1:]


class RNet(nn.Module):
    """Predicts a face logit (n,) and a box (n, 4) for crops (n, 3, 24, 24).

    A box is the offset of its corners from the crop's square, in parts of its side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(_conv(3, 32, 2), _conv(32, 48), _conv(48, 64, 2), _conv(64, 64))
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(64 * 6 * 6, 128), nn.ReLU(inplace=True))
        self.head = nn.Linear(128, R_OUTPUTS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and boxes of the crops."""
        out = self.head(self.dense(self.trunk(x)))
        return out[:, 0], out[:, 1:]


class ONet(nn.Module):
    """Predicts logits and boxes as `RNet` does, for crops (n, 3, 48, 48), and landmarks (n, 10).

    The landmarks are five pairs x, y in parts of the crop's square.
    """

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
        self.head = nn.Linear(256, O_OUTPUTS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits, boxes and landmarks of the crops."""
        out = self.head(self.dense(self.trunk(x)))
        return out[:, 0], out[:, 1:5], out[:, 5:]


class Networks(nn.Module):
    """Holds the three networks of a cascade. The detector calls them one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = PNet(), RNet(), ONet()


def folded(networks: Networks) -> Networks:
    """Switch the networks to inference and fold their batch norms, in place. Return the same networks."""
    for network in networks.eval().children():
        fold_batch_norms(network)
    return networks
