"""Build backbones, which turn crops into features: our three, or one of torchvision's networks.

MobileFaceNet follows table 1 of Chen et al. 2018 (arXiv 1804.07573). Global average pooling replaces the
global depthwise convolution, so that inputs of any size work.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from gatecam.errors import ModelError
from gatecam.vision import mobilenet, resnet29

MOBILEFACENET, MOBILENET, RESNET29 = "mobilefacenet", "mobilenet_v1", "resnet29"
SUGGESTED = (
    MOBILENET,
    MOBILEFACENET,
    RESNET29,
    "resnet18",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "efficientnet_b0",
)
UNFIT = ("maxvit", "squeezenet", "vit")  # their input size is fixed, or their last layer is not linear
# Without a second output that only training needs, and without initial weights, which take minutes to draw.
BARE = {"aux_logits": False, "init_weights": False}
OPTIONS = {"googlenet": BARE, "inception_v3": BARE}
LAST_LAYERS = ("fc", "classifier", "head")  # torchvision's names for the layers that end in the classes
TRUNKS = ("features", "layers", "trunk_output")  # torchvision's names for modules that contain the layers

# Of MobileFaceNet: expansion, channels, blocks, stride of the first block (table 1)
STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
FEATURES = 512


class ConvUnit(nn.Module):
    """Applies a convolution, batch norm and PReLU."""

    def __init__(self, inp: int, out: int, kernel: int, stride: int, padding: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inp, out, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.prelu = nn.PReLU(out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inp, H, W) to (B, out, H / stride, W / stride)."""
        y: Tensor = self.prelu(self.bn(self.conv(x)))
        return y


class Bottleneck(nn.Module):
    """Expands, convolves 3 × 3 depthwise and projects. Adds its input where the shape stays the same."""

    def __init__(self, inp: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        mid = inp * expansion
        self.residual = stride == 1 and inp == out
        self.conv = nn.Sequential(
            nn.Conv2d(inp, mid, 1, bias=False),
            nn.BatchNorm2d(mid),
            nn.PReLU(mid),
            nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False),
            nn.BatchNorm2d(mid),
            nn.PReLU(mid),
            nn.Conv2d(mid, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inp, H, W) to (B, out, H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """Computes 512 features of a face."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvUnit(3, 64, 3, 2, 1)
        self.dw_conv1 = ConvUnit(64, 64, 3, 1, 1, groups=64)
        blocks, channels = [], 64
        for expansion, out, count, stride in STAGES:
            for i in range(count):
                blocks.append(Bottleneck(channels, out, stride if i == 0 else 1, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvUnit(channels, FEATURES, 1, 1, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized crops (B, 3, S, S) to features (B, 512)."""
        x = self.blocks(self.dw_conv1(self.conv1(x)))
        features: Tensor = self.conv2(x).mean((2, 3))
        return features


def backbone_names() -> list[str]:
    """Return the names that `build_backbone` accepts."""
    import torchvision  # takes a second, and the shipped network does not need it

    known = torchvision.models.list_models(module=torchvision.models)
    return [MOBILENET, MOBILEFACENET, RESNET29, *(name for name in known if not name.startswith(UNFIT))]


def build_backbone(name: str) -> tuple[nn.Module, int]:
    """Build a network from crops (B, 3, S, S) to features (B, F) with random weights. Return it and F.

    A torchvision network loses its last linear layer, and its dropout is off. `FaceNetwork` adds both after
    it.

    Raises:
        ModelError: there is no such network.
    """
    if name == MOBILEFACENET:
        return MobileFaceNet(), FEATURES
    if name == MOBILENET:
        return mobilenet.MobileNet(), mobilenet.FEATURES
    if name == RESNET29:
        return resnet29.ResNet29(), resnet29.FEATURES
    if name not in backbone_names():
        raise ModelError(
            f"{name}: no such backbone; give {', '.join(SUGGESTED)}, or another of torchvision's "
            "classification networks that takes small pictures."
        )
    import torchvision

    network: nn.Module = torchvision.models.get_model(name, weights=None, **OPTIONS.get(name, {}))
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    path, last = _last_linear(network)
    network.set_submodule(path, nn.Identity())
    return network, last.in_features


def _last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """Find the layer that computes the classes of a torchvision network. Return its path and the layer."""
    return [
        (path, module)
        for path, module in network.named_modules()
        if path.split(".")[0] in LAST_LAYERS and isinstance(module, nn.Linear)
    ][-1]


def early_layers(backbone: nn.Module) -> list[nn.Module]:
    """Return the first layers, which fine-tuning may freeze because their weights suit any picture.

    For our networks these are the layers with the highest resolutions, for other networks the first half.
    """
    if isinstance(backbone, mobilenet.MobileNet):
        return [backbone.conv1, backbone.bn1, *backbone.blocks[: mobilenet.EARLY_BLOCKS]]
    if isinstance(backbone, resnet29.ResNet29):
        return [backbone.conv1, backbone.bn1, *backbone.blocks[: resnet29.EARLY_BLOCKS]]
    if isinstance(backbone, MobileFaceNet):
        return [backbone.conv1, backbone.dw_conv1, *backbone.blocks[: STAGES[0][2]]]
    layers: list[nn.Module] = []
    for name, child in backbone.named_children():
        layers.extend(child if name in TRUNKS and isinstance(child, nn.Sequential) else [child])
    return layers[: len(layers) // 2]


def match_norms(network: nn.Module, crops: Tensor) -> None:
    """Set the statistics of every batch norm to those of crops (B, 3, S, S), without changing the outputs.

    Training normalizes with the statistics of its batches. Where these differ from the stored ones, a network
    that is trained further would begin with other outputs than those it was trained for.
    """

    def match(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_(scale * (mean - norm.running_mean))
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(match) for norm in norms]
    network.eval()
    with torch.no_grad():
        network(crops)
    for hook in hooks:
        hook.remove()


def fold_batch_norms(backbone: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, in place. The result is for inference only.

    The traced graph shows which norm follows which convolution. Folded norms become identities, so that the
    modules keep their paths.
    """
    modules = dict(backbone.named_modules())
    for node in fx.Tracer().trace(backbone).nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        before = node.args[0]
        conv = modules.get(str(before.target)) if before.op == "call_module" else None
        if isinstance(conv, nn.Conv2d) and len(before.users) == 1:
            backbone.set_submodule(str(before.target), nn.utils.fusion.fuse_conv_bn_eval(conv, norm))
            backbone.set_submodule(str(node.target), nn.Identity())
