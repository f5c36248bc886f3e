"""Run networks with torch, on the CPU or a GPU. They are the reference for other backends."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from gatecam.types import Floats
from gatecam.vision.detector.networks import Networks
from gatecam.vision.detector.sizes import MEAN, STD, CompiledNetworks
from gatecam.vision.device import Backend


class TorchNetwork:
    """Runs a network on pixels (n, H, W, 3) in torch's memory format channels-last.

    Args:
        network: a module that takes (n, 3, H, W) and returns a tuple of tensors. It is moved in place.
        device: where it runs.
        mean: subtracted from the pixels, on the device.
        std: divides the pixels after that.
        is_half: compute in half precision, which halves the module's weights in place.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        mean: float = 0.0,
        std: float = 1.0,
        is_half: bool = False,
    ) -> None:
        network = network.eval().to(device).to(memory_format=torch.channels_last)
        self._network = network.half() if is_half else network
        self._device, self._mean, self._std, self._is_half = device, mean, std, is_half

    @torch.inference_mode()
    def __call__(self, pixels: NDArray[Any]) -> tuple[Floats, ...]:
        """Return the network's outputs. The CPU waits for them."""
        given = normalized(
            torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2), self._mean, self._std
        )
        outputs = self._network(given.half() if self._is_half else given)
        return tuple(output.float().cpu().numpy() for output in outputs)


def normalized(pixels: torch.Tensor, mean: float = MEAN, std: float = STD) -> torch.Tensor:
    """Return pixels as normalized floats. The defaults are those of the detector's networks."""
    return (pixels.float() - mean) * (1 / std)


def cascade_on(device: torch.device, networks: Networks, is_half: bool = False) -> CompiledNetworks:
    """Move the networks of a cascade to a device in place, and return them as callables."""
    return CompiledNetworks(
        *(TorchNetwork(network, device, MEAN, STD, is_half) for network in networks.children())
    )


def classifier_on(backend: Backend, network: nn.Module) -> TorchNetwork:
    """Move the classifier's network to a backend in place, and return it as a callable.

    It takes pixels that are normalized already.
    """
    return TorchNetwork(network, backend.device, is_half=backend.name == "cuda")
