"""Run `gatecam evaluate-detector`, which scores a detector and shows tables, a page and JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    GAPS,
    JOINT,
    JOINT_LABELS,
    LANDMARKS,
    SPEED,
    TEACHERS_FLATTERED,
    alarm_rows,
    gap_rows,
    joint_label_rows,
    joint_rows,
    landmark_rows,
    page_of,
    score_tables,
    speed_rows,
)
from gatecam.training.scores.detector_report import (
    LOWERED,
    Contestants,
    DetectorEvaluation,
    DetectorReport,
    SureTeacher,
    contestants,
    false_alarms_of,
    names_of,
)
from gatecam.training.scores.detector_score import IOUS, score_detections
from gatecam.training.scores.detector_speed import FRAMES, Speed, measure_speed
from gatecam.training.scores.joint import Said, classify_found, joint_scores
from gatecam.training.scores.landmarks import LandmarkScore, score_landmarks
from gatecam.training.scores.leaks import leaks_of, print_leaks
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
from gatecam.types import Detection, Image
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.detector.build import STOCK
from gatecam.vision.device import Backend, pick_backend
from gatecam.vision.weights import DetectorSpec, find_weights, hash_of, read_detector_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorScoreRequest(ScoreRequest):
    """Holds the arguments of `gatecam evaluate-detector`."""

    teachers: list[Path]
    classifier: str
    min_face_px: int
    known: Path | None
    empty: list[Path]
    landmarks: list[Path]
    errors: Path | None


@dataclass(frozen=True, slots=True)
class _Found:
    """Holds one detector's results, with one entry per picture."""

    usual: dict[float, list[Match]]  # by IoU
    lowered: dict[float, list[Match]]
    said: list[Said]  # the classifier's predictions of the faces that are found at `IOUS[0]`
    on_empty: list[Match]


def evaluate_and_print(request: DetectorScoreRequest) -> None:
    """Score a detector, the stock weights and teachers on one part of the data.

    Raises:
        DataError: the part has no faces with boxes, or a list cannot be used.
        ModelError: the weights cannot be used.
        OutputError: a file cannot be written.
        MissingExtraError: a page is requested, and matplotlib is not installed.
    """
    request.check((*request.landmarks, *request.empty, request.known), [request.errors])
    collections = open_all(request.data)
    truths = _truths(request, collections)
    empty = [Truth(str(path), path, str(path), (), ()) for path in list_pictures(request.empty)]
    bare = _bare_faces(request)
    backend = pick_backend(request.device)
    contest = contestants(request.weights, request.teachers, request.min_face_px, backend)
    classifier = FaceClassifier(request.classifier, backend)
    leaks = leaks_of(request, collections, [*_detector_specs(request.weights), classifier.spec])
    found = _search_all(contest, classifier, truths, empty, request.min_face_px)
    landmarks = _landmarks(contest, bare) if bare else {}
    speed = _speed(contest, truths, request.min_face_px, backend)
    evaluation = _evaluation(request, found, landmarks, speed, leaks)
    print_evaluation(evaluation)
    first = next(iter(found.values()))
    matches = first.usual[IOUS[0]]
    request.write(evaluation.as_json(), lambda: page_of(evaluation, matches, first.on_empty))
    if request.errors is not None:
        count = write_false(request.errors, matches)
        print(f"false detections: {count} in {request.errors}")


def print_evaluation(evaluation: DetectorEvaluation) -> None:
    """Print tables of recall, precision, gaps, joint figures and speed, and of what else is requested."""
    console, reports = Console(), evaluation.detectors
    score = next(iter(reports[0].scores.values()))
    print(f"{score.faces} faces in {score.pictures} pictures. {score.ignored} other faces are ignored.")
    if evaluation.parameters["teachers"]:
        console.print(TEACHERS_FLATTERED, markup=False, highlight=False)
    for title, columns, rows in score_tables(reports):
        console.print(table(title, columns, rows))
    if gaps := list(gap_rows(reports)):
        console.print(table("Widest gaps in recall between groups", GAPS, gaps, 3))
    console.print(table("Found and classified correctly", JOINT, joint_rows(reports), 3))
    console.print(
        table(f"The same by label, {reports[0].weights}", JOINT_LABELS, joint_label_rows(reports[0]), 3)
    )
    if reports[0].landmarks:
        console.print(
            table("Landmark errors relative to the eye distance", LANDMARKS, landmark_rows(reports))
        )
    if reports[0].false_alarms is not None:
        console.print(table("Pictures without a face", ALARMS, alarm_rows(reports)))
    console.print(table("Speed, one frame at a time", SPEED, speed_rows(evaluation)))
    print_leaks(evaluation.leaks)


