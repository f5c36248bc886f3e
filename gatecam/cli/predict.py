"""Run `gatecam predict`, which classifies faces in pictures, or writes the contest's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.inputs import require_there
from gatecam.cli.options import BlurOption, ConfigOption
from gatecam.errors import OutputError


def predict(
    paths: Annotated[list[Path], typer.Argument(metavar="PATHS...", help="Pictures or folders of pictures.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write one JSON object per picture and line here instead of printing it."
        ),
    ] = None,
    crops: Annotated[bool, typer.Option("--crops", help="Take each picture as one cropped face.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each picture with its faces drawn.")
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the contest's CSV instead (ImageID,ans): the class of each picture's largest face, "
            "in the order of info.csv if there is one.",
        ),
    ] = None,
    blur: BlurOption = None,
    config: ConfigOption = None,
) -> None:
    """Find and classify faces in pictures. Unreadable pictures are listed and skipped, with exit code 1."""
    require_there(paths)
    from gatecam.settings.loading import load

    settings = load(config).config.for_any_picture()
    if submission is not None:
        if out or annotate:
            raise OutputError("--submission is written alone; leave out --out and --annotate.")
        from gatecam.cli.submitting import submit_all

        if submit_all(settings, paths, submission, crops):
            raise typer.Exit(1)
        return
    from gatecam.cli.predicting import predict_all

    blurred = settings.privacy.blur_faces if blur is None else blur
    if predict_all(settings, paths, out, crops, annotate, blurred):
        raise typer.Exit(1)
