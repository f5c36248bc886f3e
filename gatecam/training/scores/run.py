"""Run `gatecam evaluate`, which scores weights on faces and shows tables, a page and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gatecam.errors import DataError, OutputError
from gatecam.runtime.files import write_output
from gatecam.runtime.outputs import require_apart, require_folder
from gatecam.runtime.progress import progress
from gatecam.training.data.loading import load_all
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import Collection
from gatecam.training.data.split import parts_of
from gatecam.training.extras import require
from gatecam.training.scores.page import number, page_of, with_interval
from gatecam.training.scores.report import MIN_TO_FIT, Evaluation, SetReport, fitted_temperatures, report_of
from gatecam.training.scores.score import HEAD_LABELS
from gatecam.training.scores.sets import Judged, judge, pictures_of
from gatecam.vision.classifier import load_classifier
from gatecam.vision.crops import CropSpec
from gatecam.vision.device import pick_device
from gatecam.vision.network import FaceNetwork
from gatecam.vision.weights import ModelSpec, find_weights, load_weights, save_weights

ALL = "all"  # faces of every part
Held = Sequence[tuple[Collection, Faces]]


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Holds the parameters of `gatecam evaluate`."""

    data: list[Path]
    weights: str
    split: Path | None
    part: str
    drawn: bool
    page: Path | None
    json_file: Path | None
    fit: bool
    cache: Path
    split_seed: int


def evaluate_and_print(request: ScoreRequest) -> None:
    """Score weights on one part of the data. With `fit`, first fit their temperatures there.

    Raises:
        DataError: the part has no faces with labels.
        OutputError: a file cannot be written.
        MissingExtraError: a page is requested, and matplotlib is not installed.
    """
    _check(request)
    model, spec = load_classifier(request.weights)
    model.to(pick_device("auto"))
    held = held_out(load_all(request.data, request.cache), request.split, request.part, request.split_seed)
    sets = judge_all(model, spec.crop, held, request.drawn)
    fitted: dict[str, int] = {}
    if request.fit:
        spec, fitted = _fit(request.weights, spec, sets)
    evaluation = evaluate_sets(spec, sets, fitted, _parameters(request))
    print_evaluation(evaluation)
    if request.json_file is not None:
        text = json.dumps(evaluation.as_json(), indent=2, ensure_ascii=False) + "\n"
        write_output(request.json_file, text)
        print(f"scores: {request.json_file}")
    if request.page is not None:
        page_of(evaluation, sets).write(request.page)
        print(f"page: {request.page}")


def held_out(loaded: Held, split: Path | None, part: str, seed: int) -> list[tuple[Collection, Faces]]:
    """Return each collection with its faces of one part, or with all faces if the part is "all".

    Raises:
        DataError: the split cannot be used, or no face is in the part.
    """
    if part == ALL:
        return list(loaded)
    held = []
    for (collection, faces), parts in zip(
        loaded, parts_of([collection for collection, _ in loaded], split, seed), strict=True
    ):
        held.append((collection, faces.take(np.array(parts)[faces.rows] == part)))
    if not any(len(faces) for _, faces in held):
        raise DataError(f"the part {part} contains no face. Add pictures, or choose another --part.")
    return held


def judge_all(model: FaceNetwork, crop: CropSpec, held: Held, drawn: bool) -> list[Judged]:
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
        spec: the spec of the weights.
        sets: the judged pictures.
        fitted: number of these faces that a head's temperature was fitted on, by head.
        parameters: parameters from the command line.
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
        console.print(_table("Heads, with 95 % intervals", _HEADS, _head_rows(report)))
        console.print(_table("Labels", _LABELS, _label_rows(report)))
        gaps = list(_gap_rows(report))
        if gaps:
            console.print(_table("Widest gaps in accuracy between groups", _GAPS, gaps))
        for note in report.notes:
            print(note)


def _check(request: ScoreRequest) -> None:
    """Check before the long work that its results can be written."""
    if request.part == "test" and request.split is None:
        raise DataError("without a split file there is no test part: give --split, or another --part.")
    outputs = [path for path in (request.page, request.json_file) if path is not None]
    for path in outputs:
        require_folder(path)
    require_apart(outputs, [*request.data, *([request.split] if request.split else [])])
    if request.page is not None:
        require("matplotlib", "A page of scores")
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
    spec = save_weights(path, tensors, replace(spec, temperature=temperature))
    print(f"spec: {path.with_suffix('.json')}")
    return spec, {head: faces for head, (_, faces) in fitted.items()}


def _parameters(request: ScoreRequest) -> dict[str, object]:
    return {
        "data": [str(path) for path in request.data],
        "weights": request.weights,
        "split": str(request.split) if request.split else None,
        "part": request.part,
        "drawn": request.drawn,
        "fit": request.fit,
        "split_seed": request.split_seed,
    }


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


def _table(
    title: str, columns: Sequence[str], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]
) -> Table:
    table = Table(title=escape(title))
    for column in columns:
        table.add_column(column, no_wrap="F1" in column)
    for row in rows:
        table.add_row(*map(escape, row))
    return table
