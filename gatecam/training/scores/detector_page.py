"""Build the page of `gatecam evaluate-detector`, with scores, their intervals, speed and every error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import cv2
import numpy as np

from gatecam.capture.images import read_image
from gatecam.labels import MASK_LABELS
from gatecam.pictures.html import Page
from gatecam.training.data.rows import UNKNOWN
from gatecam.training.scores.detector_report import TEACHER_SCORE, DetectorEvaluation, DetectorReport
from gatecam.training.scores.detector_score import ALL, IOUS, PRECISION, DetectorScore, Precise, Rate
from gatecam.training.scores.detector_speed import LIBRARY
from gatecam.training.scores.groups import GAP_FACES, TURNS
from gatecam.training.scores.joint import JointScore
from gatecam.training.scores.landmarks import LandmarkScore
from gatecam.training.scores.matching import Match, Truth, side_px
from gatecam.training.scores.page import number, on_one_line, with_interval
from gatecam.training.scores.plots import precision_recall_picture
from gatecam.training.thumbs import around, fitted, jpeg
from gatecam.types import Box, Detection

THUMB_PX = 220
AROUND = 1.4  # surroundings shown of a box, as a fraction of its square
LABELLED, IGNORED, DETECTED = (0, 158, 115), (150, 150, 150), (213, 94, 0)  # RGB
HOW_TO_READ = (
    "A face is found if a detection overlaps its labelled box with the given IoU or more. At 0.3, boxes of "
    "one face that are drawn differently still match. At 0.5, the box must fit as well. Detections are "
    "matched in order of their scores, and each finds at most one face. Recall is the share of the faces "
    "that are found. Precision is the share of the detections that find a face. A false detection has no "
    "label, so precision is given by size only. Brackets contain the 95 % interval of a bootstrap that "
    "draws whole people or scenes with replacement. If no face is missed, the interval has no width, but up "
    "to 3 of as many other faces may still be missed. Faces that are too small or have a doubtful label do "
    "not count, nor do real faces without a label that were found by eye. Parts of boxes outside of the "
    f"picture do not count. The usual threshold of a teacher is a score of {TEACHER_SCORE:g}."
)
HOW_PRECISE = (
    "Detectors are best compared at the same precision. For each, the lowest score is chosen at which at "
    f"least {PRECISION:g} of its detections on these pictures find a face. Weaker detections are dropped. "
    "The intervals do not contain the chance in that choice. A dash means that no score gives that precision."
)
TEACHERS_FLATTERED = (
    "Boxes that `gatecam data label` wrote come from teachers. They flatter these teachers: their boxes fit "
    "best, and faces that no teacher finds are missing from pictures of one person."
)
HOW_POSED = (
    "Head pose comes from the labelled landmarks. A face is frontal if the nose lies less than "
    f"{TURNS[0]:.2g} of half the eye distance from the middle between the eyes (about 18°), and in profile "
    f"if it lies beyond an eye (about 45°). A gap is the difference in recall, and so in the share of faces "
    f"missed, between the best and the worst group of at least {GAP_FACES} faces."
)
HOW_JOINT = (
    f"Faces found at IoU {IOUS[0]:g} with the usual thresholds are cut with the detector's boxes, as in live "
    "operation, and classified. End to end, a missed face counts as classified wrongly. False detections do "
    "not count here. Macro-F1 is the mean F1 over the labels that occur. A dash means that only one does."
)
HOW_THE_CURVE_IS = (
    "The curve is measured with lowered thresholds, so that it extends to where they lose hardly any face. "
    "The dot shows the result with the thresholds of the settings. The thresholds of all three networks "
    "affect it, so it may lie slightly beside the curve. The average precision is the area under the curve "
    "after its precision is made monotonic (PASCAL VOC 2010 and later)."
)
HOW_LANDMARKS_ARE = (
    "The landmarks that the stock weights find on a bare face count as true. Then a mask is drawn on the "
    "face. The error is the mean distance of the five landmarks from the true ones, divided by the distance "
    "between the eyes, over the faces that are found. On bare faces the stock weights are compared with "
    "themselves."
)
HOW_FAST = (
    "Milliseconds per frame, with one frame per call, the same frames and the same minimum face size. The "
    "detectors take turns in one run, and the result is the median over the rounds. "
    f"{LIBRARY} is the library's own detector."
)
COLOURS = "Green boxes are labelled faces that count. Grey boxes are ignored. Orange boxes are detections."


def page_of(evaluation: DetectorEvaluation, matches: Sequence[Match], on_empty: Sequence[Match]) -> Page:
    """Return the page of an evaluation.

    Args:
        matches: the results of the first detector, which is the evaluated one, at the lowest IoU, by picture.
        on_empty: its results on the pictures without a face.
    """
    first = evaluation.detectors[0]
    page = Page(f"Faces found with {first.weights}")
    page.text(_what_was_scored(evaluation))
    for leak in evaluation.leaks:
        page.text(f"Warning: {leak}")
    if evaluation.parameters["teachers"]:
        page.text(TEACHERS_FLATTERED)
    page.heading("Found and classified correctly")
    page.table(JOINT, joint_rows(evaluation.detectors))
    page.table(JOINT_LABELS, joint_label_rows(first))
    page.text(HOW_JOINT)
    for title, columns, rows in score_tables(evaluation.detectors):
        page.heading(title)
        page.table(columns, rows)
    page.text(HOW_TO_READ)
    page.text(HOW_PRECISE)
    page.heading("Widest gaps in recall between groups")
    page.table(GAPS, gap_rows(evaluation.detectors))
    page.text(HOW_POSED)
    for at in first.scores:
        page.heading(f"Precision against recall at IoU {at}")
        page.picture(
            _curves(evaluation.detectors, at), f"precision against recall of each detector, IoU {at}"
        )
    page.text(HOW_THE_CURVE_IS)
    page.heading("Speed")
    page.table(SPEED, speed_rows(evaluation))
    page.text(HOW_FAST)
    if first.landmarks:
        page.heading("Landmarks under drawn masks")
        page.table(LANDMARKS, landmark_rows(evaluation.detectors))
        page.text(HOW_LANDMARKS_ARE)
    if first.false_alarms is not None:
        page.heading("Pictures without a face")
        page.table(ALARMS, alarm_rows(evaluation.detectors))
        page.grid(_false(on_empty))
    _add_errors(page, first, matches)
    return page


def _add_errors(page: Page, report: DetectorReport, matches: Sequence[Match]) -> None:
    missed = sum(hit is None for m in matches for hit in m.found)
    page.heading(f"Faces that {report.weights} misses at IoU {IOUS[0]:g}: {missed}")
    page.text(COLOURS)
    page.grid(_missed(matches))
    page.heading(
        f"False detections of {report.weights} at IoU {IOUS[0]:g}: {sum(len(m.false) for m in matches)}"
    )
    page.text(f"{COLOURS} If one of them is a real face, add it to the list for --known.")
    page.grid(_false(matches))


LANDMARKS = ("landmarks", "detector", "faces", "found", "mean error", "95th percentile")
SPEED = ("frame", "detector", "ms per frame", "speedup over the library")
ALARMS = ("detector", "pictures", "false alarms", "pictures with false alarms")


def score_tables(
    reports: Sequence[DetectorReport],
) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Yield title, columns and rows of each table of recall and precision, with a column per detector.

    Each IoU has a table for the usual thresholds and one for a precision of `PRECISION`.
    """
    columns = ("recall", "faces", *(report.weights for report in reports))
    for at in reports[0].scores:
        scores = [report.scores[at] for report in reports]
        yield f"Recall at IoU {at}, usual thresholds", columns, [*_usual_rows(scores)]
        yield f"Recall at IoU {at}, at a precision of {PRECISION:g}", columns, [*_precise_rows(scores)]


