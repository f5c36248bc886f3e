"""Run `gatecam status`, which is also the health check of the container."""

from __future__ import annotations

from typing import Annotated

import typer


def status(
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per running program and line.")
    ] = False,
) -> None:
    """Show how the running gatecam is doing: cameras, rates, outputs, device, memory and the last alert.

    The exit code is 0 if every camera sees, 1 if one does not, or if the program is too slow or hangs, and 2
    if none is running.
    """
    from gatecam.cli.asking import ask_and_print

    ask_and_print(as_json=json)
