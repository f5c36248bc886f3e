"""Find labels that are contradicted by out-of-fold predictions.

The predicting model has never seen the face, nor another face of the same key. The method is confident
learning (Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels",
section 3.1). A face counts as another label if its out-of-fold probability of that label reaches the label's
threshold. The threshold is the mean probability among the faces that carry the label. Labels that are easily
confused, such as ages near the edge of a band, therefore raise few alarms by themselves.

The models are logistic regressions on the features of a trained classifier. The features of faces that this
classifier was trained on already encode the given label, right or wrong, so most of their wrong labels stay
hidden. The result can be trusted for new data.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gatecam.training.classifier.augment import patch_of, plain_crop
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import UNKNOWN, Progress
from gatecam.types import Floats
from gatecam.vision.crops import CropSpec
from gatecam.vision.network import FaceNetwork

BATCH = 64
FEWEST = 5  # labels with fewer faces are not judged
REGULARIZATION = 0.003  # C of scikit-learn, small because 512 features of a few hundred faces overfit easily
# Measured with 3 % of the labels flipped, on faces that the shipped classifier was not trained on. The check
# found 91 % of the flips for mask (753 ILC faces), and 85 % for gender and 71 % for age band (1,146 UTKFace
# faces). Of its findings, 49, 69 and 24 % were flips. The others were labels that had been wrong or ambiguous
# before.
DOUBT = 0.5


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Describes a doubtful label. Labels are indices in the order of `labels.py`."""

    face: int  # index of the face
    label: int
    predicted: int
    probability: float  # out-of-fold probability of `predicted`
    label_probability: float  # out-of-fold probability of `label`

    @property
    def doubt(self) -> float:
        """Return by how much the prediction is likelier than the label, from -1 to 1."""
        return self.probability - self.label_probability


@torch.inference_mode()
def features_of(network: FaceNetwork, faces: Faces, spec: CropSpec, progress: Progress) -> Floats:
    """Return the backbone's features of every face, (N, F). The crops are those of live operation."""
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(faces), BATCH):
        rows = range(start, min(start + BATCH, len(faces)))
        crops = torch.stack([plain_crop(patch_of(faces, row), spec) for row in rows])
        parts.append(network.backbone(crops.to(device)).float().cpu().numpy())
        progress(rows[-1] + 1, len(faces))
    return np.concatenate(parts)


def contradictions(
    features: Floats, labels: NDArray[np.int64], keys: NDArray[np.str_], folds: int
) -> list[Contradiction]:
    """Return the labels that out-of-fold predictions contradict, the most doubtful first.

    Labels that fewer than `FEWEST` faces carry are not judged.

    Args:
        features: (N, F).
        labels: (N,), -1 if unknown.
        keys: (N,), faces of one key stay in one fold.
        folds: number of folds. Each fold is judged by a model trained on the others.
    """
    counts = np.bincount(labels[labels != UNKNOWN], minlength=1)
    known = np.flatnonzero(np.isin(labels, np.flatnonzero(counts >= FEWEST)))
    folds = min(folds, len(set(keys[known].tolist())))
    if len(set(labels[known].tolist())) < 2 or folds < 2:
        return []
    probabilities = _out_of_fold(features[known], labels[known], keys[known], folds)
    given = labels[known]
    thresholds = np.array(
        [probabilities[given == j, j].mean() if (given == j).any() else np.inf for j in range(len(counts))]
    )
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    predicted = confident.argmax(1)
    rows = np.flatnonzero((confident.max(1) >= 0) & (predicted != given))
    found = [
        Contradiction(
            int(known[row]),
            int(given[row]),
            int(predicted[row]),
            float(probabilities[row, predicted[row]]),
            float(probabilities[row, given[row]]),
        )
        for row in rows
    ]
    return sorted((c for c in found if c.doubt >= DOUBT), key=lambda c: -c.doubt)


def _out_of_fold(
    features: Floats, labels: NDArray[np.int64], keys: NDArray[np.str_], folds: int
) -> NDArray[np.float64]:
    """Return the probabilities (N, labels) of each face, from the model trained without the face's fold."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probabilities = np.zeros((len(labels), labels.max() + 1))
    for rest, held_out in GroupKFold(folds).split(features, labels, keys):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARIZATION, max_iter=200))
        if len(set(labels[rest].tolist())) < 2:
            probabilities[held_out, labels[rest][0]] = 1
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last iterations hardly change ranks
            model.fit(features[rest], labels[rest])
        probabilities[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
    return probabilities
