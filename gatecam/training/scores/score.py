"""Score a classifier's heads by F1, precision, recall and calibration, cheaply enough for every epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatecam.errors import DataError
from gatecam.labels import AGE_LABELS, CLASS_COUNT, GENDER_LABELS, HEADS, MASK_LABELS, class_parts
from gatecam.training.classifier.augment import Patch, patch_of, plain_crop
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import HEAD_LABELS, Progress
from gatecam.training.scores.calibration import calibration_error
from gatecam.training.scores.rates import by_label, confusion_by_key, rates_of
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.crops import CropSpec

MIN_FACE_PX = 32  # scores cover faces of at least this size
BATCH = 64
CLASS_LABELS = tuple(
    f"{MASK_LABELS[mask]} {GENDER_LABELS[gender]} {AGE_LABELS[age]}"
    for mask, gender, age in map(class_parts, range(CLASS_COUNT))
)
LABELS = {**HEAD_LABELS, "class": CLASS_LABELS}


@dataclass(frozen=True, slots=True)
class HeadScore:
    """Holds the scores of one head, or of the 18 classes, on N faces.

    A rate is None if there are no faces to compute it from. `macro_f1` is the mean over the labels that are
    true or predicted for a face, as in scikit-learn. `micro_f1` is the accuracy, because each face has one
    label. Rows of `confusion` are true labels and columns are predicted labels.
    """

    head: str
    faces: int
    macro_f1: float
    micro_f1: float
    precision: dict[str, float | None]
    recall: dict[str, float | None]
    f1: dict[str, float | None]
    support: dict[str, int]
    ece: float
    confusion: list[list[int]]


class Served(nn.Module):
    """Computes a classifier's logits on the backend that serves it, so that scores cover its precision."""

    def __init__(self, classifier: FaceClassifier) -> None:
        super().__init__()
        self._classifier = classifier

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Return the logits of crops (n, 3, size, size) by head."""
        logits = self._classifier.logits(crops.permute(0, 2, 3, 1).numpy())
        return {name: torch.from_numpy(values) for name, values in zip(HEADS, logits, strict=True)}


def logits_of(model: nn.Module, faces: Faces, spec: CropSpec, progress: Progress) -> dict[str, Tensor]:
    """Return each head's logits for all faces, (N, labels) float32. The crops are those of live operation.

    Raises:
        DataError: there is no face.
    """
    patches = (patch_of(faces, row) for row in range(len(faces)))
    return logits_of_patches(model, patches, len(faces), spec, progress)


@torch.inference_mode()
def logits_of_patches(
    model: nn.Module,
    patches: Iterable[Patch],
    count: int,
    spec: CropSpec,
    progress: Progress,
) -> dict[str, Tensor]:
    """Return each head's logits like `logits_of`, for an iterable of `count` patches.

    Only one batch of patches is held in memory at a time.

    Raises:
        DataError: there is no face.
    """
    if count == 0:
        raise DataError(
            "there are no held-out faces to score. Add pictures, or split them with another seed."
        )
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    parts: dict[str, list[Tensor]] = {name: [] for name in HEAD_LABELS}
    coming, done = iter(patches), 0
    while batch := list(islice(coming, BATCH)):
        crops = torch.stack([plain_crop(patch, spec) for patch in batch])
        logits = model(crops.to(device, memory_format=torch.channels_last))
        for name, values in parts.items():
            values.append(logits[name].float().cpu())
        done += len(batch)
        progress(done, count)
    return {name: torch.cat(values) for name, values in parts.items()}


def class_logits(logits: Mapping[str, Tensor], temperature: Mapping[str, float]) -> Tensor:
    """Return log-probabilities (N, 18) of the classes, under the assumption that the heads are independent.

    The classes are those of `labels.class_id`.

    Args:
        logits: logits (N, labels) by head.
        temperature: temperature by head.
    """
    mask, gender, age = ((logits[name] / temperature[name]).log_softmax(1) for name in HEAD_LABELS)
    return (mask[:, :, None, None] + gender[:, None, :, None] + age[:, None, None, :]).flatten(1)


def score_head(head: str, logits: Tensor, labels: NDArray[np.int64]) -> HeadScore:
    """Score one head's logits against true labels, for at least one face.

    Args:
        head: a name in `LABELS`.
        logits: (N, labels), divided by the temperature.
        labels: (N,) true labels, all known.
    """
    names = LABELS[head]
    nobody = np.zeros(len(labels), np.str_)
    counts = confusion_by_key(labels, logits.argmax(1).numpy(), len(names), nobody).sum(0)
    rates = rates_of(counts)
    return HeadScore(
        head,
        len(labels),
        round(float(rates.macro_f1), 4),
        round(float(rates.micro_f1), 4),
        by_label(names, rates.precision),
        by_label(names, rates.recall),
        by_label(names, rates.f1),
        {name: int(n) for name, n in zip(names, counts.sum(1), strict=True)},
        round(calibration_error(logits.softmax(1).numpy(), labels), 4),
        counts.astype(int).tolist(),
    )


def scored(faces: Faces) -> Faces:
    """Return the faces that scores cover, which are large enough and have no doubtful label."""
    return faces.take(~faces.suspect & (faces.face_px >= MIN_FACE_PX))
