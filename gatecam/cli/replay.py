"""Run `gatecam replay`, which turns recorded video into events, an annotated video and a summary."""

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
        Path | None, typer.Option(metavar="FILE", help="Write the events, one JSON object per line.")
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(metavar="OUT.mp4", help="Write an annotated video. For several videos: OUT-NAME.mp4."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="OUT.jpg", help="Write one picture with the frames of all events.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show a window. Press q or Esc to end.")] = False,
    blur: BlurOption = None,
    config: ConfigOption = None,
) -> None:
    """Process every frame of recorded video, and give the events that a live camera would have given."""
    missing = missing_of(videos)
    if len(missing) == len(videos):  # if only some are missing, the others are replayed
        raise SourceError("\n".join(missing))
    from gatecam.cli.replaying import Outputs, replay_all
    from gatecam.settings.loading import load

    replay_all(load(config).config, videos, Outputs(events, video, sheet), show, blur)
