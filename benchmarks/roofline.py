"""Compare the networks' times with the machine's limits: `make bench-roofline`.

This is the roofline of Williams et al. 2009, section 3. `benchmarks/roofline.py [ROUNDS]` does the same.

A layer needs at least its operations at the rate of a large matrix product. It also needs at least its bytes
(input, output and weights, once each) at the rate of a large copy in memory. The longer of the two is the
layer's bound. A network's bound is the sum over its layers. Both rates are measured again in each round. A
network may be faster than its bound if data stays in a cache between two layers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gatecam.runtime.cores import set_threads

if __name__ == "__main__":
    set_threads()  # OpenMP reads it when torch is loaded

import numpy as np
import torch
from torch import Tensor, nn

from gatecam.bench.page import terminal_table
from gatecam.bench.parts import Figures
from gatecam.bench.result import Measure
from gatecam.runtime.console import open_console
from gatecam.settings.schema import Config
from gatecam.vision.backbone import fold_batch_norms
from gatecam.vision.classifier import FaceClassifier, load_classifier
from gatecam.vision.detector.build import build_detector, load_detector
from gatecam.vision.detector.cascade import CascadeDetector, sheet_of
from gatecam.vision.detector.sizes import O_SIZE, R_SIZE, Network
from gatecam.vision.device import Backend
from gatecam.vision.network import ByHead
from gatecam.vision.precision import working_backends
from gatecam.vision.weights import find_weights

MATRIX = {"cpu": 1536, "cuda": 8192}  # rows: large enough for the full rate
COPY_BYTES = {"cpu": 2**28, "cuda": 2**30}  # far beyond any cache
LEAST_S = 0.2  # time for which a network is called repeatedly in one round
WARM_UPS = 2  # calls that are not measured
WHOLE = (720, 1280)  # px of the picture for P-Net's sheet


@dataclass(frozen=True, slots=True)
class Machine:
    """Holds two rates: operations per second, and bytes per second.

    A multiplication and an addition are two operations.
    """

    flops: float
    bytes_s: float

    def bound_s(self, layers: list[Layer]) -> float:
        """Return the least time for these layers one after another."""
        return sum(max(layer.flops / self.flops, layer.size_bytes / self.bytes_s) for layer in layers)


@dataclass(frozen=True, slots=True)
class Layer:
    """Says how much one layer computes and moves."""

    flops: float
    size_bytes: float


@dataclass(frozen=True, slots=True)
class Case:
    """Holds a network, as a module and on its backend, and the shape (n, H, W) of an input."""

    name: str
    module: nn.Module
    network: Network
    shape: tuple[int, int, int]
    kind: type[np.generic] = np.uint8  # of the input's numbers


class Rates:
    """Measures a device's rates in the precision that networks use there, which is half on a GPU."""

    def __init__(self, device: torch.device) -> None:
        side, kind = MATRIX[device.type], torch.float16 if device.type == "cuda" else torch.float32
        self._a, self._b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
        self._source = torch.ones(COPY_BYTES[device.type] // 4, device=device)
        self._target = torch.empty_like(self._source)
        self._device = device
        self.measure()

    def measure(self) -> Machine:
        """Return both rates, measured in one round each."""
        side, count = len(self._a), self._source.numel()
        product_s = seconds_a_call(lambda: self._a @ self._b, self._device)
        copy_s = seconds_a_call(lambda: self._target.copy_(self._source), self._device)
        return Machine(2 * side**3 / product_s, 2 * 4 * count / copy_s)


class Runner:
    """Runs a network on a backend for timing."""

    def __init__(self, case: Case, backend: Backend) -> None:
        self.name, self.backend = case.name, backend
        count, height, width = case.shape
        example = torch.zeros(count, 3, height, width)
        self.layers = layers_of(case.module, example, 2 if backend.name == "cuda" else 4)
        self._pixels = np.ones((*case.shape, 3), case.kind)
        self._network = case.network
        for _ in range(WARM_UPS):
            self._network(self._pixels)

    def measure(self) -> float:
        """Return the mean seconds per call in one round."""
        return seconds_a_call(lambda: self._network(self._pixels), self.backend.device)


def seconds_a_call(call: Callable[[], Any], device: torch.device) -> float:
    """Return the mean time of a call in one round, which repeats it for `LEAST_S`."""
    with torch.inference_mode():
        _wait(device)
        count, start_s = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - start_s < LEAST_S:
            call()
            count += 1
        _wait(device)
        return (time.perf_counter() - start_s) / count


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def cases(config: Config, backend: Backend) -> Iterator[Case]:
    """Yield the networks of the settings: P-Net on the sheet of a 720p picture, the others on 1 and 16 crops.

    They take and return arrays, so on a GPU the transfer of these counts too.

    Raises:
        ModelError: weights are missing, or are not gatecam's own.
    """
    networks, _ = load_detector(find_weights(config.detector.weights, "detector.weights"))
    classifier, spec = load_classifier(config.classifier.weights)
    fold_batch_norms(classifier.backbone)
    judge = ByHead(classifier).eval()
    detector = build_detector(config.detector, backend)
    assert isinstance(detector, CascadeDetector)
    nets, judging = detector._nets, FaceClassifier(config.classifier.weights, backend)._network
    sheet = sheet_of(*WHOLE, config.detector.smallest_face_px(WHOLE[1]))
    yield Case("P-Net, a 720p picture", networks.pnet, nets.pnet, (1, sheet.height, sheet.width))
    for count in (1, 16):
        faces = "1 face" if count == 1 else f"{count} faces"
        yield Case(f"R-Net, {faces}", networks.rnet, nets.rnet, (count, R_SIZE, R_SIZE))
        yield Case(f"O-Net, {faces}", networks.onet, nets.onet, (count, O_SIZE, O_SIZE))
        size = spec.crop.size
        yield Case(f"classifier, {faces}", judge, judging, (count, size, size), np.float32)


def layers_of(network: nn.Module, pixels: Tensor, item_bytes: int = 4) -> list[Layer]:
    """Return what each convolution and matrix product of a network computes and moves for an input."""
    found: list[Layer] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weights = sum(p.numel() for p in module.parameters(recurse=False))
        moved = inputs[0].numel() + output.numel() + weights
        found.append(Layer(_flops(module, output), moved * item_bytes))

    hooks = [
        module.register_forward_hook(note)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        with torch.inference_mode():
            network(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _flops(module: nn.Module, output: Tensor) -> float:
    """Return two operations for each weight that an output sums over. The bias is left out."""
    if isinstance(module, nn.Conv2d):
        height, width = (int(k) for k in module.kernel_size)
        return 2.0 * output.numel() * height * width * (module.in_channels // module.groups)
    assert isinstance(module, nn.Linear)
    return 2.0 * output.numel() * module.in_features


def networks(backends: list[Backend], rounds: int) -> list[Measure]:
    """Measure each network on each backend, and its bound at the rates of the same round."""
    figures = Figures("networks")
    rates = {device: Rates(device) for device in dict.fromkeys(one.device for one in backends)}
    runners = [Runner(case, backend) for backend in backends for case in cases(Config(), backend)]
    for _ in range(rounds):
        for device, rate in rates.items():
            machine = rate.measure()
            figures.add("this machine", device.type, "product", "Gflop/s", machine.flops / 1e9, more=True)
            figures.add("this machine", device.type, "copy", "GB/s", machine.bytes_s / 1e9, more=True)
            for runner in runners:
                if runner.backend.device == device:
                    _add(figures, runner, machine)
    return figures.measures()


def _add(figures: Figures, runner: Runner, machine: Machine) -> None:
    bound_s, seconds = machine.bound_s(runner.layers), runner.measure()
    for figure, unit, value in (
        ("operations", "Mflop", sum(one.flops for one in runner.layers) / 1e6),
        ("bytes", "MB", sum(one.size_bytes for one in runner.layers) / 1e6),
        ("bound", "ms", bound_s * 1000),
        ("time", "ms", seconds * 1000),
        ("times the bound", "×", seconds / bound_s),
    ):
        figures.add(runner.name, runner.backend.setting, figure, unit, value)


def main(rounds: str = "5") -> None:
    """Measure on every backend that works here, and print a table."""
    measures = networks(working_backends(), int(rounds))
    open_console().print(terminal_table("The networks compared with the roofline", measures))


if __name__ == "__main__":
    main(*sys.argv[1:])
