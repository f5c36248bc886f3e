"""Score the held-out faces after each epoch, to choose the best epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from gatecam.errors import DataError
from gatecam.training.classifier.learn import EpochScore
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import HEAD_LABELS, UNKNOWN
from gatecam.training.scores.score import MIN_FACE_PX, HeadScore, logits_of, score_head, scored
from gatecam.vision.crops import CropSpec
from gatecam.vision.network import FaceNetwork

FEWEST = 10  # faces of a label, for it to count in the choice of the epoch


class Validation:
    """Scores a network on held-out faces. Each head is scored on the faces that have a label for it.

    A collection that shows only one mask state is not used for the mask head.

    Raises:
        DataError: no head can be scored.
    """

    def __init__(self, sets: Sequence[Faces], crop: CropSpec) -> None:
        self._sets = [kept for faces in sets if len(kept := scored(faces))]
        self._crop = crop
        several = [len(set(faces.mask.tolist()) - {UNKNOWN}) > 1 for faces in self._sets]
        known = {head: [getattr(faces, head) != UNKNOWN for faces in self._sets] for head in HEAD_LABELS}
        known["mask"] = [rows & tells for rows, tells in zip(known["mask"], several, strict=True)]
        self._known = {head: rows for head, rows in known.items() if any(of_set.any() for of_set in rows)}
        if not self._known:
            raise DataError(
                f"no head can be scored: hold out faces of {MIN_FACE_PX} px or more that show more than one "
                "mask state, or whose gender or age is known."
            )

    def __call__(self, net: FaceNetwork) -> list[EpochScore]:
        """Return each head's macro-F1, over the labels of enough faces, and micro-F1."""
        logits = [logits_of(net, faces, self._crop, lambda done, total: None) for faces in self._sets]
        found = []
        for head, known in self._known.items():
            parts = list(zip(logits, self._sets, known, strict=True))
            joined = torch.cat([of_set[head][torch.from_numpy(rows)] for of_set, _, rows in parts])
            labels = np.concatenate([getattr(faces, head)[rows] for _, faces, rows in parts])
            score = score_head(head, joined, labels)
            found.append(EpochScore(head, _macro_f1(score), score.micro_f1))
        return found


def _macro_f1(score: HeadScore) -> float:
    """Return the mean F1 of the labels that enough faces have, or of all labels if none has enough.

    A label of two faces would otherwise choose the epoch by chance.
    """
    often = [f1 for name, f1 in score.f1.items() if f1 is not None and score.support[name] >= FEWEST]
    return float(np.mean(often)) if often else score.macro_f1
