"""MobileNet V1: the published file is read as TensorFlow.js means it, and training keeps what it computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gatecam.errors import ModelError
from gatecam.training.classifier.learn import _hasten
from gatecam.vision.backbone import fold_batch_norms, match_norms
from gatecam.vision.mobilenet import MEAN_BGR, MobileNet, read_tensorflow_js
from gatecam.vision.network import build_network, load_start
from tests.published import write_published


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_published(tmp_path_factory.mktemp("published"))


def tensorflow(x: torch.Tensor, values: dict, layers: list) -> torch.Tensor:
    """Compute a batch of one as TensorFlow does: "same" padding, then the factors and offsets."""
    for name, conv, _ in layers:
        deep = name.startswith("conv_dw")
        kernel = values[f"{name}/{'depthwise_kernel' if deep else 'convolution/merged_input'}"]
        weight = torch.from_numpy(kernel.astype(np.float32)).permute((2, 3, 0, 1) if deep else (3, 2, 0, 1))
        stride, side = conv.stride[0], weight.shape[-1]
        total = max((x.shape[-1] // stride - 1) * stride + side - x.shape[-1], 0)
        padding = (total // 2, total - total // 2) * 2
        x = F.conv2d(F.pad(x, padding), weight, stride=stride, groups=x.shape[1] if deep else 1)
        if deep:
            x = x * torch.from_numpy(values[f"{name}_bn/batchnorm_1/mul"].astype(np.float32)).view(
                1, -1, 1, 1
            )
        x = x + torch.from_numpy(values[f"{name}_bn/batchnorm_1/sub"].astype(np.float32)).view(1, -1, 1, 1)
        x = x.clamp(0, 6)
    return x


@torch.no_grad()
def test_the_published_file_gives_what_tensorflow_computes_on_our_crops(published):
    path, values = published
    network = MobileNet().eval()
    network.load_state_dict(read_tensorflow_js(path))
    pixels = torch.randint(0, 256, (1, 3, 64, 64)).float()
    layers = list(MobileNet().layers())
    theirs = tensorflow(pixels.flip(1) - torch.tensor(MEAN_BGR).view(1, 3, 1, 1), values, layers[:1])
    padded = F.pad((pixels - 127.5) / 128, (0, 1, 0, 1))
    ours = F.relu6(network.bn1(network.conv1(padded)))
    # beyond the edges, the padding is another grey
    assert torch.allclose(ours[..., :-1, :-1], theirs[..., :-1, :-1], atol=1e-2)
    assert torch.allclose(network.blocks(ours), tensorflow(ours, values, layers[1:]), atol=1e-3)


def test_a_network_starts_from_the_published_file(published):
    network = build_network("mobilenet_v1", "three")
    assert {name.split(".")[0] for name in load_start(network, published[0])} == {"heads"}
    assert torch.equal(
        network.backbone.blocks[0].pointwise.weight,
        read_tensorflow_js(published[0])["blocks.0.pointwise.weight"],
    )


@pytest.mark.parametrize("spoil", ["cut", "other", "no JSON", "no values"])
def test_another_file_is_one_sentence(published, tmp_path, spoil):
    path = tmp_path / "faceres.json"
    path.write_text({"other": "{}", "no JSON": "faces"}.get(spoil, published[0].read_text()))
    if spoil != "no values":
        path.with_suffix(".bin").write_bytes(published[0].with_suffix(".bin").read_bytes()[:1000])
    with pytest.raises(ModelError, match=rf"^{path}: not the face network of TensorFlow\.js .*\.$"):
        load_start(build_network("mobilenet_v1", "three"), path)


@torch.no_grad()
def test_quick_training_and_folded_norms_compute_the_same():
    network = build_network("mobilenet_v1", "three").eval()
    match_norms(network, torch.randn(2, 3, 128, 128))
    crops = torch.randn(2, 3, 96, 96)
    before = network.backbone(crops)
    _hasten(network)
    strides = {m.stride for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
    assert strides == {(1, 1)}
    assert torch.allclose(network.backbone(crops), before, atol=1e-4)
    fold_batch_norms(network)
    assert torch.allclose(network.backbone(crops), before, atol=1e-3)
