"""Start training from shipped weights, whose batch norms are folded into the convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def unfold(network: nn.Module, folded: nn.Module, pixels: Tensor) -> None:
    """Load folded weights, which have no batch norms, into a network with batch norms.

    Each norm gets the statistics of its layer on `pixels`, and a scale and shift that undo them. The network
    then gives the same outputs as the folded one.

    Args:
        network: a network with a batch norm after each convolution except the last.
        folded: the same network, folded.
        pixels: (B, 3, H, W), such as the network gets in training.
    """
    given = folded.state_dict()
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            conv, _, place = name.rpartition(".")
            module.bias.copy_(given[f"{conv}.{int(place) - 1}.bias"])
            hooks.append(module.register_forward_pre_hook(_fit))
    own = network.state_dict()
    network.load_state_dict({name: tensor for name, tensor in given.items() if name in own}, strict=False)
    network.eval()(pixels)
    for hook in hooks:
        hook.remove()


def _fit(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
    """Make a norm add only its bias to these inputs (B, C, H, W)."""
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.add_(mean)
