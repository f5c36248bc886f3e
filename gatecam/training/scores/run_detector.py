"""Run `gatecam evaluate-detector`, which scores a detector and shows tables, a page and JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from pathlib import Path

from rich.console import Console

from gatecam.capture.found import list_pictures
from gatecam.capture.images import read_image
from gatecam.errors import DataError, SourceError
from gatecam.runtime.progress import progress
from gatecam.settings.schema import DetectorConfig
from gatecam.training.console import table
from gatecam.training.data.loading import open_all, tell_problems
from gatecam.training.data.rows import BARE, Collection, Problem, Row
from gatecam.training.scores.detector_page import (
    ALARMS,
    LANDMARKS,
    SPEED,
    alarm_rows,
    landmark_rows,
    page_of,
    precision_rows,
    recall_rows,
    speed_rows,
)
from gatecam.training.scores.detector_report import (
    LOWERED,
    Contestants,
    DetectorEvaluation,
    DetectorReport,
    contestants,
    false_alarms_of,
    names_of,
)
from gatecam.training.scores.detector_score import score_detections
from gatecam.training.scores.detector_speed import FRAMES, Speed, measure_speed
from gatecam.training.scores.landmarks import LandmarkScore, score_landmarks
from gatecam.training.scores.matching import (
    Match,
    Truth,
    match,
    read_known,
    require_known,
    search,
    truths_of,
    write_false,
)
from gatecam.training.scores.request import ScoreRequest, chosen_rows
from gatecam.types import Image
from gatecam.vision.detector.build import STOCK, Detector
from gatecam.vision.weights import find_weights, hash_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorScoreRequest(ScoreRequest):
    """Holds the arguments of `gatecam evaluate-detector`."""

    min_face_px: int
    known: Path | None
    empty: list[Path]
    landmarks: list[Path]
    errors: Path | None


@dataclass(frozen=True, slots=True)
class _Said:
    """Holds one detector's results, with one match per picture."""

    at_thresholds: list[Match]
    lowered: list[Match]
    on_empty: list[Match]


def evaluate_and_print(request: DetectorScoreRequest) -> None:
    """Score a detector and the stock weights on one part of the data.

    Raises:
        DataError: the part has no faces with boxes, or a list cannot be used.
        ModelError: the weights cannot be used.
        OutputError: a file cannot be written.
        MissingExtraError: a page is requested, and matplotlib is not installed.
    """
    request.check((*request.landmarks, *request.empty, request.known), [request.errors])
    contest = contestants(request.weights, request.min_face_px)
    truths = _truths(request)
    empty = [Truth(str(path), path, str(path), (), ()) for path in list_pictures(request.empty)]
    bare = _bare_faces(request)
    said = _search_all(contest, truths, empty, request.min_face_px)
    landmarks = _landmarks(contest, bare) if bare else {}
    speed = _speed(contest, truths, request.min_face_px)
    evaluation = _evaluation(request, said, landmarks, speed)
    print_evaluation(evaluation)
    first = next(iter(said.values()))
    request.write(evaluation.as_json(), lambda: page_of(evaluation, first.at_thresholds, first.on_empty))
    if request.errors is not None:
        count = write_false(request.errors, first.at_thresholds)
        print(f"false detections: {count} in {request.errors}")


def print_evaluation(evaluation: DetectorEvaluation) -> None:
    """Print tables of recall, precision and speed, and of landmarks and false alarms if requested."""
    console, reports = Console(), evaluation.detectors
    names = [report.weights for report in reports]
    score = reports[0].score
    print(f"{score.faces} faces in {score.pictures} pictures. {score.ignored} other faces are ignored.")
    console.print(
        table("Recall at IoU 0.5, with 95 % intervals", ("faces", "number", *names), recall_rows(reports))
    )
    console.print(
        table("Precision at IoU 0.5, with 95 % intervals", ("detections", *names), precision_rows(reports))
    )
    if reports[0].landmarks:
        console.print(
            table("Landmark errors relative to the eye distance", LANDMARKS, landmark_rows(reports))
        )
    if reports[0].false_alarms is not None:
        console.print(table("Pictures without a face", ALARMS, alarm_rows(reports)))
    console.print(table("Speed, one frame at a time", SPEED, speed_rows(evaluation)))


