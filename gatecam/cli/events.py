"""Run `gatecam events`, which prints events of the store as a table, CSV or JSON lines."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from gatecam.cli.options import DoorOption, StateConfigOption
from gatecam.errors import ConfigError, OutputError
from gatecam.runtime.console import open_console

if TYPE_CHECKING:
    from gatecam.store.events import EventFilter, EventStore
    from gatecam.types import EventKind, StoredEvent

TABLE_ROWS = 50
AGO = {"m": "minutes", "h": "hours", "d": "days"}


ExportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="With --feedback: write pictures and answers as a data set for `gatecam train`.",
        show_default=False,
    ),
]


RecoverOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Instead, restore the events and the audit log of a store that was set aside.",
        show_default=False,
    ),
]


class Form(StrEnum):
    """Lists the output formats of events."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


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
    door: DoorOption = None,
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
    feedback: Annotated[
        bool, typer.Option("--feedback", help="Only events that the operator answered, with the answers.")
    ] = False,
    export: ExportOption = None,
    recover: RecoverOption = None,
    config: StateConfigOption = None,
) -> None:
    """Print events from the store, oldest first."""
    if recover is not None:
        _recover(config, recover)
        return
    from gatecam.store.events import EventFilter

    if feedback and door is not None:
        raise ConfigError("--door: expected no --feedback, because the answers are at the door itself")
    if export is not None and not feedback:
        raise ConfigError("--export: expected --feedback as well, whose pictures and answers it writes")
    since_ms, until_ms = _period_ms(since, until)
    kinds = tuple(map(_kind, kind or ()))
    asked = EventFilter(since_ms, until_ms, tuple(camera or ()), kinds, answered=feedback)
    if export is not None:
        _export(config, asked, export)
    else:
        _print(config, door, asked, limit, form)


def _print(config: Path | None, door: str | None, asked: EventFilter, limit: int | None, form: Form) -> None:
    from gatecam.app import open_local_store
    from gatecam.cli.state import expect_cameras, find_state, open_door
    from gatecam.notify.jsonl import stored_to_line
    from gatecam.notify.table import csv_parts

    settings = find_state(config, "gatecam events").config
    with closing(open_local_store(settings) if asked.answered else open_door(settings, door)) as store:
        expect_cameras(store, asked.cameras)
        if form is Form.TABLE:
            _print_table(store, asked, limit or TABLE_ROWS)
        elif form is Form.JSON:
            sys.stdout.writelines(map(stored_to_line, _latest(store, asked, limit)))
        else:
            sys.stdout.writelines(csv_parts(_latest(store, asked, limit)))


def _export(config: Path | None, asked: EventFilter, out: Path) -> None:
    """Write the answered events as a data set, and print what was written."""
    from gatecam.app import evidence_folder, open_local_store
    from gatecam.cli.state import expect_cameras, find_state
    from gatecam.store.audit import Act, command_actor
    from gatecam.store.feedback import export_feedback

    settings = find_state(config, "gatecam events --feedback").config
    with closing(open_local_store(settings)) as store:
        expect_cameras(store, asked.cameras)
        made = export_feedback(store.every(asked), evidence_folder(settings), out)
        store.audit.note(command_actor(), Act.EXPORT, "feedback", after=f"{made.answers} answers to {out}")
    typer.echo(
        f"{out}: {made.answers} answers, {made.faces} faces and {made.not_people} pictures without a person."
    )
    if made.blurred:
        typer.echo(
            f"{made.blurred} of the faces are blurred and marked as doubtful, so training leaves them out. "
            "To keep readable ones, set privacy.blur_evidence to false."
        )
    if not made.faces:
        typer.echo("There is no face to learn from: set evidence.snapshots to true, and answer alerts.")
        raise typer.Exit(1)


def _recover(config: Path | None, file: Path) -> None:
    """Restore the events and the audit log of a store that was set aside, and print how many came back."""
    from gatecam.app import has_store_file, open_stores, store_path
    from gatecam.cli.state import find_state
    from gatecam.store.recover import read_store

    settings = find_state(config, "gatecam events --recover").config
    path = store_path(settings)
    if has_store_file(settings) and file.exists() and path.samefile(file):
        raise OutputError(f"{file}: is the store itself: name a file that was set aside.")
    found = read_store(file)
    stores = open_stores(settings, create=True)
    with closing(stores[0]) as store:
        back = store.restore(found.events, found.totals)
        noted = store.audit.restore(found.entries)
    typer.echo(f"{back} events of {file} are back in {path}; {len(found.events) - back} were there already.")
    typer.echo(f"{noted} entries of the audit log are back; {len(found.entries) - noted} were there already.")
    for copy in stores[1:]:
        with closing(copy) as server:
            server.copy(found.events)
            typer.echo(f"{server.name} has them too.")
    typer.echo(f"They are not sent to other outputs again. {file} is unchanged: delete it when all is well.")
    lost = {"events": found.unreadable, "entries of the audit log": found.unreadable_entries}
    for name, number in lost.items():
        if number:
            typer.echo(f"{number} {name} could not be read.")
    if any(lost.values()):
        raise typer.Exit(1)


def _period_ms(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """Return the start and end of a period in ms since 1970.

    Raises:
        ConfigError: a text is no time, or the period ends before it begins.
    """
    since_ms, until_ms = _moment_ms(since, "--since"), _moment_ms(until, "--until")
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise ConfigError(f"--since: expected a time before that of --until, {until!r}, got {since!r}")
    return since_ms, until_ms


def _moment_ms(text: str | None, option: str) -> int | None:
    """Return a time in ms since 1970, from a date, a date and time (local without an offset), or an age.

    Raises:
        ConfigError: the text is no time.
    """
    if text is None:
        return None
    now = datetime.now().astimezone()
    try:
        if ago := re.fullmatch(r"(\d{1,6})([mhd])", text):
            moment = now - timedelta(**{AGO[ago[2]]: int(ago[1])})
        else:
            moment = datetime.fromisoformat(text)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"{option}: expected a time such as 2026-11-24, 2026-11-24T14:30, 90m, 12h or 7d, got {text!r}"
        ) from None


def _kind(text: str) -> EventKind:
    from gatecam.types import EventKind

    try:
        return EventKind(text)
    except ValueError:
        raise ConfigError(f"--kind: expected one of {', '.join(EventKind)}, got {text!r}") from None


def _latest(store: EventStore, asked: EventFilter, limit: int | None) -> Iterator[StoredEvent]:
    return store.every(asked) if limit is None else reversed(store.find(asked, limit))


def _print_table(store: EventStore, asked: EventFilter, limit: int) -> None:
    from gatecam.pictures.messages import event_label

    console = open_console()
    table = Table("time", "event", "camera", "person", "why", header_style="bold")
    found = store.find(asked, limit)
    for stored in reversed(found):
        event = stored.event
        time = f"{datetime.fromisoformat(event.at):%Y-%m-%d %H:%M:%S}"
        why = event.reason or f"{event.verdict} {event.probability:.2f}"
        why += f" (answer: {stored.answer})" if stored.answer else ""
        person = "" if event.kind.is_camera else f"#{event.track_id}"
        table.add_row(
            *(
                console.render_str(part, markup=False)
                for part in (time, event_label(event), event.camera, person, why)
            )
        )
    console.print(table)
    total = store.count(asked)
    shown = f"the latest {len(found)} of {total}" if len(found) < total else f"{total}"
    console.print(f"Events: {shown}, from {store.name}.", markup=False, highlight=False, soft_wrap=True)
