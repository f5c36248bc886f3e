"""Implement `gatecam report`."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path

import typer

from gatecam.app import open_file, open_store
from gatecam.cli.listing import expect_cameras
from gatecam.cli.state import find_state
from gatecam.errors import ConfigError
from gatecam.pictures.page_words import page_words
from gatecam.settings.schema import Config
from gatecam.store.day_page import summary, write_day_page
from gatecam.store.events import Total


def write_report(config: Path | None, day: str | None, out: Path | None, camera: str | None) -> None:
    """Write the page of a day, and print its path and a summary.

    Raises:
        ConfigError: the day is invalid, or the camera has no events.
        OutputError: there is no store, it cannot be read, or the page cannot be written.
    """
    asked = _day(day)
    path = out or Path(f"report-{asked:%Y-%m-%d}.html")
    settings = find_state(config, "gatecam report").config
    with closing(open_store(settings)) as store:
        expect_cameras(store, [] if camera is None else [camera])
        sums = write_day_page(path, store, _totals(settings, asked, camera), asked, camera)
        name = store.name
    typer.echo(f"{asked:%Y-%m-%d}: {summary(sums, page_words('en'))}")
    typer.echo(f"The page is {path}, from {name}.")


def _totals(settings: Config, day: date, camera: str | None) -> list[Total]:
    """Return the totals from the local SQLite file. They are always there, even if PostgreSQL has events."""
    if (store := open_file(settings)) is None:
        return []
    with closing(store) as file:
        return file.totals(f"{day}", f"{day}", camera)


def _day(text: str | None) -> date:
    try:
        day = date.today() if text is None else date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--day: expected a day such as 2026-11-24, got {text!r}") from None
    if not 1970 <= day.year <= 9998:  # the days before and after are counted as well
        raise ConfigError(f"--day: expected a day of the years 1970 to 9998, got {text!r}")
    return day
