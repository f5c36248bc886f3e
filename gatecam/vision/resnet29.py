"""Build ResNet-29, the face recognition network of dlib, and read dlib's published weights of it.

The network is that of dlib's `dnn_face_recognition_ex.cpp` (King 2017): a residual network (He et al. 2016,
arXiv 1512.03385, table 1) with fewer layers and half the channels. Where dlib's published network has fixed
affine layers, this one has batch norms, so that it can be trained further.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gatecam.errors import ModelError
from gatecam.vision.crops import PIXEL_MEAN, PIXEL_STD

# channels, blocks, whether the first block halves the sides
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
FEATURES = 256
EARLY_BLOCKS = 3  # the first stage
MEAN_RGB = (122.782, 117.001, 104.298)  # dlib's input is (pixel - mean) / 256
CONV, AFFINE = b"\x05con_4", b"\x07affine_"  # names before the tensors in dlib's file


class Block(nn.Module):
    """Applies two 3 × 3 convolutions and adds the input, average-pooled where the block halves the sides."""

    def __init__(self, inp: int, out: int, halves: bool) -> None:
        super().__init__()
        self.halves, self.added = halves, out - inp
        self.conv1 = nn.Conv2d(inp, out, 3, 2 if halves else 1, 0 if halves else 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inp, H, W) to (B, out, H, W), or to halved sides."""
        wide = F.pad(x, (0, 1, 0, 1)) if self.halves else x
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(wide)))))
        if self.halves:
            x = F.avg_pool2d(x, 2)
        if self.added:
            x = F.pad(x, (0, 0, 0, 0, 0, self.added))  # zeros for the new channels
        return F.relu(x + y)


class ResNet29(nn.Module):
    """Computes 256 features of a face."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STAGES[0][0], 7, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGES[0][0])
        blocks, channels = [], STAGES[0][0]
        for out, count, halves in STAGES:
            for i in range(count):
                blocks.append(Block(channels, out, halves and i == 0))
                channels = out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized crops (B, 3, S, S), S of 100 or more, to features (B, 256)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2)
        features: Tensor = self.blocks(x).mean((2, 3))
        return features

    def layers(self) -> Iterator[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
        """Yield each convolution with its number and the norm that follows it, from the input on."""
        yield "1", self.conv1, self.bn1
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            yield f"{number}.1", block.conv1, block.bn1
            yield f"{number}.2", block.conv2, block.bn2


def read_dlib(path: Path) -> dict[str, Tensor]:
    """Read `dlib_face_recognition_resnet_model_v1.dat` (public domain). Return the tensors of a `ResNet29`.

    For each layer, from the input on, the file has a convolution (weights, then biases) and an affine layer
    (factors, then offsets). Each of them is a name, a version, four sizes and float32 values.

    Raises:
        ModelError: the file cannot be read, or is of another network.
    """
    network = ResNet29()
    try:
        content = path.read_bytes()
        at = 0
        with torch.no_grad():
            for _, conv, norm in network.layers():
                weights, at = _values(content, content.index(CONV, at) + len(CONV))
                affine, at = _values(content, content.index(AFFINE, at) + len(AFFINE))
                size, channels = conv.weight.numel(), conv.out_channels
                conv.weight.copy_(weights[:size].view_as(conv.weight))
                norm.running_mean, norm.running_var = -weights[size:], torch.full((channels,), 1 - norm.eps)
                norm.weight.copy_(affine[:channels])
                norm.bias.copy_(affine[channels:])
            _take_our_input(network)
    except (OSError, ValueError, IndexError, RuntimeError) as error:
        raise ModelError(
            f"{path}: not dlib's face recognition network ({error}). Give "
            "dlib_face_recognition_resnet_model_v1.dat of the package face_recognition_models."
        ) from error
    return network.state_dict()


def _values(content: bytes, at: int) -> tuple[Tensor, int]:
    """Read a tensor of dlib's file that begins at byte `at`. Return it as a vector, and where it ends.

    Five integers come first: the version and the sizes. Each is a byte with its length, followed by that many
    bytes in little-endian order.
    """
    numbers = []
    for _ in range(5):
        end = at + 1 + (content[at] & 15)
        numbers.append(int.from_bytes(content[at + 1 : end], "little"))
        at = end
    count = int(np.prod(numbers[1:], dtype=np.int64))
    return torch.from_numpy(np.frombuffer(content, "<f4", count, at).copy()), at + 4 * count


def _take_our_input(network: ResNet29) -> None:
    """Change the first layer from dlib's input to that of gatecam's crops."""
    weight, mean = network.conv1.weight, network.bn1.running_mean
    assert mean is not None
    shift = (PIXEL_MEAN - torch.tensor(MEAN_RGB)) / 256
    mean -= (weight.sum((2, 3)) * shift).sum(1)
    weight *= PIXEL_STD / 256
