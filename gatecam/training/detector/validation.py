"""Validate a cascade on held-out pictures, network by network, and set its thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gatecam.settings.schema import DEFAULT_FACE_PX, DetectorConfig
from gatecam.training.data.rows import Progress
from gatecam.training.detector.candidates import pairwise_iou
from gatecam.training.detector.mining import BEFORE, Miner
from gatecam.training.detector.scenes import Scene, is_portrait
from gatecam.training.scores.detector_score import precise_score, score_detections
from gatecam.training.scores.matching import SAME_FACE_IOU, Match, Truth, match
from gatecam.types import Floats
from gatecam.vision.detector.cascade import CascadeDetector
from gatecam.vision.detector.networks import Networks
from gatecam.vision.on_torch import cascade_on

KEPT_SHARE = 0.998  # share of the remaining faces that P-Net and R-Net must each keep
LOWEST = {"pnet": 0.02, "rnet": 0.02, "onet": 0.1}  # lower limits of the thresholds
SLACK = 1e-3  # in logits, so that rounding loses no face that is at the threshold


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Holds the pictures that are not used for training."""

    scenes: Sequence[Scene]
    truths: Sequence[Truth]  # one for each scene; faces of `DEFAULT_FACE_PX` and more count


def _config(**changed: float) -> DetectorConfig:
    """Return the default settings with some thresholds changed."""
    return DetectorConfig.model_validate({"min_face_px": DEFAULT_FACE_PX, **changed})


def validate(
    networks: Networks, after: str, held_out: HeldOut, device: torch.device, progress: Progress
) -> dict[str, float]:
    """Score a cascade at its default thresholds.

    Args:
        networks: the cascade.
        after: the network to score. "pnet" and "rnet" are scored by their candidates, "onet" by its faces.
        held_out: the pictures.
        device: where torch runs the networks.
        progress: called with the number of pictures done and in total.

    Returns:
        "recall" for every network. For P-Net and R-Net also "candidates", the mean number per picture. For
        O-Net also "precision" and "average_precision". All at IoU 0.5.
    """
    if after == "onet":
        return _of_faces(networks, held_out, device, progress)
    kept = _best_scores(Miner(_config(), cascade_on(device, networks)), after, held_out, progress)
    found = np.concatenate(kept.scores) > 0
    return {"recall": float(found.mean()), "candidates": kept.candidates / len(held_out.scenes)}


def _of_faces(
    networks: Networks, held_out: HeldOut, device: torch.device, progress: Progress
) -> dict[str, float]:
    total = len(held_out.scenes)
    usual = _matches(networks, _config(), held_out, device, lambda at, _: progress(at, 2 * total))
    lowest = _config(pnet_threshold=0.1, rnet_threshold=0.1, onet_threshold=0.02)
    low = _matches(networks, lowest, held_out, device, lambda at, _: progress(total + at, 2 * total))
    score = score_detections(usual, low, DEFAULT_FACE_PX)
    return {
        "recall": score.recall["all"].share or 0.0,
        "precision": score.precision["all"].share or 0.0,
        "average_precision": score.average_precision or 0.0,
    }


def _matches(
    networks: Networks, config: DetectorConfig, held_out: HeldOut, device: torch.device, progress: Progress
) -> list[Match]:
    detector = CascadeDetector(config, cascade_on(device, networks))
    matches = []
    for scene, truth in zip(held_out.scenes, held_out.truths, strict=True):
        (found,) = detector.detect([scene.image])
        matches.append(match(truth, found, DEFAULT_FACE_PX))
        progress(len(matches), len(held_out.scenes))
    return matches


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Holds how well the candidates cover the faces that count, picture by picture."""

    scores: list[Floats]  # score of each face's best candidate, 0 where it has none
    candidates: int  # of all pictures


def _best_scores(miner: Miner, after: str, held_out: HeldOut, progress: Progress) -> _Kept:
    scores, candidates = [], 0
    for done, (scene, truth) in enumerate(zip(held_out.scenes, held_out.truths, strict=True), 1):
        rows = miner.candidates(scene.image, after)
        boxes = [[f.box.x1, f.box.y1, f.box.x2, f.box.y2] for f in truth.faces]
        overlap = pairwise_iou(np.array(boxes, np.float32).reshape(-1, 4), rows[:, :4]) >= SAME_FACE_IOU
        scores.append(np.where(overlap, rows[:, 4], 0).max(1, initial=0).astype(np.float32))
        candidates += len(rows)
        progress(done, len(held_out.scenes))
    return _Kept(scores, candidates)


def set_operating_point(
    networks: Networks, held_out: HeldOut, device: torch.device, progress: Progress
) -> dict[str, float]:
    """Shift the networks' scores so that the default thresholds become the best ones.

    P-Net's threshold, then R-Net's, is set so that `KEPT_SHARE` of the faces keep a candidate of IoU 0.5.
    Only faces count that the network before kept, and that this network has a candidate for at all. O-Net's
    threshold is the lowest score at which the precision is 0.98, as in evaluation. If there is none, O-Net
    stays unchanged. A network's logit is shifted by its bias, which keeps the order of scores. No threshold
    falls below `LOWEST`.

    Args:
        networks: the cascade, which is changed in place.
        held_out: the pictures that the thresholds are chosen on.
        device: where torch runs the networks.
        progress: called with the number of pictures done and in total.

    Returns:
        The thresholds before the shift, by network.
    """
    total = 4 * len(held_out.scenes)
    done = 0

    def tick(at: int, of: int) -> None:
        nonlocal done
        done += 1
        progress(done, total)

    default = _config()
    usual = {"pnet": default.pnet_threshold, "rnet": default.rnet_threshold, "onet": default.onet_threshold}
    lowered = {name: _config(**{f"{name}_threshold": low}) for name, low in LOWEST.items()}
    before, on_device = {}, cascade_on(device, networks)
    for name in ("pnet", "rnet"):
        scores = np.concatenate(_best_scores(Miner(lowered[name], on_device), name, held_out, tick).scores)
        if name in BEFORE:
            earlier = _best_scores(Miner(default, on_device), BEFORE[name], held_out, tick).scores
            scores = scores[np.concatenate(earlier) > 0]
        before[name] = _kept_threshold(scores, usual[name])
        _shift(networks, name, before[name], usual[name])
    matches = _matches(networks, lowered["onet"], _without_portraits(held_out), device, tick)
    precise = precise_score(matches)
    before["onet"] = usual["onet"] if precise is None else precise
    _shift(networks, "onet", before["onet"], usual["onet"])
    return {name: round(threshold, 4) for name, threshold in before.items()}


def _without_portraits(held_out: HeldOut) -> HeldOut:
    """Leave out small pictures of one face, in which nothing else can be taken for a face."""
    pairs = zip(held_out.scenes, held_out.truths, strict=True)
    kept = [pair for pair in pairs if not is_portrait(pair[0])]
    return HeldOut([scene for scene, _ in kept], [truth for _, truth in kept]) if kept else held_out


def _kept_threshold(scores: Floats, otherwise: float) -> float:
    """Return the score that `KEPT_SHARE` of the scores above 0 reach."""
    found = scores[scores > 0]
    return float(np.quantile(found, 1 - KEPT_SHARE, method="lower")) if len(found) else otherwise


@torch.no_grad()
def _shift(networks: Networks, name: str, threshold: float, wanted: float) -> None:
    """Shift a network's scores so that the score `threshold` becomes `wanted`."""
    bias: Tensor = getattr(networks, name).head.bias
    bias[0] += _logit(wanted) - _logit(min(max(threshold, 1e-6), 1 - 1e-6)) + SLACK


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
