"""The network: shapes, folding, and that the shared weights fit its backbone."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.vision.backbone import HEADS, MobileFaceNet, fold_batch_norms


def test_the_heads_are_as_wide_as_their_labels():
    labels = {"mask": MASK_LABELS, "gender": GENDER_LABELS, "age": AGE_LABELS}
    assert {name: len(values) for name, values in labels.items()} == HEADS


@pytest.mark.parametrize("size", [96, 112, 128])
@pytest.mark.parametrize("batch", [1, 3])
def test_logits_have_a_row_a_face_whatever_the_size(size, batch):
    logits = MobileFaceNet().eval()(torch.randn(batch, 3, size, size))
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        "mask": (batch, 3),
        "gender": (batch, 2),
        "age": (batch, 3),
    }


@torch.no_grad()
def test_folding_the_batch_norms_leaves_the_logits(lively_model):
    crops = torch.randn(4, 3, 112, 112)
    before = lively_model(crops)
    folded = fold_batch_norms(lively_model)
    after = folded(crops)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    for name in HEADS:
        spread = float((before[name] - before[name].mean(0)).abs().max())
        assert spread > 0.1
        assert torch.allclose(after[name], before[name], atol=1e-3 * spread)


@torch.no_grad()
def test_the_logits_of_a_face_do_not_depend_on_its_batch(lively_model):
    crops = torch.randn(5, 3, 112, 112)
    together = lively_model(crops)["mask"]
    alone = torch.cat([lively_model(crop[None])["mask"] for crop in crops])
    spread = float((together - together.mean(0)).abs().max())
    assert spread > 0.1
    assert torch.allclose(together, alone, atol=1e-3 * spread)


@pytest.mark.data
def test_the_shared_weights_fit_the_backbone(shared_data):
    tensors = load_file(shared_data / "weights" / "mobilefacenet_casia.safetensors")
    missing, unexpected = MobileFaceNet().load_state_dict(tensors, strict=False)
    assert {name.split(".")[0] for name in missing} == {"heads"}
    assert {name.split(".")[0] for name in unexpected} == {"linear7", "linear1"}
