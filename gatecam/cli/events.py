"""`gatecam events`: what the store holds, as a table, CSV or JSON lines."""

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
            help="From then on: 2026-11-24, 2026-11-24T14:30, or 90m, 12h, 7d ago.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Until then, in the same ways.", show_default=False)
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of this camera; may be given several times.", show_default=False),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Of this kind, such as mask_missing; may be given several times.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="NUMBER",
            help="The latest so many; by default 50 in a table, and all otherwise.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How they are written.")] = Form.TABLE,
    recover: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Instead bring the events of a store that was set aside back.",
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
