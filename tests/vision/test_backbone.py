"""The backbones: which there are, what they give, and that the shared weights fit MobileFaceNet."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gatecam.errors import ModelError
from gatecam.vision.backbone import SUGGESTED, backbone_names, build_backbone

# one of each way in which torchvision writes the end of a network
FAMILIES = [*SUGGESTED, "densenet121", "googlenet", "mnasnet0_5", "regnet_x_400mf", "shufflenet_v2_x0_5"]


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_a_backbone_gives_as_many_features_as_it_says_whatever_the_size(name):
    backbone, features = build_backbone(name)
    for size in (96, 112):
        assert backbone.train()(torch.randn(2, 3, size, size)).shape == (2, features)


def test_every_suggested_backbone_is_among_the_names():
    assert set(FAMILIES) <= set(backbone_names())


def test_of_a_torchvision_network_the_classes_are_left_out_and_the_hidden_layer_stays():
    backbone, features = build_backbone("mobilenet_v3_small")
    assert features == 1024
    assert [type(layer) for layer in backbone.classifier] == [
        nn.Linear,
        nn.Hardswish,
        nn.Dropout,
        nn.Identity,
    ]


def test_a_torchvision_network_drops_nothing_of_its_own():
    backbone, _ = build_backbone("efficientnet_b0")
    assert [module.p for module in backbone.modules() if isinstance(module, nn.Dropout)] == [0.0]


@pytest.mark.parametrize("name", ["resnet19", "", "fcn_resnet50", "squeezenet1_0", "vit_b_16"])
def test_another_name_is_one_sentence_that_lists_good_ones(name):
    with pytest.raises(ModelError, match=rf"^{name}: no such backbone; give mobilenet_v1, .*resnet18.*\.$"):
        build_backbone(name)