def _truths(request: DetectorScoreRequest) -> list[Truth]:
    """Return the pictures of the part, with the faces that should be found in them."""
    collections = open_all(request.data)
    known = read_known(request.known) if request.known is not None else {}
    if request.known is not None:
        require_known(known, request.known, collections)
    truths = []
    for collection, rows in _of_part(collections, request):
        truths += truths_of(collection, rows, known, request.min_face_px)
    if not any(truth.faces for truth in truths):
        raise DataError(
            f"the part {request.part} contains no face of {request.min_face_px} px or more. Add pictures, or "
            "choose another --part."
        )
    return truths


def _bare_faces(request: DetectorScoreRequest) -> list[Row]:
    """Return the bare faces of the part to draw masks on."""
    if not request.landmarks:
        return []
    rows = [
        row
        for _, rows in _of_part(open_all(request.landmarks), request)
        for row in rows
        if row.mask == BARE and not row.suspect
    ]
    if not rows:
        raise DataError(f"the part {request.part} contains no bare face. Give --landmarks other pictures.")
    return rows


def _of_part(
    collections: Sequence[Collection], request: DetectorScoreRequest
) -> list[tuple[Collection, list[Row]]]:
    chosen = chosen_rows(collections, request.split, request.part, request.split_seed)
    return [
        (collection, list(compress(collection.rows, rows)))
        for collection, rows in zip(collections, chosen, strict=True)
    ]


def _search_all(
    contest: Contestants, truths: Sequence[Truth], empty: Sequence[Truth], min_face_px: int
) -> dict[str, _Said]:
    """Run each detector on the pictures, at usual and lowered thresholds, and on the empty pictures."""
    usual, lowered = list(contest.usual.values()), list(contest.lowered.values())
    found = _match_all("search", contest, [*usual, *lowered], truths, min_face_px)
    on_empty = _match_all("search empty pictures", contest, usual, empty, min_face_px)
    return {name: _Said(found[i], found[len(usual) + i], on_empty[i]) for i, name in enumerate(contest.usual)}


def _match_all(
    what: str,
    contest: Contestants,
    detectors: Sequence[Detector],
    truths: Sequence[Truth],
    min_face_px: int,
) -> list[list[Match]]:
    """Return each detector's matches on the pictures that can be read."""
    matches: list[list[Match]] = [[] for _ in detectors]
    problems: list[Problem] = []
    paths = [truth.path for truth in truths]
    with progress(what, len(truths), "pictures") as tick:
        for index, found in search(detectors, paths, problems, tick):
            for of_detector, detections in zip(matches, found, strict=True):
                of_detector.append(match(truths[index], detections, min_face_px))
    tell_problems(what, problems)
    if truths and not matches[0]:
        raise DataError(
            f"{truths[0].path}: neither this nor any other picture can be read. Choose other pictures."
        )
    return matches


def _landmarks(contest: Contestants, bare: Sequence[Row]) -> dict[str, dict[str, LandmarkScore]]:
    problems: list[Problem] = []
    with progress("draw masks", None, "faces") as tick:
        scores = score_landmarks(contest.usual, bare, problems, tick)
    tell_problems("landmarks", problems)
    return scores


def _speed(contest: Contestants, truths: Sequence[Truth], min_face_px: int) -> list[Speed]:
    images = list(islice(_readable(truths), FRAMES))
    with progress("time", None, "rounds") as tick:
        return measure_speed(contest.usual, min_face_px, images, contest.device, tick)


def _readable(truths: Sequence[Truth]) -> Iterator[Image]:
    for truth in truths:
        with contextlib.suppress(SourceError):  # already reported during the search
            yield read_image(truth.path)


def _evaluation(
    request: DetectorScoreRequest,
    said: Mapping[str, _Said],
    landmarks: Mapping[str, dict[str, LandmarkScore]],
    speed: list[Speed],
) -> DetectorEvaluation:
    reports = []
    with progress("resample", len(said), "detectors") as tick:
        for (name, of_detector), weights in zip(
            said.items(), names_of(request.weights).values(), strict=True
        ):
            score = score_detections(of_detector.at_thresholds, of_detector.lowered, request.min_face_px)
            alarms = false_alarms_of(of_detector.on_empty) if request.empty else None
            sha256 = "" if weights == STOCK else hash_of(find_weights(weights, "detector.weights"))
            reports.append(DetectorReport(name, sha256, score, alarms, landmarks.get(name, {})))
            tick(len(reports))
    usual = DetectorConfig()
    thresholds = {name: getattr(usual, name) for name in LOWERED}
    return DetectorEvaluation(request.parameters(), thresholds, LOWERED, reports, speed)
