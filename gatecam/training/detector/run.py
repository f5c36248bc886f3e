"""Run `gatecam train-detector`: read collections, train, and write weights with their spec and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gatecam.errors import DataError
from gatecam.runtime.progress import progress
from gatecam.training.detector.learn import DetectorTrainer, Report, prepare
from gatecam.training.detector.loading import Loaded, Pictures, load_pictures
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.start import mix
from gatecam.training.detector.validation import set_operating_point, validate
from gatecam.training.provenance import provenance, timed
from gatecam.training.runs import alone, held_out_by, print_saved, require_weights, train_with_bar
from gatecam.vision.detector.build import load_detector, save_detector
from gatecam.vision.detector.networks import folded
from gatecam.vision.detector.sizes import ARCHITECTURE
from gatecam.vision.device import pick_device
from gatecam.vision.weights import DetectorSpec

LICENCE = "As the terms of the pictures say; research and evaluation only, where trained on ILC or UTKFace."
NETWORKS = {"pnet": "P-Net", "rnet": "R-Net", "onet": "O-Net"}


@dataclass(frozen=True, slots=True)
class DetectorTrainRequest:
    """Holds the arguments of `gatecam train-detector` that are not part of the recipe."""

    pictures: Pictures
    start: Path | None
    run: Path
    out: Path
    licence: str = LICENCE
    start_share: float = 0.0  # of O-Net's weights in `start` in the result


def train_and_save(request: DetectorTrainRequest, recipe: DetectorRecipe) -> bool:
    """Train, set the operating point on the validation pictures, and write the weights and their spec.

    Return False if the run was stopped before the end.

    Raises:
        GatecamError: an argument is wrong, the data cannot be used, or a file cannot be written.
    """
    pictures = request.pictures
    if request.start_share and request.start is None:
        raise DataError("--start-share mixes in the weights of --init: give --init, or leave it out.")
    read = [
        *pictures.data,
        *pictures.no_faces,
        *filter(None, (pictures.split, request.start)),
    ]
    require_weights(request.out, read)
    prepare(request.run, request.start)
    with alone(request.run), timed(request.run) as seconds:
        loaded = load_pictures(pictures, recipe)
        trainer = DetectorTrainer(loaded.material, loaded.held_out, recipe, request.start, request.run)
        if not _train(trainer):
            return False
        _save(trainer, loaded, request, seconds)
    return True


def _train(trainer: DetectorTrainer) -> bool:
    """Train with a progress bar. Return False if the run was stopped."""
    scores = ""

    def describe(at: Report) -> tuple[int, str]:
        nonlocal scores
        if at.figures:
            scores = f", {at.stage}-Net: {_sentence(at.figures)}"
        doing = at.doing or (f"loss {at.loss:.3f}" if at.loss is not None else "done")
        return at.step, f"{at.stage}: {doing}{scores}"

    return train_with_bar(trainer, trainer.steps, describe)


def _sentence(figures: Mapping[str, float]) -> str:
    return ", ".join(
        f"{value:.1f} candidates per picture"
        if name == "candidates"
        else f"{name.replace('_', ' ')} {value:.4f}"
        for name, value in figures.items()
    )


def _save(
    trainer: DetectorTrainer,
    loaded: Loaded,
    request: DetectorTrainRequest,
    seconds: Callable[[], int],
) -> None:
    """Set the thresholds, score the networks, write the weights, and print where they are."""
    networks, device, pictures = folded(trainer.networks), pick_device("auto"), request.pictures
    if request.start is not None and request.start_share:
        mix(networks.onet, load_detector(request.start)[0].onet, request.start_share)
    with progress("set thresholds", None, "pictures") as tick:
        before = set_operating_point(networks, loaded.held_out, device, tick)
    figures = {}
    for name in NETWORKS:
        with progress(f"validate {NETWORKS[name]}", None, "pictures") as tick:
            figures[name] = validate(networks, name, loaded.held_out, device, tick)
    scores = {
        "validation": {name: _rounded(values) for name, values in figures.items()},
        "after_stages": trainer.figures,
        "thresholds_before_shift": before,
        "recipe": asdict(trainer.recipe),
        "held_out": held_out_by(pictures.split, pictures.split_seed),
    }
    spec = DetectorSpec(
        request.out.stem,
        ARCHITECTURE,
        data=loaded.data,
        scores=scores,
        licence=request.licence,
        made=provenance(pictures.data, seconds()),
    )
    saved = save_detector(request.out, networks.cpu(), spec)
    for name, values in figures.items():
        print(f"{NETWORKS[name]}: {_sentence(values)}")
    print_saved(request.out, saved.sha256)


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}
