"""Run `gatecam run`, which watches live cameras and ends cleanly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gatecam.capture.devices import require_camera
from gatecam.cli.options import ConfigOption
from gatecam.kiosk.notify_socket import Notifier
from gatecam.kiosk.restarts import forget_starts, hold_back, in_service
from gatecam.kiosk.unit import START_LIMIT_S
from gatecam.runtime.logs import say, set_up
from gatecam.runtime.stopping import EndedEarly, stop_on_signals

if TYPE_CHECKING:
    from gatecam.people.pipeline import People
    from gatecam.runtime.telemetry import Telemetry


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
    full_screen: Annotated[
        bool,
        typer.Option(
            "--full-screen", help="Let the window fill the screen. The key f turns this on and off."
        ),
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
            from gatecam.app import watch

            people, telemetry = watch(loaded, camera, headless, web, stop, full_screen)
        except EndedEarly:
            if in_service():
                forget_starts()
            say("ended before the camera was open.")
            return
    if in_service():
        forget_starts()
    else:  # a service's journal is for single lines
        _print_summary(people, telemetry)


def _print_summary(people: People, telemetry: Telemetry) -> None:
    """Print the summary to standard error, because standard output holds only events."""
    from gatecam.cli.summary import print_latencies, print_people, print_searches
    from gatecam.runtime.console import open_console
    from gatecam.runtime.wall_clock import time_of_day

    console = open_console(stderr=True)
    print_people(console, people, time_of_day)
    print_latencies(console, telemetry.latencies())
    print_searches(console, telemetry)
    counts = {
        name: telemetry.counter(f"{name}_dropped") for name in ("frames", "print", "log", "store", "sound")
    }
    lost = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    console.print(f"Dropped: {lost or 'nothing'}.")