def _usual_rows(scores: Sequence[DetectorScore]) -> Iterator[tuple[str, ...]]:
    yield from _group_rows(scores, [score.recall for score in scores])
    for name in scores[0].precision:
        rates = [score.precision[name] for score in scores]
        if name == ALL or any(rate.of for rate in rates):
            yield f"precision, {name}", "", *(f"{_share(rate)} of {rate.of:,}" for rate in rates)
    areas = [with_interval(s.average_precision, s.average_precision_interval) for s in scores]
    yield "average precision", "", *areas


def _precise_rows(scores: Sequence[DetectorScore]) -> Iterator[tuple[str, ...]]:
    at: list[Precise | None] = [score.precise for score in scores]
    yield from _group_rows(scores, [precise.recall if precise else {} for precise in at])
    yield "precision", "", *(_share(precise.precision) if precise else "–" for precise in at)
    yield "lowest score", "", *(number(precise.score if precise else None) for precise in at)


def _group_rows(
    scores: Sequence[DetectorScore], recalls: Sequence[Mapping[str, Rate]]
) -> Iterator[tuple[str, ...]]:
    """Yield a row of recalls for each group that has faces."""
    for name, rate in scores[0].recall.items():
        if rate.of:
            yield name, f"{rate.of:,}", *(_share(recall[name]) if recall else "–" for recall in recalls)


