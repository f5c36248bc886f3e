"""torchvision's operators on boxes without the rest of torchvision, which takes a second to import.

Its Python part imports torch's compiler, which serving never uses; the operators themselves lie in a library
that torch can load. Where that is not found, torchvision is imported whole.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Which boxes of (N, 4) stay where each removes the weaker ones it overlaps more: (K,) int64."""
    kept: Tensor = torch.ops.torchvision.nms(boxes, scores, iou)
    return kept


def roi_align(pixels: Tensor, squares: Tensor, size: int, samples: int) -> Tensor:
    """Squares (N, 4) cut from pixels (1, C, H, W): (N, C, size, size).

    Each pixel is the mean of samples² bilinear ones (He et al. 2017, section 3); corners are in pixels, whose
    middles lie at halves.
    """
    rows = torch.cat([squares.new_zeros(len(squares), 1), squares], 1)
    crops: Tensor = torch.ops.torchvision.roi_align(pixels, rows, 1.0, size, size, samples, True)
    return crops


def load_operators() -> None:
    """Have torch know the two.

    Raises:
        ImportError, RuntimeError: torchvision is not there, or does not fit torch.
    """
    spec = importlib.util.find_spec("torchvision")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    try:
        for library in sorted([*folder.glob("_C*.so"), *folder.glob("_C*.pyd")]):
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
        torch.ops.torchvision.nms, torch.ops.torchvision.roi_align  # noqa: B018
    except (OSError, RuntimeError, AttributeError):
        import torchvision  # noqa: F401


load_operators()
