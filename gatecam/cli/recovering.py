"""Implement `gatecam events --recover`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import typer

from gatecam.app import has_store_file, open_stores, store_path
from gatecam.cli.state import find_state
from gatecam.errors import OutputError
from gatecam.store.recover import read_store


def recover_events(config: Path | None, file: Path) -> None:
    """Restore the events of a store that was set aside, and print how many were restored.

    Raises:
        OutputError: the file or the store cannot be used, or the file is the store itself.
        Exit: with 1, if some events could not be read.
    """
    settings = find_state(config, "gatecam events --recover").config
    path = store_path(settings)
    if has_store_file(settings) and file.exists() and path.samefile(file):
        raise OutputError(f"{file}: is the store itself: name a file that was set aside.")
    found = read_store(file)
    stores = open_stores(settings, create=True)
    with closing(stores[0]) as store:
        back = store.restore(found.events, found.totals)
    typer.echo(f"{back} events of {file} are back in {path}; {len(found.events) - back} were there already.")
    for copy in stores[1:]:
        with closing(copy) as server:
            server.copy(found.events)
            typer.echo(f"{server.name} has them too.")
    typer.echo(f"They are not sent to other outputs again. {file} is unchanged: delete it when all is well.")
    if found.unreadable:
        typer.echo(f"{found.unreadable} events could not be read.")
        raise typer.Exit(1)
