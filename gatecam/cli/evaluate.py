"""Floor 6: `gatecam evaluate`: how well some weights do on the faces that training held out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import IlcOption, SplitSeedOption, UtkfaceOption


def evaluate(
    ilc: IlcOption,
    utkface: UtkfaceOption,
    weights: Annotated[
        str, typer.Option(metavar="NAME", help="Shipped weights by name, or a .safetensors file.")
    ] = "gatecam-faces",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the scores as JSON as well.")
    ] = None,
    run: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the cut faces of `train` are kept, and looked for.")
    ] = Path("runs/faces"),
    split_seed: SplitSeedOption = 0,
) -> None:
    """Score weights on the held-out faces: F1, recall, precision and calibration of each head."""
    from gatecam.cli.training import evaluate_and_print

    evaluate_and_print(ilc, utkface, weights, json_file, run, split_seed)
