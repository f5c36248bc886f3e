"""Run `gatecam fleet`, which shows many doors on one page and tells which of them are silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from gatecam.cli.options import ConfigOption
from gatecam.errors import ConfigError
from gatecam.runtime.logs import say, set_up
from gatecam.runtime.stopping import EndedEarly, stop_on_signals

if TYPE_CHECKING:
    from gatecam.settings.schema import Config


def fleet(
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="PostgreSQL database that the doors share. Default: store.url of the settings.",
            show_default=False,
        ),
    ] = None,
    forget: Annotated[
        str | None,
        typer.Option(metavar="DOOR", help="Delete a door and its events from the database, then end."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a door is deleted.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log to standard error as one JSON object per line.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Serve a page of all doors that share a database, and alert about doors that are silent.

    The pages, their tokens and users, and the outputs of alerts are those of the settings: web, mqtt,
    webhook, command and chat.
    """
    from gatecam.settings.loading import load
    from gatecam.settings.saving import edited

    set_up(as_json=log_json)
    settings = load(config).config
    with _naming_option(store):
        if store is not None:
            settings = edited(settings, {("store", "url"): store})
        if forget is not None:
            _forget(settings, forget, yes)
            return
        from gatecam.app import watch_fleet

        with stop_on_signals() as stop:
            try:
                watch_fleet(settings, stop)
            except EndedEarly:
                say("ended before the page was served.")


@contextmanager
def _naming_option(store: str | None) -> Iterator[None]:
    """Let errors name `--store` instead of the setting, if the address came from there."""
    try:
        yield
    except ConfigError as error:
        if store is None:
            raise
        raise ConfigError(str(error).replace("store.url:", "--store:")) from None


def _forget(settings: Config, door: str, yes: bool) -> None:
    """Delete the health and all events of a door that is no longer there."""
    from gatecam.app import fleet_config, open_file, open_shared_store
    from gatecam.cli.state import NAMED
    from gatecam.store.audit import Act, command_actor

    with closing(open_shared_store(settings, door)) as shared:
        known = shared.door_names()
        if door not in known:
            some = ", ".join(known[:NAMED]) + (", …" if len(known) > NAMED else "")
            raise ConfigError(f"--forget: expected one of {some or 'no doors'}, got {door!r}")
        if not (yes or typer.confirm(f"Delete {door} and all its events from {shared.name} for good?")):
            typer.echo("Nothing was deleted.")
            raise typer.Exit(1)
        shared.doors.forget(door)
        gone = shared.erase()
        if (own := open_file(fleet_config(settings))) is not None:
            with closing(own):
                own.audit.note(command_actor(), Act.ERASURE, door, before=str(gone))
        typer.echo(f"{door}: deleted, with {gone} events.")
