"""Run `gatecam weights`: unpack, label, split, check, train, calibrate, score and quantize."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import typer

from gatecam.errors import DataError
from gatecam.runtime.files import write_output
from gatecam.training.classifier.run import TrainRequest
from gatecam.training.classifier.run import train_and_save as train_classifier
from gatecam.training.data.layouts import open_collections
from gatecam.training.data.run_check import check_and_print
from gatecam.training.data.split import hashed_parts, write_split
from gatecam.training.detector.loading import Pictures
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.run import DetectorTrainRequest
from gatecam.training.detector.run import train_and_save as train_detector
from gatecam.training.detector.run_label import TABLE, label_and_write
from gatecam.training.extras import require
from gatecam.training.runs import alone, make_folder
from gatecam.training.weights.quantize import quantize
from gatecam.training.weights.sources import (
    OPEN_NAME,
    find_face_teachers,
    find_source,
    find_start,
    find_teachers,
    find_videos,
    sources_of,
    start_of,
)
from gatecam.vision.network import build_network, load_start

SPLIT_SEED = 0
FEWEST_STEPS = 2
SAMPLES = {"gatecam": 12000, OPEN_NAME: 8000}  # faces per epoch; the open list has half as many pictures


@dataclass(frozen=True)
class WeightsRequest:
    """Holds the arguments of `gatecam weights`."""

    data: Path
    name: str  # "gatecam" or "gatecam-open"
    out: Path
    work: Path
    no_faces: list[Path]
    init: Path | None  # the classifier's first weights, or None for those in the data
    corrections: Path | None  # labels that a person corrected
    share: float  # of the pictures and of the training steps

    @cached_property
    def labelled(self) -> Path:
        """Return the folder of the labelled pictures."""
        return self.work / "labelled"

    @cached_property
    def start(self) -> Path | None:
        """Return the classifier's first weights, or None if it starts from random ones."""
        return self.init or find_start(self.data, self.name)

    @property
    def licence(self) -> str:
        """Return what the terms of all pictures and of the first weights say."""
        terms = [f"{source.name}: {source.terms}" for source in sources_of(self.name)]
        return "; ".join([*terms, f"first weights: {start_of(self.start).terms}"]) + "."

    def tables(self, of_classifier: bool) -> list[Path]:
        """Return the labelled collections for one of the trainings."""
        named = [s.name for s in sources_of(self.name) if (s.classifier if of_classifier else s.detector)]
        videos = [] if of_classifier else [path.stem for path in find_videos(self.data)]
        folders = [self.labelled / name for name in [*named, *videos]]
        return [folder for folder in folders if len((folder / TABLE).read_text().splitlines()) > 1]


def make_weights(request: WeightsRequest) -> bool:
    """Make both files of a pair of weights. Return False if the run was stopped before the end.

    After a stop the same command continues. Steps that were done are quick the second time.

    Raises:
        GatecamError: pictures are missing or damaged, a file cannot be written, or NNCF is not installed.
    """
    if not find_teachers(request.data):
        raise DataError(f"{request.data}: has no teachers/*.onnx. Add CenterFace and YuNet.")
    require("nncf", "Quantizing")
    recipe = start_of(request.start).recipe
    if request.start is not None:  # before the detector's hours
        load_start(build_network(recipe.backbone, recipe.heads), request.start)
    make_folder(request.out)
    make_folder(request.work)
    with alone(request.work):
        return _take_steps(request)


def _take_steps(request: WeightsRequest) -> bool:
    steps: list[tuple[str, Callable[[WeightsRequest], bool]]] = [
        ("label", _label),
        ("split", _split),
        ("check", _check),
        ("train the detector", _train_detector),
        ("train the classifier", _train_classifier),
        ("quantize the classifier", _quantize),
    ]
    for number, (what, step) in enumerate(steps, 1):
        print(f"step {number} of {len(steps)}: {what}", flush=True)
        begun_s = time.monotonic()
        done = step(request)
        _note_time(request.work, what, time.monotonic() - begun_s)
        if not done:
            return False
    return True


def _note_time(work: Path, what: str, spent_s: float) -> None:
    """Add the seconds that a step took to `times.json`, over all runs of the command."""
    path = work / "times.json"
    times = json.loads(path.read_text()) if path.exists() else {}
    times[what] = round(times.get(what, 0) + spent_s)
    write_output(path, json.dumps(times, indent=2) + "\n")


def _label(request: WeightsRequest) -> bool:
    folders = [
        find_source(source.name, request.data, request.work / "data") for source in sources_of(request.name)
    ]
    sources = [*folders, *find_videos(request.data)]
    label_and_write(
        sources,
        find_teachers(request.data),
        request.labelled,
        request.work / "labels.html",
        request.corrections,
        request.share,
    )
    return True


def _split(request: WeightsRequest) -> bool:
    collections = open_collections(sorted({*request.tables(False), *request.tables(True)}))
    parts = [hashed_parts(collection, SPLIT_SEED) for collection in collections]
    path = request.work / "split.csv"
    write_split(path, collections, parts)
    held = sum(part == "validation" for of_rows in parts for part in of_rows)
    print(f"{path}: {held:,} of {sum(map(len, parts)):,} faces are held out")
    return True


def _check(request: WeightsRequest) -> bool:
    """Write the findings of `gatecam data check`. They are for a person to read, and stop nothing."""
    try:
        check_and_print(
            sorted({*request.tables(False), *request.tables(True)}),
            split=None,
            page=request.work / "check.html",
            csv_file=None,
            labels=False,
            weights="",
            folds=2,
            cache=request.work / "cache",
        )
    except typer.Exit:
        print("The findings make scores look better than they are. See the page.")
    return True


def _steps(of_recipe: int, share: float) -> int:
    return max(FEWEST_STEPS, round(of_recipe * share))


def _train_detector(request: WeightsRequest) -> bool:
    usual = DetectorRecipe()
    recipe = replace(
        usual,
        p_steps=_steps(usual.p_steps, request.share),
        r_steps=_steps(usual.r_steps, request.share),
        o_steps=_steps(usual.o_steps, request.share),
    )
    pictures = Pictures(request.tables(False), request.no_faces, None, SPLIT_SEED)
    out = request.out / f"{request.name}-mtcnn.safetensors"
    return train_detector(
        DetectorTrainRequest(pictures, None, request.work / "detector", out, request.licence), recipe
    )


def _train_classifier(request: WeightsRequest) -> bool:
    usual = start_of(request.start).recipe
    recipe = replace(
        usual,
        epochs=_steps(usual.epochs, request.share),
        samples=max(usual.batch, round(SAMPLES[request.name] * request.share)),
    )
    return train_classifier(
        TrainRequest(
            request.tables(True),
            None,
            SPLIT_SEED,
            request.start,
            request.work / "classifier",
            request.out / f"{request.name}-faces.safetensors",
            request.work / "cache",
            str(request.out / f"{request.name}-mtcnn.safetensors"),
            find_face_teachers(request.start),
            request.licence,
        ),
        recipe,
    )


def _quantize(request: WeightsRequest) -> bool:
    """Add a graph for int8 to the classifier."""
    detector, classifier = (request.out / f"{request.name}-{kind}.safetensors" for kind in ("mtcnn", "faces"))
    quantize(classifier, request.tables(True), request.work / "cache", SPLIT_SEED, str(detector))
    return True
