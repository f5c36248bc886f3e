"""Call torchvision's box operators without importing all of torchvision, which takes a second.

Its Python part imports torch's compiler, which serving never uses. The operators are in a library that torch
can load directly. Where that library is not found, torchvision is imported whole.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Apply non-maximum suppression at `iou` to boxes (N, 4). Return the rows kept, (K,) int64."""
    kept: Tensor = torch.ops.torchvision.nms(boxes, scores, iou)
    return kept


def roi_align(pixels: Tensor, squares: Tensor, size: int, samples: int) -> Tensor:
    """Cut squares (N, 4) from pixels (1, C, H, W) and resize them: (N, C, size, size).

    Each pixel is the mean of samples² bilinear samples (He et al. 2017, section 3). Corners are in pixels,
    and the centre of the first pixel is at 0.5.
    """
    rows = torch.cat([squares.new_zeros(len(squares), 1), squares], 1)
    crops: Tensor = torch.ops.torchvision.roi_align(pixels, rows, 1.0, size, size, samples, True)
    return crops


def load_operators() -> None:
    """Load the two operators into torch.

    Raises:
        ImportError, RuntimeError: torchvision is missing, or does not fit torch.
    """
    spec = importlib.util.find_spec("torchvision")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    try:
        for library in sorted(folder.glob("_C*.so")):
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
        torch.ops.torchvision.nms, torch.ops.torchvision.roi_align  # noqa: B018
    except (OSError, RuntimeError, AttributeError):
        import torchvision  # noqa: F401


load_operators()
