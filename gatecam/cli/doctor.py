"""Run `gatecam doctor`, which prints what gatecam needs on this machine, with advice."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from gatecam.cli.options import ConfigOption

if TYPE_CHECKING:
    from gatecam.live.checks import Row
    from gatecam.ports import FaceAnalyzer
    from gatecam.settings.schema import Config

_STATES = {True: "ok", False: "not ok"}


def doctor(config: ConfigOption = None) -> None:
    """Check this machine: libraries, device, cameras, display, sound, settings and weights.

    The exit code is 1 if something essential is wrong.
    """
    from gatecam.live.checks import checks, examine

    rows = examine(checks(config, _build_analyzer))
    _print_table(rows)
    broken = [row.name for row in rows if row.essential and not row.ok]
    if broken:
        typer.echo(f"gatecam cannot run until this is fixed: {', '.join(broken)}.")
        raise typer.Exit(1)
    lacking = sum(not row.ok for row in rows)
    typer.echo(f"Everything essential is ok{f'; {lacking} optional parts are not' if lacking else ''}.")


def _build_analyzer(config: Config) -> FaceAnalyzer:
    from gatecam.app import build_analyzer
    from gatecam.runtime.telemetry import Telemetry

    return build_analyzer(config, Telemetry())


def _print_table(rows: list[Row]) -> None:
    """Print a table on a terminal, or one plain line per row into a pipe or a file."""
    if sys.stdout is None or not sys.stdout.isatty():
        width = max(len(row.name) for row in rows)
        for row in rows:
            advice = f" -> {row.advice}" if row.advice else ""
            typer.echo(f"{row.name:{width}}  {_STATES[row.ok]:6}  {row.found}{advice}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "state", "found", "what to do")
    for row in rows:
        colour = "green" if row.ok else "red" if row.essential else "yellow"
        # Text rather than markup: `gatecam[sound]` is not a style.
        table.add_row(Text(row.name), Text(_STATES[row.ok], colour), Text(row.found), Text(row.advice))
    Console().print(table)
