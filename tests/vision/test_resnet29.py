"""ResNet-29: dlib's file is read as dlib means it, and norms are matched without changing the outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gatecam.errors import ModelError
from gatecam.vision.backbone import build_backbone, fold_batch_norms, match_norms
from gatecam.vision.network import build_network, load_start
from gatecam.vision.resnet29 import MEAN_RGB, ResNet29, read_dlib


def dlib_integer(value: int) -> bytes:
    length = max(1, (value.bit_length() + 7) // 8)
    return bytes([length]) + value.to_bytes(length, "little")


def dlib_tensor(name: bytes, values: np.ndarray) -> bytes:
    sizes = b"".join(dlib_integer(number) for number in (2, len(values), 1, 1, 1))
    return bytes([len(name)]) + name + sizes + values.astype("<f4").tobytes() + b"\x01\x00"


@pytest.fixture(scope="module")
def dlib_file(tmp_path_factory):
    """A file as dlib writes it, with random values, and these values by layer."""
    rng = np.random.default_rng(0)
    layers, content = [], b"anything before"
    for _, conv, _ in ResNet29().layers():
        fan_in = conv.weight[0].numel()
        weights = rng.normal(0, fan_in**-0.5, conv.weight.numel())
        biases, factors, offsets = rng.normal(0, 0.1, (3, conv.out_channels))
        layers.append((weights.reshape(conv.weight.shape), biases, factors + 1, offsets))
        content += dlib_tensor(b"con_4", np.concatenate([weights, biases]))
        content += dlib_tensor(b"affine_", np.concatenate([factors + 1, offsets]))
    path = tmp_path_factory.mktemp("dlib") / "network.dat"
    path.write_bytes(content)
    return path, layers


def first_layer(pixels: torch.Tensor, layers: list) -> torch.Tensor:
    """Compute dlib's first layer on RGB pixels from 0 to 255."""
    weights, biases, factors, offsets = (torch.from_numpy(values).float() for values in layers[0])
    inputs = (pixels - torch.tensor(MEAN_RGB).view(1, 3, 1, 1)) / 256
    y = F.conv2d(inputs, weights, biases, stride=2)
    return y * factors.view(1, -1, 1, 1) + offsets.view(1, -1, 1, 1)


@torch.no_grad()
def test_the_file_of_dlib_gives_what_dlib_computes_on_our_crops(dlib_file):
    path, layers = dlib_file
    network = ResNet29().eval()
    network.load_state_dict(read_dlib(path))
    pixels = torch.randint(0, 256, (1, 3, 64, 64)).float()
    ours = network.bn1(network.conv1((pixels - 127.5) / 128))
    assert torch.allclose(ours, first_layer(pixels, layers), atol=1e-4)
    for (_, conv, norm), (weights, biases, factors, offsets) in list(
        zip(network.layers(), layers, strict=True)
    )[1:]:
        x = torch.randn(1, conv.in_channels, 5, 5)
        dlib = F.conv2d(x, torch.from_numpy(weights).float(), torch.from_numpy(biases).float(), conv.stride)
        dlib = dlib * torch.from_numpy(factors).float().view(1, -1, 1, 1)
        dlib = dlib + torch.from_numpy(offsets).float().view(1, -1, 1, 1)
        inner = norm(F.conv2d(x, conv.weight, None, conv.stride))
        assert torch.allclose(inner, dlib, atol=1e-4)


def test_a_network_starts_from_the_file_of_dlib(dlib_file):
    network = build_network("resnet29", "three")
    assert {name.split(".")[0] for name in load_start(network, dlib_file[0])} == {"heads"}
    assert torch.equal(
        network.backbone.blocks[0].conv1.weight, read_dlib(dlib_file[0])["blocks.0.conv1.weight"]
    )


@pytest.mark.parametrize("spoil", ["cut", "empty", "missing"])
def test_another_file_is_one_sentence(dlib_file, tmp_path, spoil):
    path = tmp_path / "other.dat"
    if spoil != "missing":
        path.write_bytes(dlib_file[0].read_bytes()[:100_000] if spoil == "cut" else b"")
    with pytest.raises(ModelError, match=rf"^{path}: not dlib's face recognition network .*\.$"):
        load_start(build_network("resnet29", "three"), path)


@pytest.mark.parametrize("name", ["resnet29", "mobilefacenet", "mobilenet_v1"])
@torch.no_grad()
def test_matched_norms_change_nothing_and_training_begins_with_the_same_features(name):
    torch.manual_seed(0)
    network, _ = build_backbone(name)
    crops = torch.randn(4, 3, 112, 112)
    network.train()(torch.randn(4, 3, 112, 112) * 3 + 1)  # statistics of other crops
    before = network.eval()(crops)
    match_norms(network, crops)
    assert torch.allclose(network.eval()(crops), before, atol=1e-4)
    assert torch.allclose(network.train()(crops), before, atol=1e-3)


@torch.no_grad()
def test_folded_norms_compute_the_same():
    network = ResNet29().eval()
    match_norms(network, torch.randn(2, 3, 128, 128))
    crops = torch.randn(2, 3, 144, 144)
    before = network(crops)
    fold_batch_norms(network)
    assert torch.allclose(network(crops), before, atol=1e-3)
