"""Build the page of `gatecam evaluate`, with scores, their intervals and the weakest points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gatecam.pictures.html import Page
from gatecam.training.scores.groups import GAP_FACES
from gatecam.training.scores.plots import confusion_picture, reliability_picture, slices_picture
from gatecam.training.scores.rates import Interval
from gatecam.training.scores.report import Evaluation, HeadReport, SetReport
from gatecam.training.scores.score import LABELS, MIN_FACE_PX
from gatecam.training.scores.sets import Judged, Pictures
from gatecam.training.scores.slices import Slice
from gatecam.training.thumbs import around, fitted, jpeg
from gatecam.types import Box

HEAD_TITLES = {"mask": "mask state", "gender": "gender", "age": "age band", "class": "the 18 classes"}
MISTAKE_PX = 160  # longer side of a face's picture
AROUND = 0.3  # surroundings shown of a face, as a fraction of its side
HOW_TO_READ = (
    "Precision is the share of the faces predicted as a label that really have it. Recall is the share of "
    "the faces with a label that are predicted as it. F1 is their harmonic mean. Macro-F1 is the mean F1 "
    "over the labels, so rare labels count as much as common ones. Micro-F1 equals the accuracy, because "
    "each face has one label. Brackets contain the 95 % interval of a bootstrap that draws whole people or "
    "scenes with replacement. ECE, the expected calibration error, is the mean difference between the "
    "probabilities and how often they are right, and 0 is best. For the cross-fitted ECE, the temperature "
    "comes from the other half of the people, so that no face helps to calibrate itself."
)


def page_of(evaluation: Evaluation, sets: Sequence[Judged]) -> Page:
    """Return the page of an evaluation.

    Args:
        sets: the judged pictures of each report, in the order of the reports.
    """
    page = Page(f"Scores of {evaluation.weights}")
    page.text(_what_was_scored(evaluation))
    for leak in evaluation.leaks:
        page.text(f"Warning: {leak}")
    page.table(_HEADLINE, [row for report in evaluation.sets for row in _headline(report)])
    page.text(HOW_TO_READ)
    page.heading("Where it fails")
    page.table(("set", "head", "weakest point", ""), _failures(evaluation.sets))
    for report, judged in zip(evaluation.sets, sets, strict=True):
        page.heading(report.name)
        page.text(report.about)
        for note in report.notes:
            page.text(note)
        for head, of_head in report.heads.items():
            _add_head(page, f"{report.name}: {HEAD_TITLES[head]}", of_head, judged)
    return page


_HEADLINE = (
    "set",
    "head",
    "faces",
    "people",
    "macro-F1",
    "micro-F1",
    "weakest recall",
    "ECE",
    "cross-fitted",
)


def _what_was_scored(evaluation: Evaluation) -> str:
    heats = ", ".join(f"{head} {t:g}" for head, t in evaluation.temperature.items())
    fitted = ", ".join(f"{head} on {faces}" for head, faces in evaluation.fitted.items())
    where = f", fitted on the faces below ({fitted})" if fitted else ""
    return (
        f"Weights {evaluation.weights} (sha256 {evaluation.sha256[:12]}…), temperatures: {heats}{where}. "
        f"Part scored: {evaluation.parameters['part']}. Faces with a doubtful label or under {MIN_FACE_PX} "
        "px are left out, and each head states how many. The pictures of one scene count as one person."
    )


def _headline(report: SetReport) -> Iterator[tuple[str, ...]]:
    for head, r in report.heads.items():
        s = r.score
        yield (
            report.name,
            HEAD_TITLES[head],
            f"{s.faces:,}",
            f"{r.keys:,}",
            on_one_line(with_interval(s.macro_f1, r.intervals["macro_f1"])),
            on_one_line(with_interval(s.micro_f1, r.intervals["micro_f1"])),
            weakest_recall(r),
            number(s.ece),
            number(r.ece_cross_fitted),
        )


def _failures(reports: Sequence[SetReport]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each head's most frequent confusion and one for its weakest large group."""
    for report in reports:
        for head, r in report.heads.items():
            counts = np.array(r.score.confusion)
            np.fill_diagonal(counts, 0)
            shares = counts / np.maximum(np.array(list(r.score.support.values())), 1)[:, None]
            true, predicted = np.unravel_index(int(shares.argmax()), shares.shape)
            names = LABELS[head]
            if counts.any():
                said = f"{names[true]} predicted as {names[predicted]}"
                of = f"{counts[true, predicted]} of {r.score.support[names[true]]} faces"
                yield report.name, HEAD_TITLES[head], said, of
            large = [s for s in r.slices if s.faces >= GAP_FACES and s.micro_f1 is not None]
            if large:
                worst = min(large, key=lambda s: s.micro_f1 or 0.0)
                said = f"{worst.attribute} {worst.group}"
                yield (
                    report.name,
                    HEAD_TITLES[head],
                    said,
                    f"accuracy {_accuracy(worst)} of {worst.faces:,} faces",
                )


