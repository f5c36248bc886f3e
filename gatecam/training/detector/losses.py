"""Compute the training losses of the cascade's networks (Zhang et al. 2016, section 2.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

from gatecam.training.detector.candidates import Crops
from gatecam.training.detector.windows import Windows

KEPT_SHARE = 0.7  # of a batch's losses, the hardest (section 2.3, online hard sample mining)
NEGATIVES_A_POSITIVE = 3
BOX_WEIGHT, LANDMARK_WEIGHT = 1.0, 1.0


def hardest(losses: Tensor, kept: int) -> Tensor:
    """Return the mean of the `kept` largest losses."""
    kept = min(kept, len(losses))
    return losses.topk(kept).values.mean() if kept else losses.sum() * 0


def window_loss(logits: Tensor, boxes: Tensor, windows: Windows) -> Tensor:
    """Return P-Net's loss over all cells of a batch.

    All faces count, and about three times as many of the hardest other cells.

    Args:
        logits: (B, h, w).
        boxes: (B, 4, h, w).
        windows: the targets.
    """
    each = nnf.binary_cross_entropy_with_logits(logits, windows.faces.clamp(min=0), reduction="none")
    positive, negative = windows.faces == 1, windows.faces == 0
    count = int(positive.sum())
    losses = each[positive].sum() + _hardest_sum(
        each[negative], NEGATIVES_A_POSITIVE * count + 4 * len(logits)
    )
    face = losses / max(1, count)
    got = boxes.permute(0, 2, 3, 1)[positive]
    wanted = windows.boxes.permute(0, 2, 3, 1)[positive]
    return face + BOX_WEIGHT * _box_loss(got, wanted) * bool(count)


def _hardest_sum(losses: Tensor, kept: int) -> Tensor:
    return losses.topk(min(kept, len(losses))).values.sum()


def crop_loss(outputs: tuple[Tensor, ...], crops: Crops) -> Tensor:
    """Return the loss of R-Net or O-Net. Each task counts only where its target is known.

    Args:
        outputs: logits (N,), boxes (N, 4) and for O-Net landmarks (N, 10).
        crops: the targets.
    """
    logits, boxes = outputs[:2]
    known = crops.faces >= 0
    each = nnf.binary_cross_entropy_with_logits(logits[known], crops.faces[known], reduction="none")
    total = hardest(each, round(KEPT_SHARE * len(each)))
    total = total + BOX_WEIGHT * _box_loss(boxes[crops.has_box], crops.boxes[crops.has_box])
    if len(outputs) == 3:
        total = total + LANDMARK_WEIGHT * _landmark_loss(outputs[2], crops)
    return total


def _landmark_loss(landmarks: Tensor, crops: Crops) -> Tensor:
    """Return four times the mean distance of the known landmarks, in parts of the crop's side."""
    got = landmarks[crops.has_landmarks].view(-1, 5, 2)
    if not len(got):
        return landmarks.sum() * 0
    wanted = crops.landmarks[crops.has_landmarks].view(-1, 5, 2)
    return (got - wanted).pow(2).sum(2).add(1e-6).sqrt().mean() * 4


def _box_loss(got: Tensor, wanted: Tensor) -> Tensor:
    """Return 1 - IoU plus a smooth L1 loss of the corners. Boxes here are offsets from one unit square."""
    if not len(got):
        return got.sum() * 0
    square = got.new_tensor([0.0, 0.0, 1.0, 1.0])
    a, b = got + square, wanted + square
    corner, end = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    inside = (end - corner).clamp(min=0).prod(1)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).clamp(min=0).prod(1) for x in (a, b))
    iou = inside / (area_a + area_b - inside).clamp(min=1e-6)
    return (1 - iou).mean() + nnf.smooth_l1_loss(got, wanted, beta=0.1) * 2
