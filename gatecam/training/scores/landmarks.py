"""Measure how far landmarks move when a mask is drawn over them. Cropping and pose depend on them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gatecam.labels import MASK_LABELS
from gatecam.training.data.patches import Portrait, portraits
from gatecam.training.data.rows import BARE, Problem, Progress, Row
from gatecam.training.detector.teachers import Teacher
from gatecam.training.drawing import dress
from gatecam.training.scores.detector_score import Rate, rate
from gatecam.training.scores.matching import BATCH
from gatecam.training.scores.rates import Interval, mean_interval, rounded
from gatecam.types import Detection, Floats, Image
from gatecam.vision.bordered import bordered

FACES = 500  # at most this many faces are used. The error is then known to 0.001 of the eye distance.


@dataclass(frozen=True, slots=True)
class LandmarkScore:
    """Holds how many faces of one mask state are found, and how accurate their landmarks are.

    The error of a face is the mean distance of its five landmarks from those that the stock weights found
    before the mask was drawn. It is divided by the distance between the eyes. `error` is the mean over the
    found faces.
    """

    found: Rate
    error: float | None
    interval: Interval | None
    error_p95: float | None


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Holds a face in one mask state, with the landmarks (5, 2) of the bare face."""

    state: int
    key: str
    image: Image
    landmarks: Floats


def score_landmarks(
    detectors: Mapping[str, Teacher],
    rows: Sequence[Row],
    problems: list[Problem],
    progress: Progress,
) -> dict[str, dict[str, LandmarkScore]]:
    """Score each detector's landmarks on bare faces, without and with drawn masks.

    Args:
        rows: bare faces, one per picture. At most `FACES` of them are chosen at random with a fixed seed.
        problems: pictures that cannot be read are added here.

    Returns:
        The scores by detector and mask state.
    """
    order = np.random.default_rng(0).permutation(len(rows))[:FACES]
    chosen = [rows[i] for i in sorted(order.tolist())]
    errors: dict[str, list[tuple[int, str, float]]] = {name: [] for name in detectors}
    drawn, done = _drawn(portraits(chosen, problems), len(chosen), progress), 0
    while batch := list(islice(drawn, BATCH)):
        images = [face.image for face in batch]
        for name, detector in detectors.items():
            for face, found in zip(batch, detector.detect(images), strict=True):
                errors[name].append((face.state, face.key, _error(face.landmarks, found)))
        done += len(batch)
    return {name: _by_state(of_name) for name, of_name in errors.items()}


def _drawn(faces: Iterator[Portrait], count: int, progress: Progress) -> Iterator[_Drawn]:
    """Yield each face in all mask states. Faces that the stock weights do not find are skipped."""
    for done, face in enumerate(faces, 1):
        progress(done, count)
        if face.landmarks is None:
            continue
        for state in range(len(MASK_LABELS)):
            seed = hashlib.sha256(f"{face.row.key}:{face.row.image.name}:{state}".encode()).digest()
            image = face.image
            if state != BARE:
                image = dress(image, face.landmarks, state, np.random.default_rng(list(seed))).image
            view = bordered(image)  # detection needs surroundings, which a cut-out face lacks
            yield _Drawn(state, face.row.key, view.seen, face.landmarks + view.border)


def _error(true: Floats, detections: Sequence[Detection]) -> float:
    """Return the error of the best detection that contains the face's eyes and mouth, or NaN if none does."""
    eyes, mouth = true[:2].mean(0), true[3:].mean(0)
    for detection in detections:
        box = detection.box
        inside = all(box.x1 < x < box.x2 and box.y1 < y < box.y2 for x, y in (eyes, mouth))
        if inside and detection.landmarks is not None:
            off = np.linalg.norm(detection.landmarks - true, axis=1).mean()
            return float(off / np.linalg.norm(true[1] - true[0]))
    return float("nan")


def _by_state(errors: Sequence[tuple[int, str, float]]) -> dict[str, LandmarkScore]:
    keys = np.unique([key for _, key, _ in errors], return_inverse=True)[1].astype(np.int64)
    states = np.array([state for state, _, _ in errors])
    values = np.array([error for _, _, error in errors])
    return {
        label: _score(values[states == state], keys[states == state])
        for state, label in enumerate(MASK_LABELS)
        if (states == state).any()
    }


def _score(errors: NDArray[np.float64], keys: NDArray[np.int64]) -> LandmarkScore:
    found = np.isfinite(errors)
    share = rate(found, np.ones(len(errors), bool), keys)
    if not found.any():
        return LandmarkScore(share, None, None, None)
    worst = float(np.percentile(errors[found], 95))
    return LandmarkScore(
        share, rounded(errors[found].mean()), mean_interval(errors, found, keys), rounded(worst)
    )
