"""Define the results of `gatecam evaluate-detector`: a report for each detector, and their speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gatecam.settings.schema import DetectorConfig
from gatecam.training.detector.teachers import Teacher, load_teacher
from gatecam.training.scores.detector_score import DetectorScore, Rate, rate
from gatecam.training.scores.detector_speed import Speed
from gatecam.training.scores.joint import JointScore
from gatecam.training.scores.landmarks import LandmarkScore
from gatecam.training.scores.matching import Match
from gatecam.types import Detection, Image
from gatecam.vision.detector.build import STOCK, build_detector
from gatecam.vision.device import Backend

# With these thresholds the precision of the stock weights falls to a third. Lower thresholds would take
# minutes longer and find hardly any more faces.
LOWERED = {"pnet_threshold": 0.4, "rnet_threshold": 0.3, "onet_threshold": 0.1}
TEACHER_SCORE = 0.5  # usual threshold of a teacher, because the settings have none for it


class SureTeacher:
    """Finds the faces that a teacher is sure of, which are those from its usual threshold on."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        """Return the faces of each image. See `Teacher.detect`."""
        return [self.sure_of(found) for found in self._teacher.detect(images)]

    def sure_of(self, found: Iterable[Detection]) -> list[Detection]:
        """Return those of the teacher's detections that have a high enough score."""
        return [detection for detection in found if detection.score >= TEACHER_SCORE]


@dataclass(frozen=True, slots=True, eq=False)
class Contestants:
    """Holds the compared detectors by name, with usual and lowered thresholds. The first one is evaluated."""

    usual: Mapping[str, Teacher]
    lowered: Mapping[str, Teacher]


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
    scores: dict[str, DetectorScore]  # by IoU
    joint: dict[str, dict[str, JointScore]]  # with the classifier, by collection and head
    false_alarms: FalseAlarms | None
    landmarks: dict[str, LandmarkScore]  # by mask state, empty unless requested


@dataclass(frozen=True, slots=True)
class DetectorEvaluation:
    """Holds the parameters and the results of an evaluation."""

    parameters: dict[str, object]  # from the command line
    thresholds: dict[str, float]  # of P-, R- and O-Net, used for recall and precision
    lowered_thresholds: dict[str, float]  # used for the curve and the average precision
    detectors: list[DetectorReport]  # the evaluated detector, then the stock detector and the teachers
    speed: list[Speed]  # by frame size
    leaks: Sequence[str]  # sentences on pictures that the weights learnt from

    def as_json(self) -> dict[str, object]:
        """Return plain values, named like the fields of this module's dataclasses and those they contain.

        `detectors[0]` is the evaluated detector. `detectors[1]` is the stock detector, unless the stock
        detector was evaluated. The teachers follow. Each has these values:

        - `scores` by IoU, `0.3` and `0.5`. The following three are inside.
        - `recall` by `all` and group, such as `race: black`, and `precision` by `all` and size. Each has
          `count`, `of`, `share` and its 95 % `interval`. The size is a box's shorter side in px. `gaps` are
          the widest ones between groups. `precise` has the same at a precision of 0.98, or is null.
        - `average_precision` with its interval.
        - `curve` with the lists `score`, `recall` and `precision`. They have one entry per found face, best
          score first.
        - `joint` by collection (`all` for all together) and head. `macro_f1` and `recall` are end to end,
          `macro_f1_found` and `recall_found` are those of the found faces.
        - `false_alarms`, null without `--empty`.
        - `landmarks` by mask state, empty without `--landmarks`.

        `speed[i].ms` and `speed[i].times_as_fast` are by detector. The latter is relative to the library.
        """
        return asdict(self)


def names_of(weights: str, teachers: Sequence[Path] = ()) -> dict[str, str]:
    """Return the setting `weights`, or the teacher's file, of each compared detector by its display name."""
    path = Path(weights)
    name = path.stem if path.suffix == ".safetensors" and path.stem != STOCK else weights
    names = {name: weights, STOCK: STOCK}
    for teacher in teachers:
        names[str(teacher) if teacher.stem in names else teacher.stem] = str(teacher)
    return names


def contestants(weights: str, teachers: Sequence[Path], min_face_px: int, backend: Backend) -> Contestants:
    """Build the detector with the given weights, the stock detector if it is another one, and the teachers.

    Raises:
        ModelError: the weights are missing, were changed, or belong to another kind of model.
    """
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
    files = names_of(weights, teachers)
    loaded = {name: load_teacher(Path(file)) for name, file in files.items() if name not in usual}
    sure = {name: SureTeacher(teacher) for name, teacher in loaded.items()}
    return Contestants({**usual, **sure}, {**lowered, **loaded})


def false_alarms_of(matches: Sequence[Match]) -> FalseAlarms:
    """Count the false alarms on pictures without a face."""
    alarmed = np.array([bool(m.false) for m in matches])
    return FalseAlarms(
        detections=sum(len(m.false) for m in matches),
        pictures=rate(alarmed, np.ones(len(matches), bool), np.arange(len(matches))),
    )
