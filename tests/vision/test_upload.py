"""What goes to the device: small tensors from pinned memory where that is a GPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gatecam.vision.upload import sent


@pytest.mark.parametrize(("kind", "pins"), [("cpu", 0), ("cuda", 1)])
def test_only_what_goes_to_a_gpu_is_pinned_first(monkeypatch, kind, pins):
    """Without a GPU the calls are noted."""
    calls = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: calls.append("pinned") or self)
    monkeypatch.setattr(Tensor, "to", lambda self, device, non_blocking: calls.append(device.type) or self)
    values = torch.tensor([[1, 2], [3, 4]])
    assert sent(values, torch.device(kind)).tolist() == [[1, 2], [3, 4]]
    assert calls == ["pinned"] * pins + [kind]
