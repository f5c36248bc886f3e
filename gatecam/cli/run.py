"""Run `gatecam run`, which watches live cameras and ends cleanly."""

from __future__ import annotations

from typing import Annotated

import typer

from gatecam.capture.devices import require_camera
from gatecam.cli.options import ConfigOption
from gatecam.kiosk.notify_socket import Notifier
from gatecam.kiosk.restarts import forget_starts, hold_back, in_service
from gatecam.kiosk.unit import START_LIMIT_S
from gatecam.runtime.logs import set_up
from gatecam.runtime.stopping import EndedEarly, stop_on_signals


def run(
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Index (0), device (/dev/video0) or URL (rtsp://, http://). Default: from the settings.",
            show_default=False,
        ),
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Open no window, and print events as JSON lines.")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Serve the web pages: the door page and the operator's page.")
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log to standard error as one JSON object per line.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Watch cameras and alert each person once about a missing or wrong mask.

    Press q, Esc or Ctrl-C, or send SIGTERM, to end it. Changed settings are applied while it runs, when the
    settings file is saved or on SIGHUP.
    """
    set_up(as_json=log_json)
    with stop_on_signals() as stop:
        try:
            if in_service():
                hold_back(Notifier(), START_LIMIT_S)  # before loading the settings, which may be what fails
            from gatecam.settings.loading import load

            loaded = load(config)
            if not in_service() and (camera is not None or not loaded.config.cameras):
                require_camera(camera or loaded.config.camera.source)
            from gatecam.cli.running import watch

            watch(loaded, camera, headless, web, stop)
        except EndedEarly:
            if in_service():
                forget_starts()
            typer.echo("gatecam: ended before the camera was open.", err=True)
