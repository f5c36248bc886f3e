"""What `gatecam evaluate-detector` finds out, as values: a report for each detector, and their speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from gatecam.settings.config import DetectorConfig
from gatecam.training.scores.detector_score import DetectorScore, Rate, rate
from gatecam.training.scores.detector_speed import Speed
from gatecam.training.scores.landmarks import LandmarkScore
from gatecam.training.scores.matching import Match
from gatecam.vision.detector.build import STOCK, Detector, build_detector
from gatecam.vision.device import pick_backend

# Low enough that stock ends at a precision of a third; lower ones cost minutes and find hardly a face more.
LOWERED = {"pnet_threshold": 0.4, "rnet_threshold": 0.3, "onet_threshold": 0.1}


@dataclass(frozen=True, slots=True, eq=False)
class Contestants:
    """The detector to evaluate and the stock weights, by name: at usual thresholds and at lowered ones."""

    usual: Mapping[str, Detector]
    lowered: Mapping[str, Detector]
    device: torch.device


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """What a detector finds where there is no face."""

    detections: int
    pictures: Rate  # those with a detection, of all


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """All that is known of one detector."""

    weights: str
    sha256: str  # "" for the weights that come with facenet-pytorch
    score: DetectorScore
    false_alarms: FalseAlarms | None
    landmarks: dict[str, LandmarkScore]  # by mask state; empty where none were asked for


@dataclass(frozen=True, slots=True)
class DetectorEvaluation:
    """What was asked for, and what was found out."""

    parameters: dict[str, object]  # of the command line
    thresholds: dict[str, float]  # of P-, R- and O-Net, at which recall and precision are stated
    lowered_thresholds: dict[str, float]  # at which the curve and the average precision are
    detectors: list[DetectorReport]  # the one that is evaluated, then the stock weights
    speed: list[Speed]  # by size of frame

    def as_json(self) -> dict[str, object]:
        """Plain values, keyed as the dataclasses of this module and of `detection_score` and its neighbours.

        `detectors[0]` is the detector that was evaluated; `detectors[1]`, unless that was `stock`, is stock:

        - `score.recall` by `all`, mask state and size, `score.precision` by `all` and size: each with
          `count`, `of`, `share` and its 95 % `interval`. Sizes are of a box's shorter side, in px.
        - `score.average_precision` with its interval, and `score.curve`: lists `score`, `recall`,
          `precision`, one entry a found face, best score first.
        - `false_alarms`, null without `--empty`; `landmarks` by mask state, empty without `--landmarks`.

        `speed[i].ms` and `speed[i].times_as_fast` are by detector; the latter is against the library.
        """
        return asdict(self)


def names_of(weights: str) -> dict[str, str]:
    """The setting `weights` of each detector that is compared, by the name it is told by."""
    path = Path(weights)
    name = path.stem if path.suffix == ".safetensors" and path.stem != STOCK else weights
    return {name: weights, STOCK: STOCK}


def contestants(weights: str, min_face_px: int) -> Contestants:
    """The detector of some weights and, unless it is that, the one of the stock weights.

    Raises:
        ModelError: the weights are missing, changed or of another kind.
    """
    backend = pick_backend("auto")
    usual, lowered = (
        {
            name: build_detector(
                DetectorConfig.model_validate({"weights": of_name, "min_face_px": min_face_px, **changed}),
                backend,
            )
            for name, of_name in names_of(weights).items()
        }
        for changed in ({}, LOWERED)
    )
    return Contestants(usual, lowered, backend.device)


def false_alarms_of(matches: Sequence[Match]) -> FalseAlarms:
    """The false alarms on pictures without a face."""
    alarmed = np.array([bool(m.false) for m in matches])
    return FalseAlarms(
        detections=sum(len(m.false) for m in matches),
        pictures=rate(alarmed, np.ones(len(matches), bool), np.arange(len(matches))),
    )
