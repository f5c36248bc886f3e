"""Run `gatecam evaluate`, which scores weights on faces and shows tables, a page and JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from torch import nn

from gatecam.errors import DataError, OutputError
from gatecam.runtime.progress import progress
from gatecam.settings.schema import Device
from gatecam.training.console import table
from gatecam.training.data.loading import load_all
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import HEAD_LABELS, Collection
from gatecam.training.scores.leaks import leaks_of, print_leaks
from gatecam.training.scores.page import number, page_of, with_interval
from gatecam.training.scores.report import MIN_TO_FIT, Evaluation, SetReport, fitted_temperatures, report_of
from gatecam.training.scores.request import EVERYTHING, ScoreRequest, chosen_rows
from gatecam.training.scores.score import Served
from gatecam.training.scores.sets import Judged, judge, pictures_of
from gatecam.vision.classifier import FaceClassifier, load_classifier
from gatecam.vision.crops import CropSpec
from gatecam.vision.device import pick_backend, pick_device
from gatecam.vision.weights import ModelSpec, find_weights, load_stored, load_weights, save_weights

Held = Sequence[tuple[Collection, Faces]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierScoreRequest(ScoreRequest):
    """Holds the arguments of `gatecam evaluate`."""

    drawn: bool
    fit: bool
    cache: Path


def evaluate_and_print(request: ClassifierScoreRequest) -> None:
    """Score weights on one part of the data. With `fit`, first fit their temperatures there.

    Raises:
        DataError: the part has no faces with labels.
        OutputError: a file cannot be written.
        MissingExtraError: a page is requested, and matplotlib is not installed.
    """
    _check(request)
    model, spec = _network(request.weights, request.device)
    loaded = load_all(request.data, request.cache)
    held = held_out(loaded, request.split, request.part, request.split_seed)
    leaks = leaks_of(request, [collection for collection, _ in loaded], [spec])
    sets = judge_all(model, spec.crop, held, request.drawn)
    fitted: dict[str, int] = {}
    if request.fit:
        spec, fitted = _fit(request.weights, spec, sets)
    evaluation = replace(evaluate_sets(spec, sets, fitted, request.parameters()), leaks=leaks)
    print_evaluation(evaluation)
    request.write(evaluation.as_json(), lambda: page_of(evaluation, sets))


def _network(weights: str, device: Device) -> tuple[nn.Module, ModelSpec]:
    """Load a classifier's network on a device, and its spec."""
    if device in ("auto", "cpu", "cuda"):
        model, spec = load_classifier(weights)
        return model.to(pick_device(device)), spec
    classifier = FaceClassifier(weights, pick_backend(device))
    return Served(classifier), classifier.spec


def held_out(loaded: Held, split: Path | None, part: str, seed: int) -> list[tuple[Collection, Faces]]:
    """Return each collection with its faces of one part, or with all faces if the part is "all".

    Raises:
        DataError: the split cannot be used, or no face is in the part.
    """
    if part == EVERYTHING:
        return list(loaded)
    chosen = chosen_rows([collection for collection, _ in loaded], split, part, seed)
    held = [
        (collection, faces.take(rows[faces.rows]))
        for (collection, faces), rows in zip(loaded, chosen, strict=True)
    ]
    if not any(len(faces) for _, faces in held):
        raise DataError(f"the part {part} contains no face. Add pictures, or choose another part or split.")
    return held


def judge_all(model: nn.Module, crop: CropSpec, held: Held, drawn: bool) -> list[Judged]:
    """Classify the unchanged faces and, if `drawn`, also bare faces with drawn masks.

    Raises:
        DataError: no face has a label to score a head with.
    """
    sets = []
    for pictures in pictures_of(held, drawn):
        with progress(f"score {pictures.name}", len(pictures), "faces") as tick:
            sets.append(judge(model, crop, pictures, tick))
    if not sets:
        raise DataError("no head can be scored: give faces of more than one mask state, or gender, or age.")
    return sets


