"""Floor 3: databases as gatecam opens them: SQLite that survives a kill, PostgreSQL that does not hang.

A database raises `OutputError` for all that can go wrong with it, in a sentence that names it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event

from gatecam.errors import ConfigError, MissingExtraError, OutputError
from gatecam.store.migrate import migrate

BUSY_MS = 5000  # longest wait for another program's transaction
CONNECT_S = 5
STATEMENT_MS = 20_000
ROW_BYTES = 150  # of PostgreSQL's, for a row's place in four indexes
WAL_BYTES = 4 * 1024 * 1024  # what a checkpoint leaves of the write-ahead log, at most
NOTADB = 26  # SQLITE_NOTADB: https://sqlite.org/rescode.html
CORRUPT = (11, NOTADB)  # SQLITE_CORRUPT
MAGIC = b"SQLite format 3\0"  # https://sqlite.org/fileformat.html, section 1.3
SUFFIXES = (".sqlite3", ".sqlite", ".db")
LATER = (5, 10, 13)  # SQLITE_BUSY, SQLITE_IOERR, SQLITE_FULL: no reason not to start
PRAGMAS = (
    f"busy_timeout = {BUSY_MS}",
    "auto_vacuum = INCREMENTAL",  # of a new file: it can shrink without being written anew
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",  # what was deleted is overwritten, not only forgotten
    f"journal_size_limit = {WAL_BYTES}",
)

log = logging.getLogger(__name__)


class Database(Protocol):
    """Where the store's tables are."""

    name: str

    def transaction(self, writing: bool = False) -> Any:
        """A context manager over a connection; leaving it commits, or takes all back after an error."""
        ...

    def used_bytes(self) -> int:
        """What the tables take, without space that deleted rows left."""
        ...

    def shrink(self) -> bool:
        """Give back the space of deleted rows, also in the log of changes; whether all of it was."""
        ...

    def close(self) -> None:
        """Close all connections; the database opens again when it is used again."""
        ...


