"""Build the face detector that the settings name: our cascade, or facenet-pytorch's MTCNN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gatecam.errors import ModelError
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Detection, Image
from gatecam.vision.detector.cascade import CascadeDetector
from gatecam.vision.detector.sizes import ARCHITECTURE, MEAN, O_SIZE, R_SIZE, STD, CompiledNetworks
from gatecam.vision.detector.stock_compiled import CompiledStockDetector, stock_networks
from gatecam.vision.device import Backend
from gatecam.vision.openvino import OpenVinoNetwork
from gatecam.vision.weights import (
    DetectorSpec,
    Stored,
    find_weights,
    load_detector_weights,
    load_stored,
    read_detector_spec,
    save_weights,
    with_graphs,
)

if TYPE_CHECKING:
    from gatecam.vision.detector.networks import Networks

SIDES = {"pnet": None, "rnet": R_SIZE, "onet": O_SIZE}  # px of the input, by network. None is any.
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
    """Build the detector that the settings name, on a backend.

    Raises:
        DeviceError: OpenVINO cannot run it.
        ModelError: its weights are missing, changed or of another kind.
    """
    if config.weights == STOCK and backend.name == "openvino":
        return CompiledStockDetector(config, stock_networks(backend))
    if config.weights == STOCK:
        from gatecam.vision.detector.stock import StockDetector

        return StockDetector(config, backend.device)
    path = find_weights(config.weights, "detector.weights")
    if backend.name == "openvino":
        return CascadeDetector(config, compiled_cascade(path, backend))
    from gatecam.vision.on_torch import cascade_on

    networks, _ = load_detector(path)
    return CascadeDetector(config, cascade_on(backend.device, networks, is_half=backend.name == "cuda"))


def compiled_cascade(path: Path, backend: Backend) -> CompiledNetworks:
    """Compile the networks of a weights file for OpenVINO.

    Raises:
        DeviceError: OpenVINO cannot run them.
        ModelError: the file or its spec is missing, changed or of another kind.
    """
    spec, stored = read_detector_spec(path), load_stored(path)
    try:
        weights = with_graphs(path, spec, stored)
        return CompiledNetworks(*(compiled_network(weights, name, backend) for name in SIDES))
    except ModelError as error:
        raise _unfit(path) from error


def compiled_network(weights: Stored, name: str, backend: Backend) -> OpenVinoNetwork:
    """Compile one network of the cascade for OpenVINO."""
    side, threads, is_small = SIDES[name], backend.threads, name != "pnet"
    return OpenVinoNetwork(weights, name, side, (MEAN, STD), threads, is_small, backend.precision)


def _unfit(path: Path) -> ModelError:
    return ModelError(
        f"{path}: its tensors do not fit {ARCHITECTURE}. Give weights made by `gatecam train-detector`."
    )


def load_detector(path: Path) -> tuple[Networks, DetectorSpec]:
    """Load the networks of a weights file for inference, and the file's spec.

    Raises:
        ModelError: the file or its spec is missing, changed or of another kind.
    """
    from gatecam.vision.detector.networks import Networks, folded

    tensors, spec = load_detector_weights(path)
    networks = folded(Networks())
    try:
        networks.load_state_dict(tensors)
    except RuntimeError as error:
        raise _unfit(path) from error
    return networks, spec


def save_detector(path: Path, networks: Networks, spec: DetectorSpec) -> DetectorSpec:
    """Write networks with folded batch norms, and their spec. Return the spec with the hash."""
    from gatecam.vision.detector.networks import folded
    from gatecam.vision.graphs import graphs_to_store

    return save_weights(path, folded(networks).state_dict(), spec, graphs_to_store(spec))