def evaluate_sets(
    spec: ModelSpec, sets: Sequence[Judged], fitted: dict[str, int], parameters: dict[str, object]
) -> Evaluation:
    """Score judged pictures with the temperatures of a spec.

    Args:
        fitted: number of these faces that a head's temperature was fitted on, by head.
    """
    with progress("resample", len(sets), "sets") as tick:
        reports = []
        for judged in sets:
            reports.append(report_of(judged, spec.temperature))
            tick(len(reports))
    return Evaluation(spec.name, spec.sha256, dict(spec.temperature), fitted, parameters, reports)


def print_evaluation(evaluation: Evaluation) -> None:
    """Print tables of each set's heads, of their labels, and of the widest gaps between groups."""
    console = Console()
    for report in evaluation.sets:
        print(f"\n{report.name}: {report.about}")
        console.print(table("Heads, with 95 % intervals", _HEADS, _head_rows(report)))
        console.print(table("Labels", _LABELS, _label_rows(report), 2))
        gaps = list(_gap_rows(report))
        if gaps:
            console.print(table("Widest gaps in accuracy between groups", _GAPS, gaps, 2))
        for note in report.notes:
            print(note)
    print_leaks(evaluation.leaks)


def _check(request: ClassifierScoreRequest) -> None:
    """Check before the long work that its results can be written."""
    request.check()
    if request.fit and not os.access(folder := find_weights(request.weights).parent, os.W_OK):
        raise OutputError(
            f"{folder}: cannot be written to, so --fit cannot store its result. Copy the weights elsewhere."
        )


def _fit(weights: str, spec: ModelSpec, sets: Sequence[Judged]) -> tuple[ModelSpec, dict[str, int]]:
    """Fit the temperatures, write them to the spec beside the weights, and print them.

    Returns:
        The new spec, and the number of faces that each fitted head was fitted on.
    """
    fitted = fitted_temperatures(sets)
    for head in HEAD_LABELS:
        before = spec.temperature[head]
        if head in fitted:
            print(f"{head}: temperature {fitted[head][0]:g} (was {before:g}), on {fitted[head][1]} faces")
        else:
            print(f"{head}: temperature {before:g} kept, because fewer than {MIN_TO_FIT} faces have a label")
    path = find_weights(weights)
    tensors, _ = load_weights(path)
    temperature = {**spec.temperature, **{head: value for head, (value, _) in fitted.items()}}
    spec = save_weights(path, tensors, replace(spec, temperature=temperature), load_stored(path).graphs)
    print(f"spec: {path.with_suffix('.json')}")
    return spec, {head: faces for head, (_, faces) in fitted.items()}


_HEADS = ("head", "faces", "macro-F1", "micro-F1", "ECE", "ECE cross fitted")
_LABELS = ("head", "label", "faces", "precision", "recall", "F1")
_GAPS = ("head", "by", "gap", "best", "worst")


def _head_rows(report: SetReport) -> Iterator[tuple[str, ...]]:
    for head, r in report.heads.items():
        macro = with_interval(r.score.macro_f1, r.intervals["macro_f1"])
        micro = with_interval(r.score.micro_f1, r.intervals["micro_f1"])
        yield head, str(r.score.faces), macro, micro, number(r.score.ece), number(r.ece_cross_fitted)


def _label_rows(report: SetReport) -> Iterator[tuple[str, ...]]:
    for head, r in report.heads.items():
        for label, faces in r.score.support.items():
            if faces:
                values = (r.score.precision[label], r.score.recall[label], r.score.f1[label])
                yield head, label, str(faces), *map(number, values)


def _gap_rows(report: SetReport) -> Iterator[tuple[str, ...]]:
    for head, r in report.heads.items():
        for gap in r.gaps:
            yield head, gap.attribute, number(gap.width), gap.best, gap.worst
