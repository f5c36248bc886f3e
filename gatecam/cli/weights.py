"""Run `gatecam weights`, which makes the weights that gatecam ships from archives of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import check_there, exit_if_stopped


def weights(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of archives or folders, teachers and videos.", callback=check_there
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the weights and their specs.")] = Path(
        "models"
    ),
    name: Annotated[
        str, typer.Option(help="gatecam (all pictures), or gatecam-open (those that products may use).")
    ] = "gatecam",
    work: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for labels, checkpoints and reports.")
    ] = Path("runs/weights"),
    no_faces: Annotated[
        list[Path] | None,
        typer.Option(
            "--no-faces",
            metavar="DIR",
            help="Pictures without faces for the detector.",
            show_default=False,
            callback=check_there,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--init",
            metavar="FILE",
            help="First weights of the classifier: faceres.json, a .safetensors, or dlib's .dat.",
            callback=check_there,
        ),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labels that a person corrected (CSV).", callback=check_there),
    ] = None,
    share: Annotated[
        float, typer.Option(min=0.001, max=1, help="Share of the pictures and steps, for a quick trial.")
    ] = 1.0,
) -> None:
    """Unpack, label, split, check, train, calibrate and score: everything from raw pictures to weights.

    After a stop the same command continues.
    """
    from gatecam.training.weights.run import WeightsRequest, make_weights

    exit_if_stopped(
        make_weights(WeightsRequest(data, name, out, work, no_faces or [], start, corrections, share))
    )
