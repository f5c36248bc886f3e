"""Classify the crops of all faces of a batch, and return calibrated probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gatecam.errors import ModelError
from gatecam.labels import HEADS
from gatecam.types import Floats, Image, Prediction
from gatecam.vision.crops import crop_faces
from gatecam.vision.detector.sizes import Network
from gatecam.vision.device import Backend
from gatecam.vision.openvino import OpenVinoNetwork
from gatecam.vision.weights import ModelSpec, find_weights, load_stored, load_weights, read_spec, with_graphs

if TYPE_CHECKING:
    from gatecam.vision.network import FaceNetwork

CHUNK = 64  # faces in one forward pass, which bounds memory in a crowd


def load_classifier(weights: str) -> tuple[FaceNetwork, ModelSpec]:
    """Load a network with its weights, ready for inference with torch on the CPU, and their spec.

    Args:
        weights: a shipped name, or a path that ends in .safetensors.

    Raises:
        ModelError: the weights are missing, changed or of another network.
    """
    from gatecam.vision.network import build_from_spec

    path = find_weights(weights)
    tensors, spec = load_weights(path)
    try:
        network = build_from_spec(spec.architecture)
        network.load_state_dict(tensors)
    except (ModelError, RuntimeError) as error:
        raise _unfit(path, spec) from error
    return network.eval(), spec


class FaceClassifier:
    """Classifies faces by mask, gender and age band."""

    def __init__(self, weights: str, backend: Backend) -> None:
        self._network: Network
        if backend.name == "openvino":
            self._network, self.spec = _on_openvino(find_weights(weights), backend)
        else:
            from gatecam.vision.backbone import fold_batch_norms
            from gatecam.vision.network import ByHead
            from gatecam.vision.on_torch import classifier_on

            network, self.spec = load_classifier(weights)
            fold_batch_norms(network.backbone)
            self._network = classifier_on(backend, ByHead(network))
        self._temperature = {name: self.spec.temperature[name] for name in HEADS}

    def classify(self, images: Sequence[Image], boxes: Sequence[Floats]) -> list[Prediction]:
        """Return one prediction for each box, image after image.

        Args:
            images: (H, W, 3) uint8 RGB each.
            boxes: (n, 4) float each, in px of their image.
        """
        return self._predict(crop_faces(images, boxes, self.spec.crop))

    def classify_crops(self, images: Sequence[Image]) -> list[Prediction]:
        """Return a prediction for each image, which is a face already cropped with the weights' margin."""
        whole = [np.array([[0.0, 0.0, i.shape[1], i.shape[0]]], np.float32) for i in images]
        return self._predict(crop_faces(images, whole, self.spec.crop.without_margin()))

    def _predict(self, crops: Floats) -> list[Prediction]:
        found: list[Prediction] = []
        for start in range(0, len(crops), CHUNK):
            found.extend(map(Prediction, *self.probabilities(crops[start : start + CHUNK])))
        return found

    def probabilities(self, crops: Floats) -> list[Floats]:
        """Return calibrated probabilities of crops (n, size, size, 3).

        They are (n, 3) for mask, (n, 2) for gender and (n, 3) for age.
        """
        logits = self.logits(crops)
        return [_softmax(of_head / self._temperature[n]) for n, of_head in zip(HEADS, logits, strict=True)]

    def logits(self, crops: Floats) -> tuple[Floats, ...]:
        """Return the logits of crops (n, size, size, 3) in the same shapes as `probabilities`."""
        return self._network(crops)


def _on_openvino(path: Path, backend: Backend) -> tuple[OpenVinoNetwork, ModelSpec]:
    """Compile the classifier of a weights file for OpenVINO. Return it with the file's spec."""
    spec = read_spec(path)
    stored = with_graphs(path, spec, load_stored(path))
    try:
        return OpenVinoNetwork(stored, "classifier", spec.crop.size, precision=backend.precision), spec
    except ModelError as error:
        raise _unfit(path, spec) from error


def _unfit(path: Path, spec: ModelSpec) -> ModelError:
    return ModelError(
        f"{path}: not the weights of the network that its spec names ({spec.architecture}); use weights "
        "that this version's `gatecam train` made."
    )


def _softmax(logits: Floats) -> Floats:
    """Return the probabilities of logits (n, m)."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
