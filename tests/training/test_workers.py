"""Sharing a batch: what each process computes is its part of what one would.

That two real processes end with one's weights is tested with the command line.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from gatecam.errors import DataError
from gatecam.training import workers as module
from gatecam.training.classifier.losses import Batch
from gatecam.training.workers import Rows, WholeBatchDropout, WholeBatchNorm, Workers
from gatecam.vision.network import build_network


def batch_of(rows: int, share: float) -> Batch:
    return Batch(torch.zeros(rows, 3, 1, 1), {}, torch.ones(rows), share)


def test_dropout_keeps_the_mean_and_drops_its_part():
    dropout = WholeBatchDropout(0.25, Rows(0, 400))
    dropped = dropout(torch.ones(400, 50))
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert torch.equal(dropout.eval()(torch.ones(4, 5)), torch.ones(4, 5))


@pytest.mark.parametrize("whole", [False, True])
def test_processes_drop_what_one_would(whole):
    x = torch.randn(7, 6, 2, 2)
    torch.manual_seed(5)
    expected = WholeBatchDropout(0.5, Rows(0, 7), whole)(x)
    parts = []
    for rank, rows in enumerate((4, 3)):
        workers = Workers(rank, 2)
        workers.begin(batch_of(rows, 3.5))
        torch.manual_seed(5)
        parts.append(WholeBatchDropout(0.5, workers._rows, whole)(x[workers._rows.start :][:rows]))
    assert torch.equal(torch.cat(parts), expected)


def test_stochastic_depth_drops_rows_as_a_whole():
    dropped = WholeBatchDropout(0.5, Rows(0, 40), whole=True)(torch.ones(40, 3, 2, 2))
    of_rows = dropped.flatten(1).unique(dim=1)
    assert of_rows.shape == (40, 1)
    assert {0.0, 2.0} == set(of_rows.flatten().tolist())


def test_nothing_random_of_a_network_is_left_to_each_process():
    net = build_network("efficientnet_b0", "three", dropout=0.3)
    assert any(isinstance(part, StochasticDepth) and part.p > 0 for part in net.modules())
    assert Workers().share(net) is net
    assert not any(isinstance(part, nn.Dropout | StochasticDepth) for part in net.modules())
    kinds = [part for part in net.modules() if isinstance(part, WholeBatchDropout)]
    assert net.dropout.p == 0.3
    assert len(kinds) > 10


def test_a_shared_batch_norm_is_torchs_where_one_process_has_all_rows(monkeypatch):
    monkeypatch.setattr(module, "_summed", lambda values: values)
    monkeypatch.setattr(module.dist, "all_reduce", lambda values: None)
    ours, theirs = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    module._share_batch_norms(nn.Sequential(ours))
    assert isinstance(ours, WholeBatchNorm)
    inputs = [torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(1)) * 3 + 2 for _ in range(2)]
    for x in inputs:
        x.requires_grad_()
    outputs = [norm(x) for norm, x in zip((ours, theirs), inputs, strict=True)]
    for y in outputs:
        (y**3).sum().backward()
    assert torch.allclose(*outputs, atol=1e-5)
    assert torch.allclose(inputs[0].grad, inputs[1].grad, atol=1e-3)
    assert torch.allclose(ours.weight.grad, theirs.weight.grad, rtol=1e-4)
    for name, value in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name], value, atol=1e-5), name
    assert torch.allclose(ours.eval()(inputs[0]), theirs.eval()(inputs[1]), atol=1e-5)


def test_a_process_alone_is_the_first_and_needs_no_group(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    workers = Workers.joined()
    assert (workers.first, workers.world) == (True, 1)
    assert workers.means(torch.tensor(3.0), 1.0) == [3.0, 1.0]
    assert workers.from_first(lambda: "found") == "found"
    workers.wait()
    with pytest.raises(RuntimeError, match="ours"), workers.together():
        raise RuntimeError("ours")


def test_the_loss_of_another_process_is_one_sentence(monkeypatch):
    ended = []
    monkeypatch.setattr(module.dist, "destroy_process_group", lambda: ended.append(True))
    told = r"^process 1 of 2 cannot go on \(reset by peer\)\. [^\n]*\.$"
    with pytest.raises(DataError, match=told), Workers(1, 2).together():
        raise RuntimeError("reset by peer\nand much more")
    assert ended


def test_a_group_that_cannot_be_joined_is_one_sentence(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError, match=r"^the torchrun processes cannot reach each other[^\n]*\.$"):
        Workers.joined()