GAPS = ("IoU", "detector", "by", "widest gap", "best", "worst")


def gap_rows(reports: Sequence[DetectorReport]) -> Iterator[tuple[str, ...]]:
    """Yield a row for the widest gap of each IoU, detector and attribute, at the usual thresholds."""
    for at in reports[0].scores:
        for report in reports:
            for gap in report.scores[at].gaps:
                best, worst = (
                    f"{group} {number(report.scores[at].recall[f'{gap.attribute}: {group}'].share)}"
                    for group in (gap.best, gap.worst)
                )
                yield at, report.weights, gap.attribute, number(gap.width), best, worst


JOINT = ("set", "head", "detector", "faces", "found", "macro-F1 where found", "macro-F1 end to end")
JOINT_LABELS = ("set", "head", "label", "faces", "recall where found", "recall end to end")


def joint_rows(reports: Sequence[DetectorReport]) -> Iterator[tuple[str, ...]]:
    """Yield a row of joint figures for each collection, head and detector."""
    for name, heads in reports[0].joint.items():
        for head in heads:
            for report in reports:
                score: JointScore = report.joint[name][head]
                macros = (score.macro_f1_found, score.macro_f1)
                yield (
                    name,
                    head,
                    report.weights,
                    f"{score.found.of:,}",
                    _share(score.found),
                    *(on_one_line(with_interval(macro.value, macro.interval)) for macro in macros),
                )


def joint_label_rows(report: DetectorReport) -> Iterator[tuple[str, ...]]:
    """Yield a row of one detector's joint recall for each collection, head and label."""
    for name, heads in report.joint.items():
        for head, score in heads.items():
            for label, rate in score.recall.items():
                if rate.of:
                    yield name, head, label, f"{rate.of:,}", _share(score.recall_found[label]), _share(rate)


def speed_rows(evaluation: DetectorEvaluation) -> Iterator[tuple[str, ...]]:
    """Yield a row for each frame size and detector, including the library's own."""
    for speed in evaluation.speed:
        for name, ms in speed.ms.items():
            ratio = speed.times_as_fast.get(name)
            frame = f"{speed.width_px} × {speed.height_px}"
            yield frame, name, f"{ms:.1f}", f"{ratio:.1f} ×" if ratio else ""


