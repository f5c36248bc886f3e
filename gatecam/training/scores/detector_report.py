"""Define the results of `gatecam evaluate-detector`: a report for each detector, and their speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from gatecam.settings.schema import DetectorConfig
from gatecam.training.scores.detector_score import DetectorScore, Rate, rate
from gatecam.training.scores.detector_speed import Speed
from gatecam.training.scores.landmarks import LandmarkScore
from gatecam.training.scores.matching import Match
from gatecam.vision.detector.build import STOCK, Detector, build_detector
from gatecam.vision.device import pick_backend

# With these thresholds the precision of the stock weights falls to a third. Lower thresholds would take
# minutes longer and find hardly any more faces.
LOWERED = {"pnet_threshold": 0.4, "rnet_threshold": 0.3, "onet_threshold": 0.1}


@dataclass(frozen=True, slots=True, eq=False)
class Contestants:
    """Holds the detector to evaluate and the stock detector by name, with usual and lowered thresholds."""

    usual: Mapping[str, Detector]
    lowered: Mapping[str, Detector]
    device: torch.device


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Counts the detections of a detector in pictures without a face."""

    detections: int
    pictures: Rate  # share of pictures with a detection


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """Holds all results of one detector."""

    weights: str
    sha256: str  # "" for the stock weights
    score: DetectorScore
    false_alarms: FalseAlarms | None
    landmarks: dict[str, LandmarkScore]  # by mask state, empty unless requested


@dataclass(frozen=True, slots=True)
class DetectorEvaluation:
    """Holds the parameters and the results of an evaluation."""

    parameters: dict[str, object]  # from the command line
    thresholds: dict[str, float]  # of P-, R- and O-Net, used for recall and precision
    lowered_thresholds: dict[str, float]  # used for the curve and the average precision
    detectors: list[DetectorReport]  # the evaluated detector, then the stock detector
    speed: list[Speed]  # by frame size

    def as_json(self) -> dict[str, object]:
        """Return plain values, named like the fields of this module's dataclasses and those they contain.

        `detectors[0]` is the evaluated detector. `detectors[1]` is the stock detector, unless the stock
        detector was evaluated. Each has these values:

        - `score.recall` by `all`, mask state and size, and `score.precision` by `all` and size. Each has
          `count`, `of`, `share` and its 95 % `interval`. The size is a box's shorter side in px.
        - `score.average_precision` with its interval.
        - `score.curve` with the lists `score`, `recall` and `precision`. They have one entry per found face,
          best score first.
        - `false_alarms`, null without `--empty`.
        - `landmarks` by mask state, empty without `--landmarks`.

        `speed[i].ms` and `speed[i].times_as_fast` are by detector. The latter is relative to the library.
        """
        return asdict(self)


def names_of(weights: str) -> dict[str, str]:
    """Return the setting `weights` of each compared detector by its display name."""
    path = Path(weights)
    name = path.stem if path.suffix == ".safetensors" and path.stem != STOCK else weights
    return {name: weights, STOCK: STOCK}


def contestants(weights: str, min_face_px: int) -> Contestants:
    """Build the detector with the given weights, and the stock detector if it is another one.

    Raises:
        ModelError: the weights are missing, were changed, or belong to another kind of model.
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
    """Count the false alarms on pictures without a face."""
    alarmed = np.array([bool(m.false) for m in matches])
    return FalseAlarms(
        detections=sum(len(m.false) for m in matches),
        pictures=rate(alarmed, np.ones(len(matches), bool), np.arange(len(matches))),
    )
