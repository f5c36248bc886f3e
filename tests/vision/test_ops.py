"""torchvision's operators, loaded without torchvision: the same results, and a second less to start."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torchvision

from gatecam.vision import ops


def test_they_compute_what_torchvision_computes():
    torch.manual_seed(1)
    corner = torch.rand(40, 2) * 50
    boxes, scores = torch.cat([corner, corner + torch.rand(40, 2) * 30], 1), torch.rand(40)
    assert torch.equal(ops.nms(boxes, scores, 0.3), torchvision.ops.nms(boxes, scores, 0.3))
    pixels = torch.rand(1, 3, 60, 70)
    expected = torchvision.ops.roi_align(pixels, [boxes], 9, 1.0, 2, aligned=True)
    assert torch.equal(ops.roi_align(pixels, boxes, 9, 2), expected)


def loaded_by(code: str) -> set[str]:
    """Which of torchvision, and of torch's compiler, a new process has imported after some code."""
    names = "('torchvision', 'torch._dynamo', 'facenet_pytorch')"
    words = [sys.executable, "-c", f"{code}\nimport sys; print(*(n for n in {names} if n in sys.modules))"]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_what_serves_needs_no_more_of_torchvision(device):
    code = (
        "import numpy as np\n"
        "from gatecam.app import build_analyzer\n"
        "from gatecam.settings.schema import Config\n"
        "from gatecam.runtime.telemetry import Telemetry\n"
        f"analyzer = build_analyzer(Config(device={device!r}), Telemetry())\n"
        "analyzer.analyze([np.zeros((90, 160, 3), np.uint8)])\n"
    )
    if device == "openvino":
        pytest.importorskip("openvino")
    assert loaded_by(code) == set()


def test_torchvision_may_be_imported_afterwards():
    code = (
        "import torch\n"
        "from gatecam.vision import ops\n"
        "import torchvision\n"
        "boxes = torch.tensor([[0.0, 0, 2, 2]])\n"
        "assert torchvision.ops.nms(boxes, torch.ones(1), 0.5).tolist() == [0]\n"
    )
    assert "torchvision" in loaded_by(code)


def test_where_the_library_is_not_found_torchvision_is_imported():
    code = (
        "import pathlib\n"
        "pathlib.Path.glob = lambda *given: []\n"
        "import torch\n"
        "from gatecam.vision import ops\n"
        "assert ops.nms(torch.tensor([[0.0, 0, 2, 2]]), torch.ones(1), 0.5).tolist() == [0]\n"
    )
    assert "torchvision" in loaded_by(code)
