"""The classifier's network: MobileFaceNet (Chen et al. 2018, arXiv 1804.07573, table 1) with three heads.

Global average pooling replaces the paper's global depthwise convolution, which frees the input size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# expansion, channels, blocks, stride of the first block (table 1)
STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
FEATURES = 512
HEADS = {"mask": 3, "gender": 2, "age": 3}


class ConvUnit(nn.Module):
    """Convolution, batch norm and PReLU."""

    def __init__(self, inp: int, out: int, kernel: int, stride: int, padding: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inp, out, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.prelu = nn.PReLU(out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inp, H, W) to (B, out, H / stride, W / stride)."""
        return torch.as_tensor(self.prelu(self.bn(self.conv(x))))


class Bottleneck(nn.Module):
    """Expand, depthwise 3 × 3, project; a residual where the shape stays."""

    def __init__(self, inp: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        mid = inp * expansion
        self.residual = stride == 1 and inp == out
        self.conv = nn.Sequential(
            nn.Conv2d(inp, mid, 1, bias=False),
            nn.BatchNorm2d(mid),
            nn.PReLU(mid),
            nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False),
            nn.BatchNorm2d(mid),
            nn.PReLU(mid),
            nn.Conv2d(mid, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inp, H, W) to (B, out, H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """Features of a face, and logits of its three heads."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = ConvUnit(3, 64, 3, 2, 1)
        self.dw_conv1 = ConvUnit(64, 64, 3, 1, 1, groups=64)
        blocks, channels = [], 64
        for expansion, out, count, stride in STAGES:
            for i in range(count):
                blocks.append(Bottleneck(channels, out, stride if i == 0 else 1, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvUnit(channels, FEATURES, 1, 1, 0)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(FEATURES, width) for name, width in HEADS.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) normalised crops to logits: mask (B, 3), gender (B, 2), age (B, 3)."""
        x = self.blocks(self.dw_conv1(self.conv1(x)))
        features = self.dropout(self.conv2(x).mean((2, 3)))  # (B, 512)
        return {name: head(features) for name, head in self.heads.items()}


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """The same network with every batch norm folded into the convolution before it; for inference only."""
    for module in model.modules():
        if isinstance(module, ConvUnit):
            module.conv, module.bn = _folded(module.conv, module.bn), nn.Identity()  # type: ignore[assignment]
        elif isinstance(module, Bottleneck):
            layers = module.conv
            for i in range(len(layers) - 1):
                conv, norm = layers[i], layers[i + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    layers[i], layers[i + 1] = _folded(conv, norm), nn.Identity()
    return model


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    return nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