def landmark_rows(reports: Sequence[DetectorReport]) -> Iterator[tuple[str, ...]]:
    """Yield a row of landmark errors for each mask state and detector."""
    for state in reports[0].landmarks:
        for report in reports:
            score: LandmarkScore = report.landmarks[state]
            error = with_interval(score.error, score.interval)
            yield (
                state,
                report.weights,
                f"{score.found.of:,}",
                number(score.found.share),
                error,
                number(score.error_p95),
            )


def alarm_rows(reports: Sequence[DetectorReport]) -> Iterator[tuple[str, ...]]:
    """Yield a row of false alarms for each detector."""
    for report in reports:
        if (alarms := report.false_alarms) is not None:
            pictures = alarms.pictures
            yield report.weights, f"{pictures.of:,}", f"{alarms.detections:,}", f"{pictures.count:,}"


def _what_was_scored(evaluation: DetectorEvaluation) -> str:
    score, parameters = evaluation.detectors[0].scores[f"{IOUS[0]:g}"], evaluation.parameters
    thresholds = ", ".join(
        f"{name[0].upper()}-Net {value:g}" for name, value in evaluation.thresholds.items()
    )
    shas = ", ".join(f"{d.weights} (sha256 {d.sha256[:12]}…)" for d in evaluation.detectors if d.sha256)
    return (
        f"Part {parameters['part']}: {score.faces:,} faces of {parameters['min_face_px']} px or more in "
        f"{score.pictures:,} pictures. {score.ignored:,} other faces are ignored. Thresholds: {thresholds}."
        + (f" Weights: {shas}." if shas else "")
    )


def _share(rate: Rate) -> str:
    return on_one_line(with_interval(rate.share, rate.interval))


def _curves(reports: Sequence[DetectorReport], at: str) -> bytes:
    scores = {r.weights: r.scores[at] for r in reports}
    points = {name: (score.recall[ALL].share, score.precision[ALL].share) for name, score in scores.items()}
    return precision_recall_picture({name: score.curve for name, score in scores.items()}, points)


def _missed(matches: Iterable[Match]) -> Iterator[tuple[bytes, str]]:
    for m in matches:
        said = [*m.false, *(d for d in m.found if d is not None)]
        for face, hit in zip(m.truth.faces, m.found, strict=True):
            if hit is None:
                state = "mask unknown" if face.mask == UNKNOWN else MASK_LABELS[face.mask]
                about = f"{state}, {side_px(face.box):.0f} px"
                yield _thumb(m.truth, face.box, said), f"{m.truth.image}: {_corners(face.box)}; {about}"


def _false(matches: Iterable[Match]) -> Iterator[tuple[bytes, str]]:
    for m in matches:
        for detection in m.false:
            about = f"{side_px(detection.box):.0f} px, score {detection.score:.2f}"
            thumb = _thumb(m.truth, detection.box, [detection])
            yield thumb, f"{m.truth.image}: {_corners(detection.box)}; {about}"


def _corners(box: Box) -> str:
    return ",".join(f"{value:.0f}" for value in (box.x1, box.y1, box.x2, box.y2))


def _thumb(truth: Truth, focus: Box, detections: Iterable[Detection]) -> bytes:
    """Return a JPEG of a box's surroundings, with all boxes drawn. No side is longer than THUMB_PX."""
    part, x, y = around(read_image(truth.path), focus, AROUND)
    shown, scale = fitted(part, THUMB_PX), THUMB_PX / max(part.shape[:2])
    boxes = [(box, IGNORED) for box in truth.ignored] + [(face.box, LABELLED) for face in truth.faces]
    for box, colour in [*boxes, *((detection.box, DETECTED) for detection in detections)]:
        corners = np.array([[box.x1 - x, box.y1 - y], [box.x2 - x, box.y2 - y]]) * scale
        (x1, y1), (x2, y2) = corners.round().astype(int).tolist()
        cv2.rectangle(shown, (x1, y1), (x2, y2), colour, 2)
    return jpeg(shown)
