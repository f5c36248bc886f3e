"""`gatecam replay`: recorded video in; events, an annotated video and a summary out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.inputs import missing_of
from gatecam.cli.options import BlurOption, ConfigOption
from gatecam.errors import SourceError


def replay(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO...", help="Video files, GIFs or folders of pictures.")
    ],
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the events, one JSON object a line.")
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(metavar="OUT.mp4", help="Write an annotated video; for several, OUT-NAME.mp4."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="OUT.jpg", help="Write one picture of the moments of all events.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show a window meanwhile; q or Esc ends.")] = False,
    blur: BlurOption = None,
    config: ConfigOption = None,
) -> None:
    """Judge every frame of recorded video, and tell what a live camera would have told."""
    missing = missing_of(videos)
    if len(missing) == len(videos):  # of several the others are replayed
        raise SourceError("\n".join(missing))
    from gatecam.cli.replaying import Outputs, replay_all
    from gatecam.settings.config import load

    replay_all(load(config).config, videos, Outputs(events, video, sheet), show, blur)
