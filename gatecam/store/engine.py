"""Open the store's databases: SQLite so that it survives a kill, PostgreSQL so that it never hangs.

Every method of a database raises `OutputError` if it fails, with a sentence that names the database.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from gatecam.errors import ConfigError, MissingExtraError, OutputError
from gatecam.runtime.locks import lock_holder
from gatecam.store.migrate import migrate
from gatecam.store.sqlite_file import (
    BUSY_MS,
    CORRUPT,
    IOERR,
    NOTADB,
    SUFFIXES,
    SqliteFile,
    code_of,
    release,
    share,
)

CONNECT_S, STATEMENT_MS = 5, 20_000  # longest time to connect to PostgreSQL, and for one of its statements
NO_TABLE = "42P01"
CONNECT_ADVICE = "start or create it, or correct its address or the password in ~/.pgpass"
# An error while connecting has no code. Poolers have their own words.
TOO_MANY = re.compile("too many |connection slots|no more connections")
TOO_MANY_ADVICE = "it has too many users, so raise max_connections there, as docs/scale.md explains"
# By PostgreSQL's error codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
BUSY_ADVICE = "earlier questions keep it busy, so try again later, or ask for less"
ADVICE = {
    "25006": "it can only be read, so give the address of the server that it copies",
    "42501": "its owner must grant this user the rights to the tables",
    "42703": "another version of gatecam created its tables, so update gatecam",
    "42P07": "another program has tables of the same names there, so create a database for gatecam alone",
    NO_TABLE: "its tables were deleted, and gatecam creates them again at the next try",
    "53100": "make space on its disk",
    "55P03": "another program uses its tables, so try again later",
    "57014": f"it took longer than {STATEMENT_MS // 1000} s, so ask for less, or find out what keeps it busy",
}
ROW_BYTES = 190  # that PostgreSQL's indexes take for a row of the events
# Primary result codes of SQLite: https://sqlite.org/rescode.html
OTHER = 1  # SQLITE_ERROR, for example because a column is missing or a table exists already
CLOSED = (3, 8, 14)  # SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN
HELD = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED
LATER = (*HELD, IOERR, 13)  # with SQLITE_FULL: what may be over later, so the program starts anyway


class SqliteDatabase:
    """Gives one part of the program access to a file that other parts and other programs may use as well.

    A committed transaction is on the disk. A damaged file is renamed in its folder and replaced by a new one.
    A file that is moved away or deleted while it is in use is replaced by a new one too.
    """

    def __init__(self, path: Path, mends: bool = True) -> None:
        """Open the file and bring its tables up to date.

        A full disk and a locked file raise no error here, because they may be why the program was restarted.

        Args:
            path: the file.
            mends: whether to create the file if it is missing (mode 600), and to set it aside if it is
                damaged. Commands that only read pass False, and then both raise.

        Raises:
            OutputError: the file cannot be opened, or is not a store.
        """
        self.name = str(path)
        self._path, self._mends = path, mends
        self._lock = threading.Lock()
        self._file: SqliteFile | None = None
        try:
            with self._shared().lend(mends):
                pass
        except (sa.exc.DBAPIError, sqlite3.Error, OSError) as error:
            if code_of(error) not in LATER:
                self.close()
                raise self._problem(error) from error
        except OutputError:
            self.close()
            raise

    @contextmanager
    def transaction(self, writing: bool = False) -> Iterator[Connection]:
        """Return a connection in a transaction. A `writing` one locks out other writers from the start."""
        begin = "BEGIN IMMEDIATE" if writing else "BEGIN"
        with (
            self._lent() as engine,
            engine.execution_options(gatecam_begin=begin).begin() as connection,
        ):
            yield connection

    def used_bytes(self, door: str = "") -> int:
        """Return the bytes that the tables take, without the space that deleted rows left.

        A file has the events of one door, so `door` changes nothing.
        """
        with self.transaction() as connection:
            pages, free, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def shrink(self) -> bool:
        """Give the space of deleted rows back to the disk, and empty the write-ahead log.

        Return False if the log could not be emptied because another program has been reading for seconds.
        """
        with self._lent() as engine, closing(engine.raw_connection()) as connection:
            one: Any = connection
            # Only a script runs to its end here. Each of its steps frees one page.
            one.executescript("PRAGMA incremental_vacuum;")
            (is_busy, *_) = one.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not is_busy

    def close(self) -> None:
        """Stop using the file. It is opened again if it is used again.

        The connections close when all other parts of this process have closed the file too.
        """
        with self._lock:
            if self._file is not None:
                release(self._file)
                self._file = None

    @contextmanager
    def _lent(self) -> Iterator[sa.Engine]:
        """Lend the file's engine, and turn errors of the database into `OutputError`."""
        file = self._shared()
        try:
            with file.lend(self._mends) as engine:
                yield engine
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
            file.note(code_of(error))
            raise self._problem(error) from error

    def _shared(self) -> SqliteFile:
        with self._lock:
            if self._file is None:
                self._file = share(self._path)
            return self._file

    def _problem(self, error: Exception) -> OutputError:
        if code_of(error) == NOTADB and self._path.suffix not in SUFFIXES:
            return OutputError(f"{self._path}: is not a store: choose another store.path.")
        reason = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
        return OutputError(
            f"{self._path}: the store cannot be used ({reason}): {self._advice(error)}, or choose another "
            "file as store.path."
        )

    def _advice(self, error: Exception) -> str:
        """Return what to do about a file that cannot be used."""
        code = code_of(error)
        number = error.errno if isinstance(error, OSError) else None
        if os.path.isdir(self._path):
            return "it is a folder: name a file in it"
        if code in HELD:
            return f"{_holder(self._path)} holds it: end that program, or wait until it is done"
        if number == errno.ETIMEDOUT:
            return "another gatecam is still checking it: end that program, or wait until it is done"
        if number == errno.ENOENT:
            return "`gatecam run` creates it"
        if code in CLOSED or number in (errno.EACCES, errno.EPERM, errno.EROFS):
            return "run gatecam as the user who owns it, or let this user write to it and to its folder"
        if code == OTHER:
            return "it belongs to another program, or is damaged: move it elsewhere"
        if code in CORRUPT:
            return "it is damaged: `gatecam run` sets it aside and creates a new one"
        return "make space or repair the disk"


