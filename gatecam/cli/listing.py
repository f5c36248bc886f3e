"""Implement `gatecam events`: parse the filter, and print events as a table, CSV or JSON lines."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from rich.table import Table

from gatecam.app import open_store
from gatecam.cli.options import Form
from gatecam.cli.state import find_state
from gatecam.errors import ConfigError
from gatecam.notify.jsonl import stored_to_line
from gatecam.notify.table import csv_parts
from gatecam.pictures.messages import event_label
from gatecam.runtime.console import open_console
from gatecam.store.events import EventFilter, EventStore
from gatecam.types import EventKind, StoredEvent

TABLE_ROWS = 50
AGO = {"m": "minutes", "h": "hours", "d": "days"}


def print_events(
    config: Path | None,
    since: str | None,
    until: str | None,
    cameras: Sequence[str],
    kinds: Sequence[str],
    limit: int | None,
    form: Form,
) -> None:
    """Print the selected events, oldest first.

    Raises:
        ConfigError: a time or kind is invalid, the end is not after the start, or a camera has no events.
        OutputError: there is no store, or it cannot be read.
    """
    asked = EventFilter(
        moment_ms(since, "--since"), moment_ms(until, "--until"), tuple(cameras), tuple(map(_kind, kinds))
    )
    if asked.since_ms is not None and asked.until_ms is not None and asked.since_ms >= asked.until_ms:
        raise ConfigError(f"--since: expected a time before that of --until, {until!r}, got {since!r}")
    with closing(open_store(find_state(config, "gatecam events").config)) as store:
        expect_cameras(store, cameras)
        if form is Form.TABLE:
            _print_table(store, asked, limit or TABLE_ROWS)
        elif form is Form.JSON:
            sys.stdout.writelines(map(stored_to_line, _latest(store, asked, limit)))
        else:
            sys.stdout.writelines(csv_parts(_latest(store, asked, limit)))


def moment_ms(text: str | None, option: str) -> int | None:
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


def expect_cameras(store: EventStore, names: Sequence[str]) -> None:
    """Reject names of cameras without events.

    Raises:
        ConfigError: a camera has no events. The message lists the cameras that have some.
    """
    known = store.cameras() if names else []
    for name in names:
        if name not in known:
            some = ", ".join(known) or "no camera yet"
            raise ConfigError(f"--camera: expected one that events tell of ({some}), got {name!r}")


def _kind(text: str) -> EventKind:
    try:
        return EventKind(text)
    except ValueError:
        raise ConfigError(f"--kind: expected one of {', '.join(EventKind)}, got {text!r}") from None


def _latest(store: EventStore, asked: EventFilter, limit: int | None) -> Iterator[StoredEvent]:
    return store.every(asked) if limit is None else reversed(store.find(asked, limit))


def _print_table(store: EventStore, asked: EventFilter, limit: int) -> None:
    console = open_console()
    table = Table("time", "event", "camera", "person", "why", header_style="bold")
    found = store.find(asked, limit)
    for stored in reversed(found):
        event = stored.event
        time = f"{datetime.fromisoformat(event.at):%Y-%m-%d %H:%M:%S}"
        why = event.reason or f"{event.verdict} {event.probability:.2f}"
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
