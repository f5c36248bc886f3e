"""`gatecam report`: one day as a page with charts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import StateConfigOption


def report(
    day: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Such as 2026-11-24; default: today.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page; default: report-DAY.html here.", show_default=False),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of this camera only.", show_default=False)
    ] = None,
    config: StateConfigOption = None,
) -> None:
    """Write a page on one day: people by the hour, masks worn right, outages of cameras, totals."""
    from gatecam.cli.reporting import write_report

    write_report(config, day, out, camera)