class PostgresDatabase:
    """Holds the tables in PostgreSQL. Neither connecting nor a statement takes longer than some seconds."""

    def __init__(self, url: str) -> None:
        """Prepare the connection. The first transaction connects and creates the tables.

        Raises:
            ConfigError: the address cannot be read.
            MissingExtraError: psycopg is not installed.
        """
        try:
            address = sa.make_url(url).set(drivername="postgresql+psycopg")
            if url.count("@") > 1:  # the rest of a password would count as the server, and be printed
                raise ValueError
        except (sa.exc.ArgumentError, ValueError):
            raise ConfigError(
                "store.url: expected an address such as postgresql://gatecam@db.example/gatecam: correct it, "
                "and write @ in a password as %40, or have that in ~/.pgpass."
            ) from None
        self.name = address.render_as_string(hide_password=True).replace("+psycopg", "")
        self._migrated = False
        words = {
            "connect_timeout": CONNECT_S,
            "options": f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={BUSY_MS}",
            "tcp_user_timeout": STATEMENT_MS,
            "keepalives_idle": 10,
            "application_name": "gatecam",
            "prepare_threshold": None,  # a pooler may give the next transaction another connection
        }
        try:
            # One connection stays open, because a server has few for many doors
            self._engine = sa.create_engine(
                address, pool_pre_ping=True, pool_size=1, max_overflow=3, connect_args=words
            )
        except ImportError as error:
            raise MissingExtraError("PostgreSQL", "postgres") from error

    @contextmanager
    def transaction(self, writing: bool = False) -> Iterator[Connection]:
        """Return a connection in a transaction. `writing` makes no difference here."""
        try:
            if not self._migrated:
                with self._engine.begin() as connection:
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7431)")  # one program at a time
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # an index may take minutes
                    migrate(connection, self.name)
                self._migrated = True
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
            state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
            self._migrated &= state != NO_TABLE  # a new database may have taken the place of the last one
            to_connect = TOO_MANY_ADVICE if TOO_MANY.search(reason) else CONNECT_ADVICE
            if isinstance(error, sa.exc.TimeoutError):  # this program uses all of its connections
                to_connect = BUSY_ADVICE
            advice = ADVICE.get(state, to_connect)
            raise OutputError(f"{self.name}: the database cannot be used ({reason}): {advice}.") from error

    def used_bytes(self, door: str = "") -> int:
        """Return about how many bytes the events take, or only those of `door`. Deleted rows do not count."""
        query = f"SELECT coalesce(sum(pg_column_size(events.*) + {ROW_BYTES}), 0) FROM events"
        asked = sa.text(f"{query} WHERE door = :door" if door else query)
        with self.transaction() as connection:
            return int(connection.execute(asked, {"door": door} if door else {}).scalar_one())

    def shrink(self) -> bool:
        """Return True without doing anything, because the server's autovacuum reuses the space."""
        return True

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


# An `EventStore` takes either.
Database = SqliteDatabase | PostgresDatabase


def _holder(path: Path) -> str:
    """Describe the program that holds the lock on a file, with its process id and name if they are known."""
    for part in (path, path.with_name(f"{path.name}-shm")):
        with suppress(OSError):
            if (pid := lock_holder(part.stat(), "POSIX")) is not None:
                return f"another program (process {pid}{_name(pid)})"
    return "another program"


def _name(pid: int) -> str:
    with suppress(OSError):
        return f", {Path(f'/proc/{pid}/comm').read_text(encoding='utf-8', errors='replace').strip()}"
    return ""


def insert_before(connection: Connection, table: sa.Table, new: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows with ids of 0 and below, ordered by time.

    Rows that were inserted so before are numbered again, so that all of them are in order.

    Args:
        connection: a transaction that writes.
        table: the events or the audit log, which number their own rows from 1 on.
        new: the rows without their ids.
    """
    if not new:
        return
    earlier = connection.execute(sa.delete(table).where(table.c.id <= 0).returning(table)).all()
    rows: list[dict[str, Any]] = [*(dict(row._mapping) for row in earlier), *map(dict, new)]
    rows.sort(key=itemgetter("at_ms"))
    numbered = [{**row, "id": number} for number, row in enumerate(rows, start=1 - len(rows))]
    connection.execute(sa.insert(table), numbered)