def _add_head(page: Page, title: str, r: HeadReport, judged: Judged) -> None:
    page.heading(title)
    left = ", ".join(f"{count:,} {reason}" for reason, count in r.left_out.items() if count)
    page.text(f"{r.score.faces:,} faces of {r.keys:,} people." + (f" Left out: {left}." if left else ""))
    page.table(("label", "faces", "precision", "recall", "F1"), _label_rows(r))
    page.picture(confusion_picture(LABELS[r.score.head], r.score.confusion), f"{title}: confusion matrix")
    page.picture(reliability_picture(r.reliability), f"{title}: reliability")
    if r.temperature_here is not None:
        page.text(f"The temperature that fits these faces best is {r.temperature_here:g}.")
    if r.slices:
        page.picture(slices_picture(r.slices), f"{title}: accuracy by group")
        page.table(("by", "widest gap in accuracy", "best group", "worst group"), _gap_rows(r))
        page.table(("by", "group", "faces", "people", "accuracy", "macro-F1"), _slice_rows(r))
    if r.mistakes:
        page.text("The most confident mistakes, at most one per person or scene:")
        page.grid(_mistakes(r, judged.pictures))


def _label_rows(r: HeadReport) -> Iterator[tuple[str, ...]]:
    s = r.score
    for label in s.recall:
        recall = with_interval(s.recall[label], r.recall_intervals[label])
        yield label, f"{s.support[label]:,}", number(s.precision[label]), recall, number(s.f1[label])


def _gap_rows(r: HeadReport) -> Iterator[tuple[str, ...]]:
    accuracy = {(s.attribute, s.group): _accuracy(s) for s in r.slices}
    for gap in r.gaps:
        best, worst = (f"{g} {accuracy[gap.attribute, g]}" for g in (gap.best, gap.worst))
        yield gap.attribute, number(gap.width), best, worst
    for attribute in dict.fromkeys(s.attribute for s in r.slices):
        if attribute not in {gap.attribute for gap in r.gaps}:
            yield attribute, "–", f"fewer than two groups of {GAP_FACES} faces", ""


def _slice_rows(r: HeadReport) -> Iterator[tuple[str, ...]]:
    for s in r.slices:
        yield s.attribute, s.group, f"{s.faces:,}", f"{s.keys:,}", _accuracy(s), number(s.macro_f1)


def _accuracy(s: Slice) -> str:
    return with_interval(s.micro_f1, s.interval)


def _mistakes(r: HeadReport, pictures: Pictures) -> Iterator[tuple[bytes, str]]:
    for m in r.mistakes:
        patch, _ = pictures.patch(m.index)
        face, _, _ = around(patch.image, Box(*patch.box.tolist()), AROUND)
        cover = f" ({m.kind})" if m.kind else ""
        said = f"{m.true}{cover}, predicted as {m.predicted} at {m.probability:.2f}; {m.image}"
        yield jpeg(fitted(face, MISTAKE_PX)), said


def on_one_line(text: str) -> str:
    """Return the text with spaces that do not break lines."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def weakest_recall(r: HeadReport) -> str:
    """Return the label with the lowest recall, and its recall."""
    known = {label: recall for label, recall in r.score.recall.items() if recall is not None}
    label = min(known, key=lambda name: known[name])
    return f"{label} {known[label]:.3f}"


def with_interval(value: float | None, interval: Interval | None) -> str:
    """Format a rate and its interval, such as "0.912 [0.890, 0.931]"."""
    return number(value) + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def number(value: float | None) -> str:
    """Format a rate with three decimals, or None as a dash."""
    return "–" if value is None else f"{value:.3f}"
