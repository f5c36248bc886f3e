"""Read the events and the audit log of a store that was set aside, as far as a damaged file allows."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Table

from gatecam.errors import OutputError
from gatecam.runtime.locks import lock_holder
from gatecam.store.audit import Entry, entry_of
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import Total, from_row, to_row
from gatecam.store.migrate import migrate
from gatecam.store.sqlite_file import CORRUPT, code_of
from gatecam.store.tables import audit, events, totals
from gatecam.types import StoredEvent

PAGE_BYTES = 4096
SIZE_FIELD_VALID = slice(92, 96)  # https://sqlite.org/fileformat.html, section 1.3
LEAST_ROW_BYTES = 32  # a row takes more, which limits how many ids a file of a size can have
# Queries for a table's first and last id. The second reads other pages than the first, which may be damaged.
FIRST_ID = ("SELECT min(id) FROM {0}", "SELECT id FROM {0} INDEXED BY {0}_at ORDER BY at_ms LIMIT 1")
LAST_ID = ("SELECT max(id) FROM {0}", "SELECT seq FROM sqlite_sequence WHERE name = '{0}'")
T = TypeVar("T")


@dataclass(slots=True)
class Found:
    """Holds what could be read from a file.

    `unreadable` and `unreadable_entries` count events, and entries of the audit log, that exist but cannot be
    read.
    """

    events: list[StoredEvent] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    unreadable: int = 0
    unreadable_entries: int = 0


def read_store(path: Path) -> Found:
    """Read all events, totals and entries of the audit log from a store's file, without changing it.

    Raises:
        OutputError: the file cannot be read or copied, is in use, is not a store, or has no readable event.
    """
    if not path.is_file():
        problem = "is a folder or device" if path.exists() else "there is no such file"
        raise OutputError(f"{path}: {problem}: name a store such as events.sqlite3.damaged-1795990007251.")
    log = path.with_name(f"{path.name}-wal")
    for part in (path, path.with_name(f"{path.name}-shm")):
        if part.exists() and (pid := lock_holder(part.stat(), "POSIX")) is not None:
            raise OutputError(f"{path}: process {pid} is writing to it: end that program first.")
    try:
        with tempfile.TemporaryDirectory(prefix="gatecam-") as folder:
            copy = Path(folder) / "copy.sqlite3"
            shutil.copyfile(path, copy)
            if log.exists():
                shutil.copyfile(log, copy.with_name(f"{copy.name}-wal"))
            return _read(path, copy)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be copied to {tempfile.gettempdir()} ({error.strerror}): make space there, set "
            "TMPDIR to another folder, or run gatecam as a user who may read the file."
        ) from error


def _read(path: Path, copy: Path) -> Found:
    problem: object = "it has no events"
    for mend in (lambda copy: None, _replace_first_page):
        try:
            mend(copy)
            found = _read_copy(copy)
        except sa.exc.DBAPIError as error:
            problem = error.orig
            if code_of(error) not in CORRUPT:
                break
        else:
            if found.events or not found.unreadable:
                return found
            problem = "all are damaged"
    raise OutputError(
        f"{path}: no event can be read ({problem}): name a store that gatecam set aside, or a copy of one."
    )


def _read_copy(copy: Path) -> Found:
    """Read what is readable in a file, in the order of ids.

    Raises:
        sa.exc.DBAPIError: the file is not a database, or not even the list of its tables can be read.
    """
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(copy)), poolclass=sa.NullPool)
    found = Found()
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1 FROM events LIMIT 0")
        with suppress(sa.exc.DBAPIError, OutputError):  # an older store lacks columns
            migrate(connection, str(copy))
        stored, found.unreadable = _readable(connection, events, _event, copy.stat().st_size)
        found.events = list({one.key: one for one in stored}.values())
        with suppress(sa.exc.DBAPIError):
            found.totals = [Total(*row) for row in connection.execute(sa.select(totals))]
        with suppress(sa.exc.DBAPIError):
            connection.exec_driver_sql("SELECT 1 FROM audit LIMIT 0")
            found.entries, found.unreadable_entries = _readable(
                connection, audit, _entry, copy.stat().st_size
            )
    return found


def _readable(
    connection: Connection, table: Table, made: Callable[[Row[Any]], T | None], size: int
) -> tuple[list[T], int]:
    """Return what can be read of a table, in the order of ids, and how many rows cannot be read.

    Args:
        connection: reads the file.
        table: the events or the audit log.
        made: returns the value of a row, or None if the row's values are invalid.
        size: the size of the file in bytes.
    """
    first, last = _id(connection, FIRST_ID, table), _id(connection, LAST_ID, table)
    last = 0 if last is None else last
    lowest = last - size // LEAST_ROW_BYTES
    found: list[T] = []
    unreadable: list[int] = []
    start = lowest
    for row_id, one in _rows(connection, table, made, lowest if first is None else max(first, lowest), last):
        if one is None:
            unreadable.append(row_id)
            continue
        if first is None and not found:  # rows before it need not have existed
            start = row_id
        found.append(one)
    return found, sum(one > start for one in unreadable)


def _id(connection: Connection, queries: Sequence[str], table: Table) -> int | None:
    """Return the result of the first query that works."""
    for query in queries:
        with suppress(sa.exc.DBAPIError):
            if isinstance(found := connection.exec_driver_sql(query.format(table.name)).scalar(), int):
                return found
    return None


def _rows(
    connection: Connection, table: Table, made: Callable[[Row[Any]], T | None], first: int, last: int
) -> Iterator[tuple[int, T | None]]:
    """Yield the values of rows in a range of ids, and None for each id whose row cannot be read.

    A range that cannot be read as a whole is halved, down to single ids.
    """
    # There may be very many errors, and the driver's are cheaper than SQLAlchemy's.
    driver: Any = connection.connection.driver_connection
    ranges = [(first, last)]
    while ranges:
        low, high = ranges.pop()
        try:
            driver.execute(f"SELECT * FROM {table.name} WHERE id BETWEEN ? AND ?", (low, high)).fetchall()
        except sqlite3.DatabaseError:
            middle = (low + high) // 2
            if low == high:
                yield low, None
            else:
                ranges += [(middle + 1, high), (low, middle)]
        else:
            query = sa.select(table).where(table.c.id.between(low, high)).order_by(table.c.id)
            yield from ((row.id, made(row)) for row in connection.execute(query))


def _event(row: Row[Any]) -> StoredEvent | None:
    """Return the event of a row, or None if its values are invalid."""
    try:
        stored = from_row(row)
        to_row(stored.key, stored.event)
        is_sound = re.fullmatch("[0-9a-f]{32}", row.key) and isinstance(row.camera, str)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return stored if is_sound else None


def _entry(row: Row[Any]) -> Entry | None:
    """Return the entry of a row, or None if its values are invalid."""
    texts = (row.who, row.address, row.what, row.subject, row.before, row.after)
    is_sound = isinstance(row.at_ms, int) and all(isinstance(text, str) for text in texts)
    return entry_of(row) if is_sound else None


def _replace_first_page(copy: Path) -> None:
    """Replace the first page of a file by that of a new store.

    The page states where the tables are, which is the same in every store. The size in pages that it states
    is marked as invalid, so that SQLite uses the size of the file.
    """
    model = copy.with_name("model.sqlite3")
    with closing(SqliteDatabase(model)):
        pass
    page = bytearray(model.read_bytes()[:PAGE_BYTES])
    page[SIZE_FIELD_VALID] = bytes(4)
    with copy.open("r+b") as file:
        file.write(page)
