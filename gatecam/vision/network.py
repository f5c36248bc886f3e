"""Build the classifier's network: a backbone, and heads on its features, as a spec names them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gatecam.errors import ModelError
from gatecam.labels import CLASS_COUNT, HEADS
from gatecam.vision.backbone import build_backbone
from gatecam.vision.mobilenet import read_tensorflow_js
from gatecam.vision.resnet29 import read_dlib

JOINT = "joint"
# the widths of the linear layers of each kind of heads
LAYERS = {"three": HEADS, "joint18": {JOINT: CLASS_COUNT}}
READERS = {".dat": read_dlib, ".json": read_tensorflow_js}  # of published weights, by the file's ending
BIAS = 0.01  # initial bias of every head. The initial weights are those of Glorot and Bengio 2010.


class FaceNetwork(nn.Module):
    """Computes the logits of mask, gender and age for face crops, with any backbone and kind of heads.

    Attributes:
        backbone: maps crops (B, 3, S, S) to features (B, F).
        heads: one linear layer each. Training may add heads of its own, which `served_weights` leaves out.
        architecture: the name in the spec of its weights, such as "mobilenet_v1/three".
    """

    def __init__(self, backbone: str, heads: str, dropout: float) -> None:
        super().__init__()
        self.architecture = f"{backbone}/{heads}"
        self.backbone, features = build_backbone(backbone)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({name: _linear(features, width) for name, width in LAYERS[heads].items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map normalized crops (B, 3, S, S) to logits: mask (B, 3), gender (B, 2) and age (B, 3).

        The heads "joint18" also give joint (B, 18), in the order of `labels.class_id`. The other three are
        then the marginals of its probabilities.
        """
        features = self.dropout(self.backbone(x))  # (B, F)
        logits = {name: head(features) for name, head in self.heads.items()}
        if JOINT in logits:
            cube = logits[JOINT].unflatten(1, tuple(HEADS.values()))  # (B, 3, 2, 3)
            logits |= {
                name: cube.logsumexp([d for d in (1, 2, 3) if d != i]) for i, name in enumerate(HEADS, 1)
            }
        return logits


class ByHead(nn.Module):
    """Returns the network's logits as a tuple, in the order of `HEADS`."""

    PREFIX = "network."  # of the names of its tensors

    def __init__(self, network: FaceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Return the logits (n, m) of each head."""
        logits = self.network(crops)
        return tuple(logits[name] for name in HEADS)


def _linear(features: int, width: int) -> nn.Linear:
    layer = nn.Linear(features, width)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.constant_(layer.bias, BIAS)
    return layer


def build_network(backbone: str, heads: str, dropout: float = 0.0) -> FaceNetwork:
    """Build a network with random weights.

    Args:
        backbone: one of `backbone_names`, such as "mobilenet_v1".
        heads: "three" (mask, gender and age each), or "joint18" (one of the 18 classes).
        dropout: the share of the features that training hides from the heads.

    Raises:
        ModelError: there is no such backbone, or no such heads.
    """
    if heads not in LAYERS:
        raise ModelError(f"{heads}: no such heads; give {' or '.join(LAYERS)}.")
    return FaceNetwork(backbone, heads, dropout)


def build_from_spec(architecture: str) -> FaceNetwork:
    """Build the network that a spec's `architecture` names, with random weights.

    Raises:
        ModelError: there is no such network.
    """
    backbone, _, heads = architecture.partition("/")
    return build_network(backbone, heads)


def served_weights(network: FaceNetwork) -> dict[str, Tensor]:
    """Return copies of the tensors to save, without heads that only training uses.

    Kernels are rounded to 16 bits, which halves the file. Norms and biases keep 32 bits.
    """
    _, _, heads = network.architecture.partition("/")
    extra = tuple(f"heads.{name}." for name in network.heads if name not in LAYERS[heads])
    return {
        name: tensor.detach().to(torch.float16 if tensor.dim() > 1 else tensor.dtype, copy=True)
        for name, tensor in network.state_dict().items()
        if not name.startswith(extra)
    }


def load_start(network: FaceNetwork, path: Path) -> list[str]:
    """Load initial weights from a file. Return the names of the heads' tensors that it lacks.

    The file has the weights of a whole `FaceNetwork` or of a backbone alone. Its ending says how it is read:
    .dat is dlib's format, for ResNet-29, .json is that of TensorFlow.js, for MobileNet, and everything else
    is safetensors.

    Raises:
        ModelError: the file is missing, cannot be read, or is of another backbone.
    """
    try:
        tensors = READERS.get(path.suffix, load_file)(path)
        ours = ("backbone.", "heads.")
        named = {name if name.startswith(ours) else f"backbone.{name}": t for name, t in tensors.items()}
        missing, _ = network.load_state_dict(named, strict=False)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read as safetensors ({error}); check its path.") from error
    except RuntimeError as error:
        raise ModelError(
            f"{path}: its tensors have other shapes than those of {network.architecture}. Give other weights."
        ) from error
    lacking = [name for name in missing if name.startswith("backbone.")]
    if lacking:
        raise ModelError(
            f"{path}: not the weights of {network.architecture}, {lacking[0]} is missing. "
            "Give other weights, or the --backbone that they are of."
        )
    return list(missing)
