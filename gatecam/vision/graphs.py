"""The networks as a GPU runs them fastest: half precision, channels last, a CUDA graph for each batch size.

A graph replays all kernels of a network by one call; without it the CPU needs longer to start the kernels of
a small network than the GPU to run them. A graph's shapes are fixed, so a batch is filled up to the next of
a few sizes; what stands in the filler is never looked at.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Outputs = tuple[Tensor, ...]
Capture = Callable[[nn.Module, Tensor], tuple[Callable[[], object], Outputs]]

CROP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
FRAME_SIZES = (1, 2, 4, 8, 16, 32)
GRAPHS_KEPT = 24  # of a network; each holds the memory of its batch
WARM_UPS = 3  # calls in which cuDNN picks its algorithms, outside of the graph

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    """One batch size: what is to be looked at is copied into `pixels`, `play` fills `outputs`."""

    pixels: Tensor
    play: Callable[[], object]
    outputs: Outputs


class GraphedNetwork:
    """A network of (n, 3, h, w) that gives a tuple of tensors; called as the module is, by one thread.

    Args:
        network: with weights, on the device.
        sizes: of batches, growing; a larger one is split.
        capture: makes a graph of a network and its input.
        precision: of weights and activations; outputs are float32.
    """

    def __init__(
        self,
        network: nn.Module,
        sizes: Sequence[int],
        capture: Capture | None = None,
        precision: torch.dtype = torch.float16,
    ) -> None:
        self._network = deepcopy(network).eval().to(precision).to(memory_format=torch.channels_last)
        self._sizes, self._precision = tuple(sizes), precision
        self._capture = capture or captured
        self._graphs: OrderedDict[tuple[int, ...], _Graph] = OrderedDict()

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Outputs:
        """The network's outputs; new tensors, which the next call leaves alone."""
        if not len(pixels):
            return tuple(
                each[:0].float() for each in self._graph((self._sizes[0], *pixels.shape[1:]), pixels).outputs
            )
        parts = [self._play(part) for part in torch.split(pixels, self._sizes[-1])]
        return parts[0] if len(parts) == 1 else tuple(torch.cat(each) for each in zip(*parts, strict=True))

    def _play(self, pixels: Tensor) -> Outputs:
        count = len(pixels)
        graph = self._graph((filled_up(count, self._sizes), *pixels.shape[1:]), pixels)
        graph.pixels[:count].copy_(pixels)
        graph.play()
        return tuple(each[:count].to(torch.float32, copy=True) for each in graph.outputs)

    def _graph(self, shape: tuple[int, ...], like: Tensor) -> _Graph:
        graph = self._graphs.get(shape)
        if graph is None:
            pixels = torch.zeros(shape, dtype=self._precision, device=like.device)
            pixels = pixels.to(memory_format=torch.channels_last)
            graph = self._graphs[shape] = _Graph(pixels, *self._capture(self._network, pixels))
            if len(self._graphs) > GRAPHS_KEPT:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(shape)
        return graph


def filled_up(count: int, sizes: Sequence[int]) -> int:
    """The smallest of some growing sizes that holds `count`.

    Raises:
        ValueError: none does.
    """
    for size in sizes:
        if count <= size:
            return size
    raise ValueError(f"count: expected at most {sizes[-1]}, got {count}")


def captured(network: nn.Module, pixels: Tensor) -> tuple[Callable[[], object], Outputs]:
    """A CUDA graph of a network's call (CUDA C++ Programming Guide, "CUDA Graphs"); without one, the call."""
    try:
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        graph = torch.cuda.CUDAGraph()
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            with torch.cuda.stream(beside):
                for _ in range(WARM_UPS):
                    network(pixels)
            torch.cuda.current_stream().wait_stream(beside)
            # by default a call of any thread, such as one that decodes by NVDEC, may break the capture
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                outputs = network(pixels)
    except RuntimeError as error:
        log.warning("A CUDA graph failed (%s): the network runs without.", str(error).splitlines()[0][:200])
        return called(network, pixels)
    return graph.replay, tuple(outputs)


def called(network: nn.Module, pixels: Tensor) -> tuple[Callable[[], object], Outputs]:
    """The same without a graph: kernel after kernel."""
    outputs = tuple(network(pixels))

    def play() -> None:
        for old, new in zip(outputs, network(pixels), strict=True):
            old.copy_(new)

    return play, outputs
