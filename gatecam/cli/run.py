"""Floor 6: `gatecam run`: watch a live camera, speak up, and end cleanly."""

from __future__ import annotations

from typing import Annotated

import typer

from gatecam.cli.options import ConfigOption
from gatecam.cli.stopping import EndedEarly, stop_on_signals


def run(
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Index (0), device (/dev/video0) or URL (rtsp://, http://); default: camera.source.",
            show_default=False,
        ),
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="No window; events are printed as JSON lines.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Watch a camera and say once to each person what is wrong; q, Esc, Ctrl-C or SIGTERM end it."""
    with stop_on_signals() as stop:
        try:
            from gatecam.cli.running import watch
            from gatecam.config import load

            settings = load(config).config
            if camera is not None:
                chosen = settings.camera.model_copy(update={"source": camera})
                settings = settings.model_copy(update={"camera": chosen})
            watch(settings, headless, stop)
        except EndedEarly:
            typer.echo("gatecam: ended before the camera was open.", err=True)
