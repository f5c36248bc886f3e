"""Build the page of `gatecam evaluate-detector`, with scores, their intervals, speed and every error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from gatecam.capture.images import read_image
from gatecam.labels import MASK_LABELS
from gatecam.pictures.html import Page
from gatecam.training.scores.detector_report import DetectorEvaluation, DetectorReport
from gatecam.training.scores.detector_score import ALL, Rate
from gatecam.training.scores.detector_speed import LIBRARY
from gatecam.training.scores.landmarks import LandmarkScore
from gatecam.training.scores.matching import Match, Truth, side_px
from gatecam.training.scores.page import number, with_interval
from gatecam.training.scores.plots import precision_recall_picture
from gatecam.training.thumbs import around, fitted, jpeg
from gatecam.types import Box, Detection

THUMB_PX = 220
AROUND = 1.4  # surroundings shown of a box, as a fraction of its square
LABELLED, IGNORED, DETECTED = (0, 158, 115), (150, 150, 150), (213, 94, 0)  # RGB
HOW_TO_READ = (
    "A face is found if a detection overlaps its labelled box with an IoU of 0.5 or more. Detections are "
    "matched in order of their scores, and each finds at most one face. Recall is the share of the faces "
    "that are found. Precision is the share of the detections that find a face. A false detection has no "
    "mask state, so precision is given by size only. Brackets contain the 95 % interval of a bootstrap that "
    "draws whole people or scenes with replacement. If no face is missed, the interval has no width, but up "
    "to 3 of as many other faces may still be missed. Faces that are too small or have a doubtful label do "
    "not count, nor do real faces without a label that were found by eye."
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
        matches: the results of the first detector, which is the evaluated one, by picture.
        on_empty: its results on the pictures without a face.
    """
    first, names = evaluation.detectors[0], [d.weights for d in evaluation.detectors]
    page = Page(f"Faces found with {first.weights}")
    page.text(_what_was_scored(evaluation))
    page.table(("faces", "number", *(f"recall, {name}" for name in names)), recall_rows(evaluation.detectors))
    page.table(
        ("detections", *(f"precision, {name}" for name in names)), precision_rows(evaluation.detectors)
    )
    page.text(HOW_TO_READ)
    page.heading("Precision against recall")
    page.picture(_curves(evaluation.detectors), "precision against recall of each detector")
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
    found = report.score.recall[ALL]
    page.heading(f"Faces that {report.weights} misses: {found.of - found.count}")
    page.text(COLOURS)
    page.grid(_missed(matches))
    page.heading(f"False detections of {report.weights}: {sum(len(m.false) for m in matches)}")
    page.text(f"{COLOURS} If one of them is a real face, add it to the list for --known.")
    page.grid(_false(matches))


LANDMARKS = ("landmarks", "detector", "faces", "found", "mean error", "95th percentile")
SPEED = ("frame", "detector", "ms per frame", "speedup over the library")
ALARMS = ("detector", "pictures", "false alarms", "pictures with false alarms")


def recall_rows(reports: Sequence[DetectorReport]) -> Iterator[tuple[str, ...]]:
    """Yield a row for all faces, each mask state and each size, with each detector's recall."""
    for name, of_first in reports[0].score.recall.items():
        yield name, f"{of_first.of:,}", *(_share(report.score.recall[name]) for report in reports)


def precision_rows(reports: Sequence[DetectorReport]) -> Iterator[tuple[str, ...]]:
    """Yield a row of precisions for all detections and for each size, then one of average precisions."""
    for name in reports[0].score.precision:
        rates = [report.score.precision[name] for report in reports]
        yield name, *(f"{_share(rate)} of {rate.of:,}" for rate in rates)
    scores = [report.score for report in reports]
    yield (
        "average precision",
        *(with_interval(s.average_precision, s.average_precision_interval) for s in scores),
    )


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
    score, parameters = evaluation.detectors[0].score, evaluation.parameters
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
    return with_interval(rate.share, rate.interval).replace(" ", "\N{NO-BREAK SPACE}")


def _curves(reports: Sequence[DetectorReport]) -> bytes:
    points = {r.weights: (r.score.recall[ALL].share, r.score.precision[ALL].share) for r in reports}
    return precision_recall_picture({r.weights: r.score.curve for r in reports}, points)


def _missed(matches: Iterable[Match]) -> Iterator[tuple[bytes, str]]:
    for m in matches:
        said = [*m.false, *(d for d in m.found if d is not None)]
        for face, hit in zip(m.truth.faces, m.found, strict=True):
            if hit is None:
                about = f"{MASK_LABELS[face.mask]}, {side_px(face.box):.0f} px"
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
