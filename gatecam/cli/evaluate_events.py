"""Run `gatecam evaluate-events`, which compares the events of clips with what is true."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import ConfigOption, check_there


def evaluate_events(
    clips: Annotated[
        list[Path],
        typer.Argument(
            metavar="CLIPS...",
            help="Video files, GIFs or folders of pictures.",
            show_default=False,
            callback=check_there,
        ),
    ],
    truth: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="What is true: CSV with clip,person,from_s,to_s,state and optionally never,x,y,width.",
            show_default=False,
            callback=check_there,
        ),
    ],
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an HTML page with a timeline of each clip."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every figure and event as JSON.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Measure whether gatecam tells the right person the right thing, once and in time."""
    from gatecam.bench.events.run import EventsRequest, evaluate_and_print

    evaluate_and_print(EventsRequest(clips=clips, truth=truth, page=page, json_file=json_file, config=config))
