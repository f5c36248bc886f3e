"""Floor 6: the work of `gatecam report`."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path

import typer

from gatecam.app import open_store
from gatecam.config import load
from gatecam.errors import ConfigError
from gatecam.store.day_page import day_page, summary


def write_report(config: Path | None, day: str | None, out: Path | None, camera: str | None) -> None:
    """Write the page of a day, and print where it is and who came.

    Raises:
        ConfigError: the day is none, or no event tells of the camera.
        OutputError: there is no store, it cannot be read, or the page cannot be written.
    """
    asked = _day(day)
    path = out or Path(f"report-{asked:%Y-%m-%d}.html")
    with closing(open_store(load(config).config)) as store:
        if camera is not None and camera not in (known := store.cameras()):
            names = ", ".join(known) or "no camera yet"
            raise ConfigError(f"--camera: expected one that events tell of ({names}), got {camera!r}")
        page, sums = day_page(store, asked, camera)
    page.write(path)
    typer.echo(f"{asked:%Y-%m-%d}: {summary(sums)}")
    typer.echo(f"The page is {path}.")


def _day(text: str | None) -> date:
    try:
        day = date.today() if text is None else date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--day: expected a day such as 2026-11-24, got {text!r}") from None
    if not 1970 <= day.year <= 9998:  # those before and after it are counted too
        raise ConfigError(f"--day: expected a day of the years 1970 to 9998, got {text!r}")
    return day
