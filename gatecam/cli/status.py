"""`gatecam status`: ask the running program how it is; also the health check of the container."""

from __future__ import annotations

from typing import Annotated

import typer


def status(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a running program and line.")] = False,
) -> None:
    """Ask the running gatecam: cameras, frames/s, drops, queues, device, memory, last alert.

    The exit code is 0 if every camera sees, 1 if one does not, or the program is too slow or hangs, 2 if
    none runs.
    """
    from gatecam.cli.asking import ask_and_print

    ask_and_print(as_json=json)
