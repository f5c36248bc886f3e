"""Floor 6: `gatecam train`: labelled pictures in, weights and their spec out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import IlcOption, SplitSeedOption, UtkfaceOption


def train(
    ilc: IlcOption,
    utkface: UtkfaceOption,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Write the weights here, with their spec as .json beside them."),
    ] = Path("models/gatecam-faces.safetensors"),
    start: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Start from these MobileFaceNet weights (.safetensors)."),
    ] = None,
    run: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Checkpoints and log; a run that was stopped goes on from here."),
    ] = Path("runs/faces"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes.")] = 12,
    samples: Annotated[int, typer.Option(min=100, help="Faces a pass.")] = 7000,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn at random.")] = 1,
    split_seed: SplitSeedOption = 0,
) -> None:
    """Train the mask, gender and age heads, score them on the faces held out, and write the weights."""
    from gatecam.cli.training import train_and_save
    from gatecam.training.learn import Recipe

    recipe = Recipe(epochs=epochs, samples=samples, seed=seed)
    train_and_save(ilc, utkface, out, start, run, recipe, split_seed)
