"""Networks in batches of fixed sizes: filled up, split, equal to the module; as CUDA graphs on a GPU."""

from __future__ import annotations

from contextlib import nullcontext
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor, nn

from gatecam.vision.graphs import CROP_SIZES, GRAPHS_KEPT, GraphedNetwork, called, captured, filled_up


class Small(nn.Module):
    """Two outputs, one a picture."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = self.conv(x)
        return out.mean((1, 2, 3)), out


class Counted:
    """A capture without a GPU that notes what it was asked for."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.plays = 0

    def __call__(self, network, pixels):
        self.shapes.append(tuple(pixels.shape))
        play, outputs = called(network, pixels)

        def counted():
            self.plays += 1
            play()

        return counted, outputs


def graphed(sizes=(1, 2, 4, 8), precision=torch.float32) -> tuple[GraphedNetwork, Counted, Small]:
    network, capture = Small().eval(), Counted()
    return GraphedNetwork(network, sizes, capture, precision), capture, network


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 4), (129, 256), (512, 512)])
def test_a_batch_is_filled_up_to_the_next_size(count, size):
    assert filled_up(count, CROP_SIZES) == size


def test_a_batch_that_no_size_holds_is_refused():
    with pytest.raises(ValueError, match="expected at most 512, got 513"):
        filled_up(513, CROP_SIZES)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 21])
def test_any_number_gives_what_the_module_gives(count):
    network, capture, module = graphed()
    pixels = torch.rand(count, 3, 6, 5)
    with torch.inference_mode():
        for one, other in zip(network(pixels), module(pixels), strict=True):
            assert one.dtype == torch.float32
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert capture.plays == -(-count // 8)


def test_a_graph_is_made_once_a_size_and_what_stood_in_it_before_shows_nowhere():
    network, capture, module = graphed()
    for count in (4, 3, 4, 3):
        pixels = torch.rand(count, 3, 6, 5)
        with torch.inference_mode():
            torch.testing.assert_close(network(pixels)[1], module(pixels)[1], rtol=0, atol=1e-6)
    assert capture.shapes == [(4, 3, 6, 5)]


def test_what_was_given_stays_when_the_next_batch_comes():
    network, _, module = graphed()
    first, second = torch.rand(2, 3, 6, 5), torch.rand(2, 3, 6, 5)
    before = network(first)[0]
    network(second)
    with torch.inference_mode():
        torch.testing.assert_close(before, module(first)[0], rtol=0, atol=1e-6)


def test_nothing_gives_nothing():
    found = graphed()[0](torch.rand(0, 3, 6, 5))
    assert [tuple(each.shape) for each in found] == [(0,), (0, 4, 6, 5)]


def test_graphs_of_old_shapes_are_forgotten():
    network, capture, _ = graphed(sizes=(1,))
    for width in range(3, 3 + GRAPHS_KEPT + 1):
        network(torch.rand(1, 3, 4, width))
    network(torch.rand(1, 3, 4, 3 + GRAPHS_KEPT))
    assert len(capture.shapes) == GRAPHS_KEPT + 1
    network(torch.rand(1, 3, 4, 3))
    assert len(capture.shapes) == GRAPHS_KEPT + 2


def test_half_precision_is_near():
    network, _, module = graphed(precision=torch.float16)
    pixels = torch.rand(3, 3, 6, 5)
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels)[1], module(pixels)[1], rtol=0, atol=5e-3)
    assert module.conv.weight.dtype == torch.float32, "the module itself stays as it is"


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU is")
def test_without_graphs_the_network_is_called_and_it_is_told(caplog):
    network = GraphedNetwork(Small().eval(), (2,), captured, torch.float32)
    pixels = torch.rand(2, 3, 6, 5)
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels)[0], Small()(pixels)[0], rtol=0, atol=1e-6)
    assert "A CUDA graph failed" in caplog.text


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_cuda_graphs_give_what_the_module_gives(caplog):
    module = Small().eval().cuda()
    network = GraphedNetwork(module, CROP_SIZES)
    for count in (1, 3, 100, 600):
        pixels = torch.rand(count, 3, 32, 32, device="cuda")
        with torch.inference_mode():
            torch.testing.assert_close(network(pixels)[1], module(pixels)[1], rtol=0, atol=1e-2)
    assert not caplog.records, "no graph failed"


def test_a_capture_is_not_broken_by_what_other_threads_ask_of_the_gpu(monkeypatch):
    """Without a GPU the calls are noted."""
    noted = []

    def graph(_, **options):
        noted.append(options)
        return nullcontext()

    for name in ("Stream", "CUDAGraph", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, MagicMock())
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", graph)
    captured(Small().eval(), torch.zeros(1, 3, 8, 8))
    assert noted == [{"capture_error_mode": "thread_local"}]
