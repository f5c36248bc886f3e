"""An honest score sheet: every head on every set of pictures, how sure each number is, and where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from gatecam.training.scores.calibration import Bin, cross_fitted_error, fit_temperature, reliability
from gatecam.training.scores.rates import Interval, Rates, confusion_by_key, interval, rates_of, resampled
from gatecam.training.scores.score import HEAD_LABELS, LABELS, HeadScore, score_head
from gatecam.training.scores.sets import Judged
from gatecam.training.scores.slices import Gap, Slice, gaps_of, slices_of

MISTAKES = 12  # the most confident ones of a head that are shown
MIN_TO_FIT = 100  # faces a temperature is fitted on


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture whose label the network contradicts."""

    index: int  # of the set's pictures
    image: str
    kind: str
    true: str
    predicted: str
    probability: float  # of the predicted label


@dataclass(frozen=True, slots=True)
class HeadReport:
    """All that is known of one head on one set; intervals are of 95 %, by key."""

    score: HeadScore
    keys: int
    left_out: dict[str, int]  # faces no score is stated for, by the reason
    intervals: dict[str, Interval | None]  # of macro_f1 and micro_f1
    recall_intervals: dict[str, Interval | None]
    ece_cross_fitted: float | None
    temperature_here: float | None  # what would fit this set best, None for the 18 classes
    reliability: list[Bin]
    slices: list[Slice]
    gaps: list[Gap]
    mistakes: list[Mistake]

    @property
    def absent(self) -> list[str]:
        """The labels that no face has, of which nothing is known."""
        return [label for label, faces in self.score.support.items() if faces == 0]


@dataclass(frozen=True, slots=True)
class SetReport:
    """The heads' scores on one set of pictures."""

    name: str
    about: str
    drawn: bool
    heads: dict[str, HeadReport]
    notes: list[str]  # what could not be scored, in sentences


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was scored, and the scores."""

    weights: str
    sha256: str
    temperature: dict[str, float]  # of each head, with which all was scored
    fitted: dict[str, int]  # heads whose temperature was fitted on these faces, and on how many
    parameters: dict[str, object]  # of the command line
    sets: list[SetReport]

    def as_json(self) -> dict[str, object]:
        """Plain values, keyed as the dataclasses of this module, of `score`, `slices` and `calibration`.

        A head's `score` is merged into the head: `sets[0]["heads"]["mask"]["macro_f1"]`.
        """
        values = asdict(self)
        for report in values["sets"]:
            for head in report["heads"].values():
                head.update(head.pop("score"))
        return values

    def summary(self) -> dict[str, object]:
        """The headline numbers by set and head, for a spec."""
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
    """The scores of one set with the temperatures of the weights' spec; a head without faces has none."""
    heads, notes = {}, []
    for head in judged.pictures.heads:
        if judged.counted(head).any():
            heads[head] = _head_report(head, judged, temperature)
            if heads[head].absent:
                notes.append(_about_absent(head, heads[head].absent))
        else:
            notes.append(f"{head}: no face with a label that is certain and large enough, so no score.")
    return SetReport(judged.pictures.name, judged.pictures.about, judged.pictures.drawn, heads, notes)


def fitted_temperatures(sets: Sequence[Judged]) -> dict[str, tuple[float, int]]:
    """The temperature of each head that fits its faces best, and how many they are.

    Faces as they are decide; drawn ones only for a head that has no others. A head with less than
    `MIN_TO_FIT` faces is left out.
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
        score=score_head(head, logits, labels, 1.0),
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
        f"{head}: no face is {', '.join(labels)}, of which nothing is known therefore; as in scikit-learn, "
        "such a label counts 0 in macro-F1 where it is predicted, and else not at all."
    )


def _recall_intervals(head: str, again: Rates) -> dict[str, Interval | None]:
    return {name: interval(again.recall[:, i]) for i, name in enumerate(LABELS[head])}


def _temperature_here(head: str, judged: Judged) -> float | None:
    if head not in judged.logits:
        return None
    counted = judged.counted(head)
    return fit_temperature(judged.logits[head][torch.from_numpy(counted)], judged.truth(head)[counted])


def _mistakes(head: str, judged: Judged, temperature: Mapping[str, float]) -> list[Mistake]:
    """The most confident mistakes, one a key, so that a person's seven pictures do not fill the page."""
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
