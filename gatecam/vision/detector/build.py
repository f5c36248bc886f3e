"""Build the face detector that the settings name: our cascade, or facenet-pytorch's MTCNN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from gatecam.errors import ModelError
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Detection, Image
from gatecam.vision.backbone import fold_batch_norms
from gatecam.vision.detector.cascade import CascadeDetector
from gatecam.vision.detector.networks import ARCHITECTURE, O_SIZE, R_SIZE, CompiledNetworks, Networks
from gatecam.vision.device import Backend, placed
from gatecam.vision.openvino import OpenVinoNetwork
from gatecam.vision.weights import DetectorSpec, find_weights, load_detector_weights, save_weights

STOCK = "stock"  # the weights that facenet-pytorch bundles


class Detector(Protocol):
    """Finds faces in batches of frames."""

    def detect(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        smallest_px: Sequence[int] | None = None,
    ) -> list[list[Detection]]:
        """Return the faces of each image, best score first. An image without faces gets an empty list.

        Args:
            images: (H, W, 3) uint8 RGB each. Sizes may differ.
            hints: one entry per image. None searches the whole image. Boxes from the previous frame restrict
                the search to O-Net at those boxes. Without `hints`, every image is searched whole.
            smallest_px: the smallest side of a face to search for, per image. None takes it from the settings
                and the image's width.
        """
        ...

    def apply(self, config: DetectorConfig) -> None:
        """Use new thresholds and a new smallest face from the next frame on."""
        ...


def build_detector(config: DetectorConfig, backend: Backend) -> Detector:
    """Build the detector that the settings name, on a backend. The stock weights always run on torch.

    Raises:
        ModelError: its weights are missing, changed or of another kind.
    """
    if config.weights == STOCK:
        # imports all of torchvision, which takes a second
        from gatecam.vision.detector.stock import StockDetector

        return StockDetector(config, backend.device)
    networks, _ = load_detector(find_weights(config.weights, "detector.weights"))
    if backend.name == "openvino":
        return CascadeDetector(config, compiled(networks, backend.threads), backend.device)
    on_torch = CompiledNetworks(*(placed(network, backend) for network in networks.children()))
    return CascadeDetector(config, on_torch, backend.device)


def compiled(networks: Networks, threads: int | None = None) -> CompiledNetworks:
    """Compile the networks for OpenVINO."""
    return CompiledNetworks(
        OpenVinoNetwork(networks.pnet, torch.zeros(1, 3, 64, 64), True, threads),
        OpenVinoNetwork(networks.rnet, torch.zeros(2, 3, R_SIZE, R_SIZE), threads=threads, is_small=True),
        OpenVinoNetwork(networks.onet, torch.zeros(2, 3, O_SIZE, O_SIZE), threads=threads, is_small=True),
    )


def load_detector(path: Path) -> tuple[Networks, DetectorSpec]:
    """Load the networks of a weights file for inference, and the file's spec.

    Raises:
        ModelError: the file or its spec is missing, changed or of another kind.
    """
    tensors, spec = load_detector_weights(path)
    networks = _folded(Networks())
    try:
        networks.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: its tensors do not fit {ARCHITECTURE}. Give weights made by `gatecam train-detector`."
        ) from error
    return networks, spec


def save_detector(path: Path, networks: Networks, spec: DetectorSpec) -> DetectorSpec:
    """Write networks with folded batch norms, and their spec. Return the spec with the hash."""
    return save_weights(path, _folded(networks).state_dict(), spec)


def _folded(networks: Networks) -> Networks:
    """Switch the networks to inference and fold their batch norms, in place. Return the same networks."""
    for network in networks.eval().children():
        fold_batch_norms(network)
    return networks
