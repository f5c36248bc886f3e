"""Scoring a classifier on held-out faces: F1, accuracy, calibration, by face size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatecam.errors import DataError, MissingExtraError
from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.training.augment import plain_crop
from gatecam.training.data import Faces
from gatecam.training.learn import patch_of
from gatecam.types import Floats
from gatecam.vision.backbone import HEADS
from gatecam.vision.crops import CropSpec

MIN_FACE_PX = 32  # scores are stated for faces of this size and more
BATCH = 64
LABELS = {"mask": MASK_LABELS, "gender": GENDER_LABELS, "age": AGE_LABELS}


@dataclass(frozen=True, slots=True)
class HeadScore:
    """How well one head does on N faces; `confusion` rows are true labels, columns predicted ones."""

    head: str
    faces: int
    macro_f1: float
    accuracy: float
    recall: dict[str, float]
    precision: dict[str, float]
    ece: float
    confusion: list[list[int]]


@torch.inference_mode()
def logits_of(
    model: nn.Module, faces: Faces, spec: CropSpec, progress: Callable[[int, int], None]
) -> dict[str, Tensor]:
    """A head's logits of every face, (N, labels) float32, cropped as serving crops.

    Raises:
        DataError: there is no face.
    """
    if len(faces) == 0:
        raise DataError("no faces are held out to score: add pictures, or split them by another seed.")
    device = next(model.parameters()).device
    parts: dict[str, list[Tensor]] = {name: [] for name in HEADS}
    for start in range(0, len(faces), BATCH):
        rows = range(start, min(start + BATCH, len(faces)))
        crops = torch.stack([plain_crop(patch_of(faces, row), spec) for row in rows])
        logits = model(crops.to(device, memory_format=torch.channels_last))
        for name in HEADS:
            parts[name].append(logits[name].float().cpu())
        progress(rows[-1] + 1, len(faces))
    return {name: torch.cat(values) for name, values in parts.items()}


def score_head(head: str, logits: Tensor, labels: NDArray[np.int64], temperature: float) -> HeadScore:
    """The score of one head's logits (N, labels) against true labels (N,).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score
    except ImportError as error:
        raise MissingExtraError("Scoring a classifier", "train") from error
    probabilities = (logits / temperature).softmax(1).numpy()
    predicted = probabilities.argmax(1)
    names = LABELS[head]
    known = list(range(len(names)))
    options = {"labels": known, "average": None, "zero_division": 0.0}
    recall = recall_score(labels, predicted, **options)
    precision = precision_score(labels, predicted, **options)
    return HeadScore(
        head,
        len(labels),
        round(float(f1_score(labels, predicted, labels=known, average="macro", zero_division=0.0)), 4),
        round(float((predicted == labels).mean()), 4),
        {name: round(float(value), 4) for name, value in zip(names, recall, strict=True)},
        {name: round(float(value), 4) for name, value in zip(names, precision, strict=True)},
        round(calibration_error(probabilities, labels), 4),
        confusion_matrix(labels, predicted, labels=known).tolist(),
    )


def calibration_error(probabilities: Floats, labels: NDArray[np.int64], bins: int = 15) -> float:
    """Expected calibration error of the likeliest label over equal bins (Guo et al. 2017, equation 3).

    Args:
        probabilities: (N, labels).
        labels: (N,) true labels.
        bins: how many, between 0 and 1.
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = which == b
        if inside.any():
            error += inside.mean() * abs(float(right[inside].mean()) - float(confidence[inside].mean()))
    return error


def scored(faces: Faces) -> Faces:
    """The faces that a mask score is stated for: not suspect, and large enough."""
    return faces.take(~faces.suspect & (faces.face_px >= MIN_FACE_PX))
