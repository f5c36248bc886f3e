"""Run `gatecam privacy`, which lists what is kept and erases it on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from gatecam.cli.options import StateConfigOption
from gatecam.errors import OutputError
from gatecam.runtime.console import open_console

if TYPE_CHECKING:
    from gatecam.settings.schema import Config
    from gatecam.store.events import EventStore
    from gatecam.store.evidence import EvidenceFolder
    from gatecam.store.kept import KeptFile

MB = 1_000_000


def privacy(
    erase: Annotated[
        bool,
        typer.Option(
            "--erase",
            help="After asking, erase all events, pictures, totals and event logs. The audit log stays.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
    config: StateConfigOption = None,
) -> None:
    """Print what data about people gatecam keeps, where and how long, and what leaves the machine."""
    from gatecam.cli.state import find_state

    if erase:
        _erase(config, yes)
        return
    state = find_state(config, "gatecam privacy")
    console = open_console()
    table = Table("what", "where", "how much", "for how long", header_style="bold", expand=False)
    for row in _kept(state.config, state.folder):
        table.add_row(*map(Text, row))
    console.print(table)
    for line in _leaves(state.config):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _erase(config: Path | None, yes: bool) -> None:
    """Erase events, pictures, totals, the event log and damaged stores that were set aside."""
    from gatecam.app import (
        evidence_folder,
        fleet_config,
        has_store_file,
        open_file,
        open_stores,
        store_path,
    )
    from gatecam.cli.state import find_state
    from gatecam.store.audit import Act, command_actor
    from gatecam.store.kept import kept_files

    settings = find_state(config, "gatecam privacy --erase").config
    files, pictures = kept_files(store_path(settings), settings.notify.log), evidence_folder(settings)
    with ExitStack() as stack:
        stores: list[EventStore] = [stack.enter_context(closing(store)) for store in open_stores(settings)]
        places = [*(store.name for store in stores), *(str(file.path) for file in files)]
        places += [str(pictures.path)] if pictures.files() else []
        typer.echo("\n".join(places) or "There is nothing to erase.")
        if not places:
            return
        if not (yes or typer.confirm("Erase all events, pictures and totals in these for good?")):
            typer.echo("Nothing was erased.")
            raise typer.Exit(1)
        stack.callback(_erase_files, pictures, files)  # even if a store cannot be erased now
        # Who erased is not told in a database that others share
        log = stores[0] if has_store_file(settings) else open_file(fleet_config(settings))
        if log is not None:
            stack.callback(log.close)
        problems = []
        for store in stores:
            try:
                gone = store.erase()
            except OutputError as error:
                problems.append(str(error))
                continue
            typer.echo(f"{store.name}: {gone} events and all totals erased.")
            if log is not None:
                what = "events" if store is log else f"events in {store.name}"
                log.audit.note(command_actor(), Act.ERASURE, what, before=str(gone))
        if problems:
            raise OutputError(f"not everything is erased. {' '.join(problems)} Erase again after that.")


def _erase_files(pictures: EvidenceFolder, files: Sequence[KeptFile]) -> None:
    if pictures.files():
        typer.echo(f"{pictures.path}: {pictures.erase()} pictures and videos of alerts erased.")
    for file in files:
        file.erase()
        typer.echo(f"{file.path}: erased.")


def _kept(settings: Config, state: Path) -> Iterator[tuple[str, str, str, str]]:
    from gatecam.app import evidence_folder, fleet_config, has_store_file, open_stores, store_path
    from gatecam.store.kept import kept_files
    from gatecam.web.sessions import FILE as SESSIONS
    from gatecam.web.tokens import FILE as TOKENS
    from gatecam.web.users import FILE as USERS

    keep = f"{settings.store.keep_days} days, at most {settings.store.keep_mb} MB"
    for store in open_stores(settings):
        with closing(store):
            span = store.span_ms()
            since = "" if span is None else f", since {datetime.fromtimestamp(span[0] / 1000):%Y-%m-%d}"
            size = f"{store.used_bytes() / MB:.1f} MB"
            yield "events", store.name, f"{store.count()}{since}, {size}", keep
            people = sum(total.people for total in store.totals("0000", "9999"))
            yield "gender and age, totals", store.name, f"{people} people, ten and more at once", keep
    place = str(store_path(settings))
    if has_store_file(settings):
        days = f"{settings.store.audit_days} days"
        yield "audit log", place, "names and addresses of those who use the pages", days
    else:
        yield "events", place, "nothing yet", keep
    if has_store_file(fleet := fleet_config(settings)):
        days, what = f"{settings.store.audit_days} days", "names and addresses of those who use the page"
        yield "audit log of all doors' page", str(store_path(fleet)), what, days
    for file in kept_files(store_path(settings), settings.notify.log):
        kind = "event log" if file.is_log else "damaged store"
        yield kind, str(file.path), f"{file.path.stat().st_size / MB:.1f} MB", "until you delete it"
    tokens = state / TOKENS
    if tokens.is_file():
        yield "tokens of the pages", str(tokens), "nothing about people", "until you delete it"
    users = state / USERS
    if users.is_file():
        yield "users of the pages", str(users), "names and hashed passwords", "until you remove them"
    for path in sorted(state.glob(SESSIONS.format(port="*"))):
        yield "logins to the pages", str(path), "names of users", "until they end, 400 days at most"
    evidence, folder = settings.evidence, evidence_folder(settings)
    if (pictures := folder.files()) or evidence.snapshots:
        size = f"{len(pictures)} pictures and videos, {sum(one.size for one in pictures) / MB:.1f} MB"
        keep = f"{evidence.keep_days} days, at most {evidence.keep_mb} MB"
        yield "pictures of alerts", str(folder.path), size, keep
    else:
        yield "pictures of people", "nowhere", "none", "not kept"
    yield "colors of clothes and hair", "memory only", "never a template of a face", "seconds"


def _pages(settings: Config) -> str:
    web = settings.web
    if not web.enabled:
        return "Live pictures leave this machine only on the pages, while `gatecam run --web` serves them."
    reach = "this machine alone" if web.is_local else "the network"
    kept = "" if settings.evidence.snapshots else " No picture is stored."
    return f"Live pictures are served to {reach} (web.host), for everyone with a token or a password.{kept}"


def _leaves(settings: Config) -> Iterator[str]:
    outputs = {
        "PostgreSQL (store.url)": settings.store.url is not None,
        "MQTT (mqtt.host)": settings.mqtt.host is not None,
        "webhook.url": settings.webhook.url is not None,
        "chat.urls_file": settings.chat.urls_file is not None,
        "command.run": bool(settings.command.run),
    }
    sent = [name for name, is_set in outputs.items() if is_set]
    yield (
        "An event has a time, a camera, a kind, a verdict with its probability, and a track number that "
        "starts again with each run. It has no face, name, gender or age."
    )
    yield f"Events leave this machine by: {', '.join(sent) or 'nothing'}."
    carried = [name for name in ("mqtt", "webhook", "chat") if getattr(settings, name).snapshots]
    if carried:
        yield f"Pictures of alerts leave it by: {', '.join(carried)}."
    yield _pages(settings)
    for what, name in (
        ("on the page at the door", "blur_door"),
        ("on the operator's page", "blur_operator"),
        ("in videos and pictures that you have gatecam save", "blur_faces"),
        ("in the pictures of alerts that are kept", "blur_evidence"),
    ):
        blur = "unreadable" if getattr(settings.privacy, name) else f"READABLE, as privacy.{name} is false"
        yield f"Faces {what} are {blur}."
    yield (
        "Without a window `gatecam run` prints each event: a service's lines are in the system's journal for "
        "as long as it keeps them (`journalctl --vacuum-time`)."
    )
    if settings.mqtt.host is not None:
        yield "The MQTT broker keeps the current state of each camera, but no events."
    yield (
        "`gatecam privacy --erase` erases events, pictures, totals, event logs and damaged stores, but not "
        "the audit log."
    )
