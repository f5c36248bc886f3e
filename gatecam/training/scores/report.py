"""Score every head on every set of pictures, with intervals, groups and the most confident mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from gatecam.training.data.rows import HEAD_LABELS
from gatecam.training.scores.calibration import Bin, cross_fitted_error, fit_temperature, reliability
from gatecam.training.scores.groups import Gap
from gatecam.training.scores.rates import Interval, Rates, confusion_by_key, interval, rates_of, resampled
from gatecam.training.scores.score import LABELS, HeadScore, score_head
from gatecam.training.scores.sets import Judged
from gatecam.training.scores.slices import Slice, gaps_of, slices_of

MISTAKES = 12  # mistakes shown of each head
MIN_TO_FIT = 100  # minimum number of faces for fitting a temperature


@dataclass(frozen=True, slots=True)
class Mistake:
    """Describes a picture whose label the network contradicts."""

    index: int  # index in the set's pictures
    image: str
    kind: str
    true: str
    predicted: str
    probability: float  # of the predicted label


@dataclass(frozen=True, slots=True)
class HeadReport:
    """Holds all results of one head on one set. Intervals cover 95 %, from a bootstrap over keys."""

    score: HeadScore
    keys: int
    left_out: dict[str, int]  # number of unscored faces by reason
    intervals: dict[str, Interval | None]  # of macro_f1 and micro_f1
    recall_intervals: dict[str, Interval | None]
    ece_cross_fitted: float | None
    temperature_here: float | None  # the temperature that fits this set best, None for the 18 classes
    reliability: list[Bin]
    slices: list[Slice]
    gaps: list[Gap]
    mistakes: list[Mistake]

    @property
    def absent(self) -> list[str]:
        """Return the labels that no face has."""
        return [label for label, faces in self.score.support.items() if faces == 0]


@dataclass(frozen=True, slots=True)
class SetReport:
    """Holds the heads' scores on one set of pictures."""

    name: str
    about: str
    drawn: bool
    heads: dict[str, HeadReport]
    notes: list[str]  # sentences on what could not be scored


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Holds what was scored, and the scores."""

    weights: str
    sha256: str
    temperature: dict[str, float]  # by head, used for all scores
    fitted: dict[str, int]  # number of these faces that a head's temperature was fitted on, by head
    parameters: dict[str, object]  # from the command line
    sets: list[SetReport]
    leaks: Sequence[str] = ()  # sentences on pictures that the weights learnt from

    def as_json(self) -> dict[str, object]:
        """Return plain values, named like the fields of this module's dataclasses and those they contain.

        A head's `score` is merged into the head, as in `sets[0]["heads"]["mask"]["macro_f1"]`.
        """
        values = asdict(self)
        for report in values["sets"]:
            for head in report["heads"].values():
                head.update(head.pop("score"))
        return values

    def summary(self) -> dict[str, object]:
        """Return the main scores by set and head, for a spec."""
        return {report.name: {head: _headline(r) for head, r in report.heads.items()} for report in self.sets}


def _headline(report: HeadReport) -> dict[str, object]:
    score = report.score
    return {
        "faces": score.faces,
        "macro_f1": score.macro_f1,
        "macro_f1_interval": report.intervals["macro_f1"],
        "micro_f1": score.micro_f1,
        "micro_f1_interval": report.intervals["micro_f1"],
        "recall": score.recall,
        "ece": score.ece,
        "ece_cross_fitted": report.ece_cross_fitted,
        "widest_gaps": {gap.attribute: gap.width for gap in report.gaps},
    }


def report_of(judged: Judged, temperature: Mapping[str, float]) -> SetReport:
    """Score one set with the temperatures of the weights' spec.

    A head without faces gets a note instead of scores.
    """
    heads, notes = {}, []
    for head in judged.pictures.heads:
        if judged.counted(head).any():
            heads[head] = _head_report(head, judged, temperature)
            if heads[head].absent:
                notes.append(_about_absent(head, heads[head].absent))
        else:
            notes.append(f"{head}: no score, because no face is large enough and has a certain label.")
    return SetReport(judged.pictures.name, judged.pictures.about, judged.pictures.drawn, heads, notes)


def fitted_temperatures(sets: Sequence[Judged]) -> dict[str, tuple[float, int]]:
    """Return the best temperature of each head, and the number of faces it was fitted on.

    Faces with drawn masks are used only for a head that has no others. A head with fewer than `MIN_TO_FIT`
    faces is left out.
    """
    fitted = {}
    for head in HEAD_LABELS:
        able = [s for s in sets if head in s.pictures.heads and s.counted(head).any()]
        chosen = [s for s in able if not s.pictures.drawn] or able
        if sum(int(s.counted(head).sum()) for s in chosen) < MIN_TO_FIT:
            continue
        logits = torch.cat([s.logits[head][torch.from_numpy(s.counted(head))] for s in chosen])
        labels = np.concatenate([s.truth(head)[s.counted(head)] for s in chosen])
        fitted[head] = fit_temperature(logits, labels), len(labels)
    return fitted


def _head_report(head: str, judged: Judged, temperature: Mapping[str, float]) -> HeadReport:
    counted = judged.counted(head)
    labels, keys = judged.truth(head)[counted], judged.keys[counted]
    logits = judged.scaled(head, temperature)[torch.from_numpy(counted)]
    by_key = confusion_by_key(labels, judged.predicted(head)[counted], len(LABELS[head]), keys)
    slices = slices_of(head, judged)
    again = rates_of(resampled(by_key))
    return HeadReport(
        score=score_head(head, logits, labels),
        keys=len(by_key),
        left_out=judged.left_out(head),
        intervals={"macro_f1": interval(again.macro_f1), "micro_f1": interval(again.micro_f1)},
        recall_intervals=_recall_intervals(head, again),
        ece_cross_fitted=_rounded(cross_fitted_error(logits, labels, keys)),
        temperature_here=_temperature_here(head, judged),
        reliability=reliability(logits.softmax(1).numpy(), labels),
        slices=slices,
        gaps=gaps_of(slices),
        mistakes=_mistakes(head, judged, temperature),
    )


def _about_absent(head: str, labels: Sequence[str]) -> str:
    return (
        f"{head}: no face is labelled {', '.join(labels)}, so nothing is known about that. As in "
        "scikit-learn, such a label counts as 0 in macro-F1 if it is predicted, and otherwise not at all."
    )


def _recall_intervals(head: str, again: Rates) -> dict[str, Interval | None]:
    return {name: interval(again.recall[:, i]) for i, name in enumerate(LABELS[head])}


def _temperature_here(head: str, judged: Judged) -> float | None:
    if head not in judged.logits:
        return None
    counted = judged.counted(head)
    return fit_temperature(judged.logits[head][torch.from_numpy(counted)], judged.truth(head)[counted])


def _mistakes(head: str, judged: Judged, temperature: Mapping[str, float]) -> list[Mistake]:
    """Return the most confident mistakes, one per key, so that no person fills the page."""
    probabilities = judged.scaled(head, temperature).softmax(1).numpy()
    truth, predicted = judged.truth(head), judged.predicted(head)
    sure = probabilities[np.arange(len(predicted)), predicted]
    wrong = np.flatnonzero(judged.counted(head) & (truth != predicted))
    by_key: dict[str, int] = {}
    for index in wrong[np.argsort(-sure[wrong], kind="stable")]:
        by_key.setdefault(str(judged.keys[index]), int(index))
    names, images = LABELS[head], judged.pictures.faces.images[judged.pictures.rows]
    return [
        Mistake(
            index,
            str(images[index]),
            str(judged.kinds[index]),
            names[truth[index]],
            names[predicted[index]],
            round(float(sure[index]), 4),
        )
        for index in list(by_key.values())[:MISTAKES]
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
