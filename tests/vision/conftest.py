"""What the tests of `gatecam.vision` share."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gatecam.vision.network import FaceNetwork, build_from_spec

MakeLively = Callable[[str], FaceNetwork]


@pytest.fixture
def make_lively() -> MakeLively:
    """Builds a network without a neutral value in it, whose logits differ by about 1 from crop to crop."""

    @torch.no_grad()
    def build(architecture: str) -> FaceNetwork:
        torch.manual_seed(3)
        network = build_from_spec(architecture)
        for module in network.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
            elif isinstance(module, nn.PReLU):
                nn.init.uniform_(module.weight, -0.2, 0.6)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        network.eval()
        logits = network(torch.randn(16, 3, 48, 48))
        for name, head in network.heads.items():
            spread = logits[name].std(0)
            head.weight /= spread[:, None]
            head.bias.copy_((head.bias - logits[name].mean(0)) / spread)
        return network

    return build


@pytest.fixture
def lively_network(make_lively) -> FaceNetwork:
    """A lively network of the shipped architecture."""
    return make_lively("mobilefacenet/three")
