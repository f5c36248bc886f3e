"""Run `gatecam events`, which prints events of the store as a table, CSV or JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import Form, StateConfigOption


def events(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="First time: 2026-11-24, 2026-11-24T14:30, or 90m, 12h or 7d ago.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="End time, in the same forms.", show_default=False)
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this camera. May be repeated.", show_default=False),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Only this kind, such as mask_missing. May be repeated.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="NUMBER",
            help="Maximum number, the latest ones. Default: 50 in a table, else all.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Output format.")] = Form.TABLE,
    recover: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Instead, restore the events of a store that was set aside.",
            show_default=False,
        ),
    ] = None,
    config: StateConfigOption = None,
) -> None:
    """Print events from the store, oldest first."""
    from gatecam.cli.listing import print_events
    from gatecam.cli.recovering import recover_events

    if recover is not None:
        recover_events(config, recover)
        return
    print_events(config, since, until, camera or [], kind or [], limit, form)
