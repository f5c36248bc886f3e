"""Beginning a training with weights that are shipped, whose batch norms are folded into the convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def unfold(network: nn.Module, folded: nn.Module, pixels: Tensor) -> None:
    """Give a network the weights of a folded one, which has no batch norms.

    Each norm gets the statistics that its layer has on `pixels`, and a scale and shift that undo them, so
    that the network says in training what the folded one says.

    Args:
        network: with a batch norm behind each convolution but the last.
        folded: the same, folded.
        pixels: (B, 3, H, W) such as it will be shown.
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
    """Make a norm add its bias to these inputs (B, C, H, W) and do nothing else."""
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.add_(mean)
