"""Run `gatecam report`, which writes one day as a page with charts."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import DoorOption, StateConfigOption
from gatecam.errors import ConfigError


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
    door: DoorOption = None,
    config: StateConfigOption = None,
) -> None:
    """Write a page about one day: people by hour, correct masks, outages of cameras, and totals."""
    from gatecam.app import open_file
    from gatecam.cli.state import expect_cameras, find_state, open_door
    from gatecam.pictures.page_words import page_words
    from gatecam.store.day_page import summary, write_day_page

    asked = _day(day)
    path = out or Path(f"report-{asked:%Y-%m-%d}.html")
    settings = find_state(config, "gatecam report").config
    with closing(open_door(settings, door)) as store:
        expect_cameras(store, [] if camera is None else [camera])
        totals = []
        is_own = door is None or door == settings.fleet.door_name
        # The file has the totals of this door even if PostgreSQL has the events
        if is_own and (file := open_file(settings)) is not None:
            with closing(file):
                totals = file.totals(f"{asked}", f"{asked}", camera)
        sums = write_day_page(path, store, totals, asked, camera)
        name = store.name
    typer.echo(f"{asked:%Y-%m-%d}: {summary(sums, page_words('en'))}")
    typer.echo(f"The page is {path}, from {name}.")


def _day(text: str | None) -> date:
    try:
        day = date.today() if text is None else date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--day: expected a day such as 2026-11-24, got {text!r}") from None
    if not 1970 <= day.year <= 9998:  # the days before and after are counted as well
        raise ConfigError(f"--day: expected a day of the years 1970 to 9998, got {text!r}")
    return day
