"""Run `gatecam privacy`, which lists what is kept and erases it on request."""

from __future__ import annotations

from typing import Annotated

import typer

from gatecam.cli.options import StateConfigOption


def privacy(
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase all events, totals and logs for good, after asking.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
    config: StateConfigOption = None,
) -> None:
    """Print what data about people gatecam keeps, where and how long, and what leaves the machine."""
    from gatecam.cli.keeping import erase_all, print_kept

    if erase:
        erase_all(config, yes)
    else:
        print_kept(config)
