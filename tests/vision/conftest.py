"""What the tests of `gatecam.vision` share."""

import pytest
import torch
from torch import nn

from gatecam.vision.backbone import MobileFaceNet


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread: None) -> None:
    """Every test of this room."""


@pytest.fixture
@torch.no_grad()
def lively_model() -> MobileFaceNet:
    """A network without a neutral value in it, whose logits differ by about 1 from crop to crop."""
    torch.manual_seed(3)
    model = MobileFaceNet()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
        elif isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.2, 0.6)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    model.eval()
    for name, logits in model(torch.randn(16, 3, 48, 48)).items():
        head, spread = model.heads[name], logits.std(0)
        head.weight /= spread[:, None]
        head.bias.copy_((head.bias - logits.mean(0)) / spread)
    return model
