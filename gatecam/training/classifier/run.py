"""Run `gatecam train`: read collections, train, and write weights with their spec and scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stderr
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path

from gatecam.errors import DataError
from gatecam.labels import HEADS
from gatecam.runtime.progress import progress
from gatecam.runtime.stopping import stop_on_signals
from gatecam.training.classifier.learn import Report, Trainer, prepare
from gatecam.training.classifier.recipe import Recipe
from gatecam.training.classifier.sampler import Hints, Sampler, fingerprint_of
from gatecam.training.classifier.teachers import hints_of
from gatecam.training.classifier.validation import Validation
from gatecam.training.data.loading import load_all
from gatecam.training.data.patches import SHIPPED, Faces
from gatecam.training.data.rows import Collection
from gatecam.training.provenance import provenance, timed
from gatecam.training.runs import alone, held_out_by, print_saved, require_weights, train_with_bar
from gatecam.training.scores.report import fitted_temperatures
from gatecam.training.scores.run import evaluate_sets, held_out, judge_all, print_evaluation
from gatecam.training.workers import Workers
from gatecam.vision.graphs import graphs_to_store
from gatecam.vision.mobilenet import read_tensorflow_js
from gatecam.vision.network import served_weights
from gatecam.vision.weights import ModelSpec, save_weights

LICENCE = (
    "Research and evaluation only where trained on ILC or UTKFace, or started from MobileFaceNet's published "
    "weights. HSE-FaceRes (MIT) learnt from VGGFace2, whose pictures are for research. Otherwise as the "
    "pictures' terms say."
)

Sets = list[tuple[Collection, Faces]]


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Holds the arguments of `gatecam train` that are not part of the recipe."""

    data: list[Path]
    split: Path | None
    split_seed: int
    start: Path | None
    run: Path
    out: Path
    cache: Path
    detector: str = SHIPPED  # finds the faces, as in live operation
    teachers: Sequence[Path] = ()  # networks whose features of the bare faces are learnt
    licence: str = LICENCE


def train_and_save(request: TrainRequest, recipe: Recipe) -> bool:
    """Train, calibrate and score on the validation faces, and write the weights and their spec.

    Return False if the run was stopped before the end.

    Raises:
        GatecamError: an argument is wrong, the data cannot be used, or a file cannot be written.
    """
    read = [*request.data, *request.teachers, *filter(None, (request.split, request.start))]
    require_weights(request.out, read)
    if recipe.freeze_stem and request.start is None:
        raise DataError("--freeze-stem keeps the first layers of --init: give --init, or leave it out.")
    workers = Workers.joined()
    with workers.together():
        prepare(recipe, request.start, request.run, workers)
        for path in request.teachers:
            read_tensorflow_js(path)  # before the long work
        with alone(request.run) if workers.first else nullcontext(), timed(request.run) as seconds:
            loaded = _load(request, workers)
            train, validation = (
                held_out(loaded, request.split, part, request.split_seed) for part in ("train", "validation")
            )
            judge = Validation([faces for _, faces in validation], recipe.crop)
            shown = [faces for _, faces in train]
            sampler = Sampler(shown, recipe, _hints(request, shown, workers))
            held = fingerprint_of([faces for _, faces in validation])
            trainer = Trainer(sampler, judge, recipe, request.start, request.run, workers, held)
            if not _train(trainer, workers):
                return False
            if workers.first:
                _save(trainer, train, validation, request, seconds)
    return True


def _load(request: TrainRequest, workers: Workers) -> Sets:
    """Crop all faces. The first process fills the cache and reports problems, the others read the cache."""
    if workers.first:
        loaded = load_all(request.data, request.cache, request.detector)
        workers.wait()
        return loaded
    workers.wait()
    with redirect_stderr(StringIO()):
        return load_all(request.data, request.cache, request.detector)


def _hints(request: TrainRequest, shown: list[Faces], workers: Workers) -> Hints | None:
    """Return what the teachers see in the faces. The first process computes it, the others read it."""
    if not request.teachers:
        return None
    if not workers.first:
        workers.wait()
    with progress("teach", None, "faces") as tick:
        hints = hints_of(request.teachers, shown, request.cache, tick)
    if workers.first:
        workers.wait()
    return hints


def _train(trainer: Trainer, workers: Workers) -> bool:
    """Train with a progress bar in the first process. Return False if the run was stopped."""
    if not workers.first:
        with stop_on_signals() as stop:
            stop.reach(trainer.stop)
            return trainer.train(lambda at: None)
    scores = ""

    def describe(at: Report) -> tuple[int, str]:
        nonlocal scores
        if at.scores:
            scores = ", macro-F1 " + ", ".join(f"{score.head} {score.macro_f1:.3f}" for score in at.scores)
        note = f"epoch {at.epoch + 1}/{at.epochs}, loss {at.loss:.3f}{scores}"
        return at.epoch * at.steps + at.step, note

    return train_with_bar(trainer, trainer.batches, describe)


def _save(
    trainer: Trainer,
    train: Sets,
    validation: Sets,
    request: TrainRequest,
    seconds: Callable[[], int],
) -> None:
    """Calibrate and score the network, write the weights, and print where they are."""
    model, recipe = trainer.model, trainer.recipe
    sets = judge_all(model, recipe.crop, validation, drawn=False)
    fitted = fitted_temperatures(sets)
    spec = ModelSpec(
        name=request.out.stem,
        architecture=model.architecture,
        crop=recipe.crop,
        temperature=dict.fromkeys(HEADS, 1.0) | {head: value for head, (value, _) in fitted.items()},
        data=[f"{collection.name} ({collection.layout}): {len(faces)} faces" for collection, faces in train],
        licence=request.licence,
        made=provenance(request.data, seconds()),
    )
    split = held_out_by(request.split, request.split_seed)
    parameters: dict[str, object] = {"part": "validation", "split": split}
    counts = {head: faces for head, (_, faces) in fitted.items()}
    evaluation = evaluate_sets(spec, sets, counts, parameters)
    made = {
        "recipe": asdict(recipe),
        "teachers": [path.name for path in request.teachers],
        "best_epoch": trainer.best_epoch,
        "held_out": split,
    }
    spec = replace(spec, scores={**evaluation.summary(), **made})
    saved = save_weights(request.out, served_weights(model), spec, graphs_to_store(spec))
    print_evaluation(evaluation)
    print_saved(request.out, saved.sha256, f", of epoch {trainer.best_epoch}")
