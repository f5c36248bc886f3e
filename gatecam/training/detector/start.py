"""Start training from shipped weights, whose batch norms are folded, and mix them into the result."""

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


@torch.no_grad()
def mix(network: nn.Module, start: nn.Module, share: float) -> None:
    """Move a network's weights towards those that its training started from, in place.

    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", section 3 (arXiv 2109.01903).

    Args:
        network: a folded network.
        start: the same network before the training, folded.
        share: of the start in the result, from 0 to 1.
    """
    own = network.state_dict()
    for name, tensor in start.state_dict().items():
        own[name].lerp_(tensor.to(own[name].device), share)


def _fit(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
    """Make a norm add only its bias to these inputs (B, C, H, W)."""
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.add_(mean)
