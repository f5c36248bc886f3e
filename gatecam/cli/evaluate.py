"""Run `gatecam evaluate`, which scores weights on faces that they were not trained on."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import CacheOption, DataOption, Device, DeviceOption, SplitOption, SplitSeedOption


class Part(StrEnum):
    """Lists what can be scored: a part of a split, or everything."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


def evaluate(
    data: DataOption,
    weights: Annotated[
        str, typer.Option(metavar="NAME", help="Name of shipped weights, or a .safetensors file.")
    ] = "gatecam-faces",
    split: SplitOption = None,
    part: Annotated[
        Part, typer.Option(help="Part to score. Use all only if none of the faces was trained on.")
    ] = Part.VALIDATION,
    drawn: Annotated[
        bool, typer.Option("--drawn/--no-drawn", help="Also score bare faces with masks drawn on them.")
    ] = True,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an HTML page with plots and the worst mistakes."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every number as JSON.")
    ] = None,
    fit: Annotated[
        bool,
        typer.Option("--fit", help="Fit the temperatures on these faces first, and write them to the spec."),
    ] = False,
    cache: CacheOption = Path("runs/cache"),
    split_seed: SplitSeedOption = 0,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Score weights on held-out faces: F1 and calibration, overall and by group, with intervals."""
    from gatecam.training.scores.run import ClassifierScoreRequest, evaluate_and_print

    request = ClassifierScoreRequest(
        data=data,
        weights=weights,
        split=split,
        part=part.value,
        drawn=drawn,
        page=page,
        json_file=json_file,
        fit=fit,
        cache=cache,
        split_seed=split_seed,
        device=device.value,
    )
    evaluate_and_print(request)