def _truths(request: DetectorScoreRequest, collections: Sequence[Collection]) -> list[Truth]:
    """Return the pictures of the part, with the faces that should be found in them."""
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
    contest: Contestants,
    classifier: FaceClassifier,
    truths: Sequence[Truth],
    empty: Sequence[Truth],
    min_face_px: int,
) -> dict[str, _Found]:
    """Run each detector on the pictures, at usual and lowered thresholds, and on the empty pictures.

    Raises:
        DataError: no picture can be read.
    """
    found = {name: _Found({at: [] for at in IOUS}, {at: [] for at in IOUS}, [], []) for name in contest.usual}
    for truth, image, usual, lowered in _searched("search", contest, truths):
        for name, one in found.items():
            for at in IOUS:
                one.usual[at].append(match(truth, usual[name], min_face_px, at, image))
                one.lowered[at].append(match(truth, lowered[name], min_face_px, at, image))
            one.said.append(classify_found(classifier, image, one.usual[IOUS[0]][-1]))
    for truth, image, usual, _ in _searched("search empty pictures", replace(contest, lowered={}), empty):
        for name, one in found.items():
            one.on_empty.append(match(truth, usual[name], min_face_px, frame=image))
    return found


Detections = dict[str, list[Detection]]  # in one picture, by detector


def _searched(
    what: str, contest: Contestants, truths: Sequence[Truth]
) -> Iterator[tuple[Truth, Image, Detections, Detections]]:
    """Yield each picture that can be read, with the detections at usual and at lowered thresholds.

    A teacher searches a picture once.
    """
    problems: list[Problem] = []
    paths = [truth.path for truth in truths]
    again = {
        name: teacher
        for name, teacher in contest.usual.items()
        if isinstance(teacher, SureTeacher) and name in contest.lowered
    }
    usual = {name: detector for name, detector in contest.usual.items() if name not in again}
    readable = False
    with progress(what, len(truths), "pictures") as tick:
        for index, image, found in search(
            [*usual.values(), *contest.lowered.values()], paths, problems, tick
        ):
            readable = True
            at_usual = dict(zip(usual, found, strict=False))
            lowered = dict(zip(contest.lowered, found[len(usual) :], strict=True))
            at_usual |= {name: teacher.sure_of(lowered[name]) for name, teacher in again.items()}
            yield truths[index], image, at_usual, lowered
    tell_problems(what, problems)
    if truths and not readable:
        raise DataError(
            f"{truths[0].path}: neither this nor any other picture can be read. Choose other pictures."
        )


def _landmarks(contest: Contestants, bare: Sequence[Row]) -> dict[str, dict[str, LandmarkScore]]:
    problems: list[Problem] = []
    with progress("draw masks", None, "faces") as tick:
        scores = score_landmarks(contest.usual, bare, problems, tick)
    tell_problems("landmarks", problems)
    return scores


def _speed(contest: Contestants, truths: Sequence[Truth], min_face_px: int, backend: Backend) -> list[Speed]:
    images = list(islice(_readable(truths), FRAMES))
    with progress("time", None, "rounds") as tick:
        return measure_speed(contest.usual, min_face_px, images, backend.device, tick)


def _readable(truths: Sequence[Truth]) -> Iterator[Image]:
    for truth in truths:
        with contextlib.suppress(SourceError):  # already reported during the search
            yield read_image(truth.path)


def _evaluation(
    request: DetectorScoreRequest,
    found: Mapping[str, _Found],
    landmarks: Mapping[str, dict[str, LandmarkScore]],
    speed: list[Speed],
    leaks: list[str],
) -> DetectorEvaluation:
    reports = []
    files = names_of(request.weights, request.teachers)
    with progress("resample", len(found), "detectors") as tick:
        for name, one in found.items():
            scores = {
                f"{at:g}": score_detections(one.usual[at], one.lowered[at], request.min_face_px)
                for at in IOUS
            }
            joint = joint_scores(one.usual[IOUS[0]], one.said)
            alarms = false_alarms_of(one.on_empty) if request.empty else None
            sha256 = _sha256_of(files[name])
            reports.append(DetectorReport(name, sha256, scores, joint, alarms, landmarks.get(name, {})))
            tick(len(reports))
    usual = DetectorConfig()
    thresholds = {name: getattr(usual, name) for name in LOWERED}
    return DetectorEvaluation(request.parameters(), thresholds, LOWERED, reports, speed, leaks)


def _detector_specs(weights: str) -> list[DetectorSpec]:
    return [] if weights == STOCK else [read_detector_spec(find_weights(weights, "detector.weights"))]


def _sha256_of(weights: str) -> str:
    if weights == STOCK:
        return ""
    return hash_of(Path(weights) if weights.endswith(".onnx") else find_weights(weights, "detector.weights"))
