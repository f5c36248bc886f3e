"""The network: its heads, folding, what is saved of it and what it starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gatecam.errors import ModelError
from gatecam.labels import class_id, class_parts
from gatecam.vision.backbone import early_layers, fold_batch_norms
from gatecam.vision.network import (
    HEADS,
    FaceNetwork,
    build_from_spec,
    build_network,
    load_start,
    served_weights,
)


@pytest.fixture
def save(tmp_path):
    """Saves tensors and returns the file."""

    def to_file(tensors: dict[str, Tensor]) -> Path:
        path = tmp_path / "start.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        return path

    return to_file


def shapes(logits: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values.shape) for name, values in logits.items()}


@pytest.mark.parametrize("size", [96, 112, 128])
@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_logits_have_a_row_a_face_whatever_the_size(size, batch):
    network = build_network("mobilefacenet", "three").eval()
    expected = {"mask": (batch, 3), "gender": (batch, 2), "age": (batch, 3)}
    assert shapes(network(torch.randn(batch, 3, size, size))) == expected


@torch.no_grad()
def test_the_three_heads_of_joint18_are_the_marginals_of_its_classes(make_lively):
    logits = make_lively("mobilefacenet/joint18")(torch.randn(4, 3, 48, 48))
    assert shapes(logits) == {"joint": (4, 18), "mask": (4, 3), "gender": (4, 2), "age": (4, 3)}
    joint = logits["joint"].softmax(1)
    for position, name in enumerate(HEADS):
        expected = torch.zeros(4, HEADS[name])
        for number in range(18):
            expected[:, class_parts(number)[position]] += joint[:, number]
        assert torch.allclose(logits[name].softmax(1), expected, atol=1e-5)


@torch.no_grad()
def test_a_class_of_joint18_has_the_number_that_labels_gives_it():
    network = build_network("mobilefacenet", "joint18").eval()
    network.heads["joint"].weight.zero_()
    network.heads["joint"].bias[class_id(1, 0, 2)] = 9
    logits = network(torch.randn(1, 3, 48, 48))
    assert [int(logits[name].argmax()) for name in HEADS] == [1, 0, 2]


def test_a_new_head_begins_as_in_the_notebook():
    head = build_network("mobilefacenet", "joint18").heads["joint"].requires_grad_(False)
    bound = (6 / (512 + 18)) ** 0.5  # Xavier, uniform
    assert float(head.weight.abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(head.weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert torch.equal(head.bias, torch.full((18,), 0.01))


@torch.no_grad()
def test_dropout_varies_the_logits_in_training_alone():
    network = build_network("mobilefacenet", "three", dropout=0.5)
    network.backbone.eval()
    crops = torch.randn(1, 3, 48, 48)
    assert not torch.equal(network(crops)["mask"], network(crops)["mask"])
    network.eval()
    assert torch.equal(network(crops)["mask"], network(crops)["mask"])


@pytest.mark.parametrize("architecture", ["mobilefacenet/three", "resnet18/joint18"])
def test_a_network_is_built_again_from_what_its_spec_says(architecture):
    assert build_from_spec(architecture).architecture == architecture


@pytest.mark.parametrize(
    "architecture", ["mobilefacenet/four", "mobilefacenet-gap-3heads", "mobilefacenet", ""]
)
def test_other_heads_are_one_sentence(architecture):
    with pytest.raises(ModelError, match=r"^.*: no such heads; give three or joint18\.$"):
        build_from_spec(architecture)


@pytest.mark.parametrize("backbone", ["mobilefacenet", "resnet18", "mobilenet_v3_large", "regnet_x_400mf"])
@torch.no_grad()
def test_folding_the_batch_norms_leaves_the_logits(make_lively, backbone):
    network = make_lively(f"{backbone}/joint18")
    crops = torch.randn(4, 3, 64, 64)
    before = network(crops)
    fold_batch_norms(network.backbone)
    after = network(crops)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    for name in before:
        spread = float((before[name] - before[name].mean(0)).abs().max())
        assert spread > 0.1
        assert torch.allclose(after[name], before[name], atol=1e-4 * max(1, spread))


@torch.no_grad()
def test_a_batch_norm_before_its_convolution_stays_as_it_was(make_lively):
    network = make_lively("densenet121/three")
    crops = torch.randn(2, 3, 64, 64)
    before = network(crops)["mask"]
    fold_batch_norms(network.backbone)
    after = network(crops)["mask"]
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert any(isinstance(module, nn.Identity) for module in network.backbone.features.denseblock1.modules())
    assert torch.allclose(after, before, atol=1e-4 * float(before.abs().max()))


@torch.no_grad()
def test_the_logits_of_a_face_do_not_depend_on_its_batch(lively_network):
    crops = torch.randn(5, 3, 112, 112)
    together = lively_network(crops)["mask"]
    alone = torch.cat([lively_network(crop[None])["mask"] for crop in crops])
    spread = float((together - together.mean(0)).abs().max())
    assert spread > 0.1
    assert torch.allclose(together, alone, atol=1e-3 * spread)


@pytest.mark.parametrize(
    ("backbone", "early", "late"),
    [
        ("mobilefacenet", "blocks.4.conv.7.weight", "blocks.5.conv.0.weight"),
        ("resnet18", "layer1.1.conv2.weight", "layer2.0.conv1.weight"),
        ("mobilenet_v3_large", "features.8.block.0.0.weight", "features.9.block.0.0.weight"),
        ("regnet_x_400mf", "trunk_output.block1.block1-0.f.c.0.weight", "trunk_output.block3"),
    ],
)
def test_the_early_layers_end_in_the_middle_of_the_backbone(backbone, early, late):
    network = build_network(backbone, "three")
    early_parts = {
        id(parameter) for layer in early_layers(network.backbone) for parameter in layer.parameters()
    }
    inside = [id(parameter) in early_parts for parameter in network.backbone.parameters()]
    names = [name for name, _ in network.backbone.named_parameters()]
    last = sum(inside) - 1
    assert inside == sorted(inside, reverse=True)
    assert names.index(early) <= last
    assert names[last + 1].startswith(late)


def test_a_head_of_training_alone_gives_logits_and_is_not_saved():
    network = build_network("mobilefacenet", "three")
    served = set(network.state_dict())
    network.heads["years"] = nn.Linear(512, 5)
    assert network.eval()(torch.randn(1, 3, 48, 48))["years"].shape == (1, 5)
    assert set(served_weights(network)) == served
    build_from_spec(network.architecture).load_state_dict(served_weights(network))


def test_kernels_are_saved_with_16_bits_and_norms_with_32():
    tensors = served_weights(build_network("mobilefacenet", "three"))
    types = {tensor.dtype for tensor in tensors.values() if tensor.dim() > 1}
    assert types == {torch.float16}
    assert tensors["backbone.conv1.bn.running_var"].dtype == torch.float32


def same_backbone(one: FaceNetwork, other: FaceNetwork) -> bool:
    pairs = zip(one.backbone.state_dict().values(), other.backbone.state_dict().values(), strict=True)
    return all(torch.allclose(a, b, atol=1e-4, rtol=1e-3) for a, b in pairs)  # kernels are saved with 16 bits


def test_a_start_with_our_weights_brings_backbone_and_heads(save):
    old, new = (build_network("mobilefacenet", "three") for _ in range(2))
    assert load_start(new, save(served_weights(old))) == []
    assert same_backbone(old, new)
    assert torch.allclose(new.heads["age"].weight, old.heads["age"].weight, atol=1e-4, rtol=1e-3)


def test_a_start_with_other_heads_brings_the_backbone_alone(save):
    old, new = build_network("mobilefacenet", "three"), build_network("mobilefacenet", "joint18")
    assert load_start(new, save(served_weights(old))) == ["heads.joint.weight", "heads.joint.bias"]
    assert same_backbone(old, new)


@pytest.mark.parametrize("backbone", ["mobilefacenet", "resnet18"])
def test_a_start_with_a_bare_backbone_leaves_its_own_last_layers_out(save, backbone):
    old, new = (build_network(backbone, "three") for _ in range(2))
    bare = {
        **old.backbone.state_dict(),
        "fc.weight": torch.zeros(1000, 512),
        "linear7.bn.bias": torch.zeros(4),
    }
    assert {name.split(".")[0] for name in load_start(new, save(bare))} == {"heads"}
    assert same_backbone(old, new)


def test_a_start_from_a_bad_file_is_one_sentence(save, tmp_path):
    network = build_network("mobilefacenet", "three")
    broken = tmp_path / "broken.safetensors"
    broken.write_text("no tensors")
    others = served_weights(build_network("densenet121", "joint18"))
    shaped = {**served_weights(network), "backbone.conv2.conv.weight": torch.zeros(2)}
    lacking = {name: tensor for name, tensor in served_weights(network).items() if "conv2" not in name}
    for path, said in (
        (tmp_path / "missing.safetensors", "cannot be read as safetensors"),
        (broken, "cannot be read as safetensors"),
        (save(shaped), "other shapes than those of mobilefacenet/three"),
    ):
        with pytest.raises(ModelError, match=rf"^{path}: .*{said}[^\n]*\.$"):
            load_start(network, path)
    said = r"not the weights of mobilefacenet/three, backbone\.\S+ is missing"
    for tensors in (others, lacking):
        with pytest.raises(ModelError, match=said):
            load_start(network, save(tensors))


@pytest.mark.data
def test_the_shared_weights_fit_the_backbone(shared_data):
    network = build_network("mobilefacenet", "three")
    missing = load_start(network, shared_data / "weights" / "mobilefacenet_casia.safetensors")
    assert {name.split(".")[0] for name in missing} == {"heads"}