class SqliteDatabase:
    """A file that may be used by several programs; what was committed is on the disk.

    A file that is damaged is set aside, beside its place, and a new one begun. A file that is moved away
    or deleted while it is used gives way to a new one.
    """

    def __init__(self, path: Path, mends: bool = True) -> None:
        """Open the file, or make it, of mode 600, and bring its tables up to date.

        A full disk is no reason to raise: the program may have been restarted because of it.

        Args:
            path: the file.
            mends: set it aside if it is damaged; else that raises, as for who only asks.

        Raises:
            OutputError: the file cannot be opened, or is none of a store.
        """
        self.name = str(path)
        self._path, self._mends = path, mends
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._identity: tuple[int, int] | None = None
        self._damaged = False
        try:
            self._ready()
        except sa.exc.DBAPIError as error:
            if _code(error) not in LATER:
                raise self._problem(error) from error
        except OSError as error:
            raise self._problem(error) from error

    @contextmanager
    def transaction(self, writing: bool = False) -> Iterator[Connection]:
        """A connection in a transaction; one that is `writing` has the file to itself from the start."""
        try:
            begin = "BEGIN IMMEDIATE" if writing else "BEGIN"
            with self._ready().execution_options(gatecam_begin=begin).begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            self._damaged = _code(error) in CORRUPT
            raise self._problem(error) from error
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise self._problem(error) from error

    def used_bytes(self) -> int:
        """What the tables take, without space that deleted rows left."""
        with self.transaction() as connection:
            pages, free, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def shrink(self) -> bool:
        """Give back the space of deleted rows, and empty the write-ahead log.

        False where another program that reads kept the log from being emptied for some seconds.
        """
        try:
            connection: Any = self._ready().raw_connection()
            try:
                # A script is stepped to its end: each step frees one page.
                connection.executescript("PRAGMA incremental_vacuum;")
                (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not is_busy
            finally:
                connection.close()
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise self._problem(error) from error

    def close(self) -> None:
        """Close all connections; the file opens again when it is used again."""
        with self._lock:
            self._dispose()

    def _ready(self) -> Engine:
        """The engine of the file that stands under the path now."""
        with self._lock:
            if self._engine is not None and not self._damaged and _identity(self._path) == self._identity:
                return self._engine
            self._dispose()
            if self._damaged:
                self._set_aside()
            try:
                return self._open()
            except sa.exc.DBAPIError as error:
                self._dispose()
                if _code(error) not in CORRUPT or not (self._mends and _may_be_store(self._path)):
                    raise
            self._set_aside()
            return self._open()

    def _open(self) -> Engine:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self._path)), pool_size=8, max_overflow=8
        )
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        alone = self._engine.execution_options(gatecam_begin="BEGIN IMMEDIATE")
        with alone.begin() as connection:
            migrate(connection, self.name)
        self._identity = _identity(self._path)
        return self._engine

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _set_aside(self) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged-{time.time_ns() // 1_000_000}")
        for end in ("", "-wal", "-shm"):
            part = self._path.with_name(self._path.name + end)
            if part.exists():
                part.replace(aside.with_name(aside.name + end))
        self._damaged = False
        log.warning("%s is damaged: it is kept as %s, and a new one begun.", self._path, aside.name)

    def _problem(self, error: Exception) -> OutputError:
        if isinstance(error, sa.exc.DBAPIError) and _code(error) == NOTADB and not _may_be_store(self._path):
            return OutputError(f"{self._path}: is another kind of file: choose another store.path.")
        reason = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
        return OutputError(
            f"{self._path}: the store cannot be used ({reason}): make space or mend the disk, or choose "
            "another file as store.path."
        )


class PostgresDatabase:
    """A database of a server; neither connecting nor a statement takes longer than some seconds."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet: that is for the first transaction, which also makes the tables.

        Raises:
            ConfigError: the address cannot be read.
            MissingExtraError: psycopg is not installed.
        """
        try:
            address = sa.make_url(url).set(drivername="postgresql+psycopg")
        except (sa.exc.ArgumentError, ValueError):
            raise ConfigError(
                "store.url: expected an address such as postgresql://gatecam@db.example/gatecam: correct it."
            ) from None
        self.name = address.render_as_string(hide_password=True).replace("+psycopg", "")
        self._migrated = False
        words = {
            "connect_timeout": CONNECT_S,
            "options": f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={BUSY_MS}",
            "tcp_user_timeout": STATEMENT_MS,
            "keepalives_idle": 10,
            "application_name": "gatecam",
        }
        try:
            self._engine = sa.create_engine(address, pool_pre_ping=True, pool_size=4, connect_args=words)
        except ImportError as error:
            raise MissingExtraError("PostgreSQL", "postgres") from error

    @contextmanager
    def transaction(self, writing: bool = False) -> Iterator[Connection]:
        """A connection in a transaction."""
        try:
            if not self._migrated:
                with self._engine.begin() as connection:
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7431)")  # one program at a time
                    migrate(connection, self.name)
                self._migrated = True
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
            raise OutputError(
                f"{self.name}: the database cannot be used ({reason}): start it, or correct store.url."
            ) from error

    def used_bytes(self) -> int:
        """What the events take, about; deleted ones do not count, though the server frees their space."""
        query = f"SELECT coalesce(sum(pg_column_size(events.*) + {ROW_BYTES}), 0) FROM events"
        with self.transaction() as connection:
            return int(connection.exec_driver_sql(query).scalar_one())

    def shrink(self) -> bool:
        """Nothing: the server's autovacuum gives space back."""
        return True

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _may_be_store(path: Path) -> bool:
    """Whether a file is a database, or was one by its name: no other must ever be put away."""
    with suppress(OSError), path.open("rb") as file:
        return path.suffix in SUFFIXES or file.read(len(MAGIC)) in (MAGIC, b"")
    return False


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # Python's own transactions leave CREATE TABLE out
    for setting in PRAGMAS:
        connection.execute(f"PRAGMA {setting}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("gatecam_begin", "BEGIN"))


def _code(error: sa.exc.DBAPIError) -> int:
    """The primary result code of an error of SQLite's."""
    return int(getattr(error.orig, "sqlite_errorcode", 0) or 0) & 0xFF


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
