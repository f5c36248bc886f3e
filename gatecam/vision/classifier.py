"""Classify the crops of all faces of a batch, and return calibrated probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gatecam.errors import ModelError
from gatecam.types import Prediction
from gatecam.vision.crops import crop_faces
from gatecam.vision.device import Backend, placed
from gatecam.vision.network import HEADS, FaceNetwork, build_from_spec, fold_batch_norms
from gatecam.vision.openvino import OpenVinoNetwork, Outputs
from gatecam.vision.weights import ModelSpec, find_weights, load_weights

CHUNK = 64  # faces in one forward pass, which bounds memory in a crowd


def load_classifier(weights: str) -> tuple[FaceNetwork, ModelSpec]:
    """Load a network with its weights, ready for inference on the CPU, and their spec.

    Args:
        weights: a shipped name, or a path that ends in .safetensors.

    Raises:
        ModelError: the weights are missing, changed or of another network.
    """
    path = find_weights(weights)
    tensors, spec = load_weights(path)
    try:
        network = build_from_spec(spec.architecture)
        network.load_state_dict(tensors)
    except (ModelError, RuntimeError) as error:
        raise ModelError(
            f"{path}: not the weights of the network that its spec names ({spec.architecture}); use weights "
            "that this version's `gatecam train` made."
        ) from error
    return network.eval(), spec


class FaceClassifier:
    """Classifies faces by mask, gender and age band."""

    def __init__(self, weights: str, backend: Backend) -> None:
        network, self.spec = load_classifier(weights)
        ready = ByHead(fold_batch_norms(network)).eval()
        size = self.spec.crop.size
        if backend.name == "openvino":
            self._network: Callable[[Tensor], Outputs] = OpenVinoNetwork(ready, torch.zeros(2, 3, size, size))
        else:
            self._network = placed(ready, backend)
        self._device = backend.device
        self._temperature = {name: self.spec.temperature[name] for name in HEADS}

    @torch.inference_mode()
    def classify(self, images: Sequence[Tensor], boxes: Sequence[Tensor]) -> list[Prediction]:
        """Return one prediction for each box, image after image.

        Args:
            images: (H, W, 3) uint8 RGB each, on the CPU.
            boxes: (n, 4) float each, in px of their image.
        """
        return self._predict(crop_faces(images, boxes, self.spec.crop))

    @torch.inference_mode()
    def classify_crops(self, images: Sequence[Tensor]) -> list[Prediction]:
        """Return a prediction for each image, which is a face already cropped with the weights' margin."""
        whole = [torch.tensor([[0.0, 0.0, i.shape[1], i.shape[0]]]) for i in images]
        return self._predict(crop_faces(images, whole, self.spec.crop.without_margin()))

    def _predict(self, crops: Tensor) -> list[Prediction]:
        found: list[Prediction] = []
        for chunk in torch.split(crops, CHUNK) if len(crops) else ():
            rows = self.probabilities(chunk.to(self._device)).cpu().numpy()  # the CPU waits here
            found.extend(Prediction(row[:3], row[3:5], row[5:]) for row in rows)
        return found

    def probabilities(self, crops: Tensor) -> Tensor:
        """Return calibrated probabilities (n, 8) of crops (n, 3, size, size), on the device: mask, gender,
        age.
        """
        logits = self._network(crops.contiguous(memory_format=torch.channels_last))
        joined = [
            (of_head.float() / self._temperature[name]).softmax(1)
            for name, of_head in zip(HEADS, logits, strict=True)
        ]
        return torch.cat(joined, 1)


class ByHead(nn.Module):
    """Returns the network's logits as a tuple, in the order of `HEADS`."""

    def __init__(self, network: FaceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Outputs:
        """Return the logits (n, m) of each head."""
        logits = self.network(crops)
        return tuple(logits[name] for name in HEADS)
