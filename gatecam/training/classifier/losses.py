"""Compute the loss of a batch from the labels that are known, for each head or for the 18 classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gatecam.labels import CLASS_COUNT, HEADS
from gatecam.training.data.rows import UNKNOWN

FOCAL_GAMMA = 2.0  # Lin et al. 2017, section 4
YEARS_STEP, YEARS_BINS = 5.0, 21  # years in a bin, and the number of bins
YEARS_SPREAD = 4.0  # standard deviation of the bell curve around an age, in years
YEARS_WEIGHT, HINTS_WEIGHT = 0.6, 2.0  # of these losses, relative to a head's


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Holds the crops and labels of one training step.

    Attributes:
        crops: (B, 3, S, S).
        labels: (B,) for each head and for "years". -1 is unknown.
        mask_weights: (B,), how much each mask label counts.
        share: the batch of all processes divided by their number.
        hints: (B, F) what teachers see in the bare faces. NaN is unknown. None without teachers.
    """

    crops: Tensor
    labels: dict[str, Tensor]
    mask_weights: Tensor
    share: float
    hints: Tensor | None = None

    def __len__(self) -> int:
        return len(self.crops)


class HeadsLoss:
    """Computes the loss of a batch. Unknown labels add nothing, but every head stays in the graph."""

    def __init__(self, loss: str, smoothing: float, class_weights: dict[str, Tensor]) -> None:
        self._focal, self._smoothing, self._weights = loss == "focal", smoothing, class_weights

    def __call__(self, logits: dict[str, Tensor], batch: Batch) -> Tensor:
        """Return the sum of the heads' losses, averaged over faces."""
        labels = {name: values.to(batch.crops.device) for name, values in batch.labels.items()}
        trusted = batch.mask_weights.to(batch.crops.device)
        cost = torch.zeros(len(batch), device=batch.crops.device)
        apart = torch.ones_like(cost)
        if "joint" in logits:
            joint = joint_labels(labels)
            cost = cost + trusted * self._head("joint", logits["joint"], joint)
            apart = (joint == UNKNOWN).float()  # faces without all three labels train the marginals
        for name in HEADS:
            weight = trusted if name == "mask" else torch.ones_like(trusted)
            cost = cost + apart * weight * self._head(name, logits[name], labels[name])
        if "years" in logits:
            cost = cost + YEARS_WEIGHT * years_loss(logits["years"], labels["years"])
        if batch.hints is not None:
            cost = cost + HINTS_WEIGHT * hints_loss(logits["hints"], batch.hints.to(batch.crops.device))
        return cost.sum() / batch.share

    def _head(self, name: str, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the smoothed cross-entropy (B,) or the focal loss of a head.

        Smoothing is from Szegedy et al. 2016, the focal loss is equation 5 of Lin et al. 2017.
        """
        known = (labels != UNKNOWN).float()
        target = labels.clamp(min=0)
        weight = self._weights.get(name)
        losses = F.cross_entropy(
            logits,
            target,
            weight=None if weight is None else weight.to(logits.device),
            label_smoothing=self._smoothing,
            reduction="none",
        )
        if self._focal:
            right = logits.softmax(1).gather(1, target[:, None])[:, 0]
            losses = losses * (1 - right) ** FOCAL_GAMMA
        return losses * known


def joint_labels(labels: dict[str, Tensor]) -> Tensor:
    """Return the class 0 to 17 of each face (B,), -1 where a label is unknown."""
    known = torch.stack([labels[name] != UNKNOWN for name in HEADS]).all(0)
    return torch.where(known, 6 * labels["mask"] + 3 * labels["gender"] + labels["age"], UNKNOWN)


def years_loss(logits: Tensor, years: Tensor) -> Tensor:
    """Return the cross-entropy (B,) against a bell curve around each age (Geng et al. 2013, section 3).

    A face of 29 then teaches almost the same as one of 31. The hard edge between two age bands would not
    allow that.
    """
    centres = torch.arange(logits.shape[1], device=logits.device) * YEARS_STEP + YEARS_STEP / 2
    away = (centres[None] - years[:, None].float() - 0.5) / YEARS_SPREAD
    losses = F.cross_entropy(logits, (-0.5 * away**2).softmax(1), reduction="none")
    return losses * (years != UNKNOWN).float()


def hints_loss(found: Tensor, hints: Tensor) -> Tensor:
    """Return the mean squared error (B,) of the features, 0 where they are unknown (Romero et al. 2015)."""
    known = torch.isfinite(hints)
    return ((found - hints.where(known, found)) ** 2).mean(1)


def inverse_frequencies(labels: dict[str, NDArray[np.int64]]) -> dict[str, Tensor]:
    """Return a weight for each label of each head and class, inverse to its frequency.

    The weights average 1 over faces. A label that does not occur is weighted as if it occurred once.
    """
    tensors = {name: torch.from_numpy(np.asarray(values)) for name, values in labels.items()}
    weights = {name: _weights(tensors[name], count) for name, count in HEADS.items()}
    return {**weights, "joint": _weights(joint_labels(tensors), CLASS_COUNT)}


def _weights(labels: Tensor, count: int) -> Tensor:
    counts = torch.bincount(labels[labels != UNKNOWN], minlength=count).float()
    present = (counts > 0).sum().clamp(min=1)
    return counts.sum() / (counts.clamp(min=1) * present)
