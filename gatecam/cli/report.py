"""Run `gatecam report`, which writes one day as a page with charts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import StateConfigOption


def report(
    day: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Day such as 2026-11-24. Default: today.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write. Default: ./report-DAY.html.", show_default=False),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this camera.", show_default=False)
    ] = None,
    config: StateConfigOption = None,
) -> None:
    """Write a page about one day: people by hour, correct masks, outages of cameras, and totals."""
    from gatecam.cli.reporting import write_report

    write_report(config, day, out, camera)
