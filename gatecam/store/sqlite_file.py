"""Open, create and check SQLite files, each only once in a process, and set damaged ones aside.

POSIX drops every lock that a process has on a file when the process closes any descriptor of that file.
SQLite knows this and keeps such descriptors open. If any other code opens and closes the file, other programs
believe that nobody uses it, and delete its write-ahead log. So only SQLite opens the file here, and a process
has one object for each file (`share`).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event

from gatecam.errors import OutputError
from gatecam.runtime.folders import close_to_others, create_own, own_folder
from gatecam.runtime.locks import folder_lock
from gatecam.store.migrate import migrate

BUSY_MS = 5000  # longest wait for another program's transaction
WAL_BYTES = 4 * 1024 * 1024  # largest size of the write-ahead log after a checkpoint
QUIET_S = 30.0  # longest wait for this process's own transactions before the file is checked
CHECK_EVERY_S = 60.0  # a file that passed its check is not checked again for this long
IOERR = 10  # SQLITE_IOERR: https://sqlite.org/rescode.html
NOTADB = 26  # SQLITE_NOTADB
CORRUPT = (11, NOTADB)  # SQLITE_CORRUPT
SUFFIXES = (".sqlite3", ".sqlite", ".db")
PRAGMAS = (
    "auto_vacuum = INCREMENTAL",  # lets a new file shrink without being rewritten
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",  # deleted rows are overwritten, not only marked as free
    f"journal_size_limit = {WAL_BYTES}",
)

log = logging.getLogger(__name__)

_files: dict[Path, SqliteFile] = {}
_files_lock = threading.Lock()


def share(path: Path) -> SqliteFile:
    """Return this process's object for a file, and count one more user. `release` gives it back."""
    real = Path(os.path.realpath(path.parent), path.name)  # a file that is a link is refused later
    with _files_lock:
        file = _files.setdefault(real, SqliteFile(real))
        file.users += 1
        return file


def release(file: SqliteFile) -> None:
    """Give a shared file back. Its connections close with the last user."""
    with _files_lock:
        file.users -= 1
        if not file.users:
            del _files[file.path]
            file.close()


class SqliteFile:
    """Holds the connections of this process to one file.

    A file that is moved away or deleted while it is in use is replaced by a new one. A file that a check
    proves to be damaged is renamed in its folder.
    """

    def __init__(self, path: Path) -> None:
        """Remember the path without opening it. It is absolute, and its folder has no links."""
        self.path = path
        self.users = 0  # kept by `share` and `release`
        self._state = threading.Condition()
        self._engine: Engine | None = None
        self._identity: tuple[int, int] | None = None
        self._lent = 0
        self._failed = False  # whether the connections must be replaced
        self._suspect = False  # whether SQLite has reported that the file is damaged
        self._passed_s = -CHECK_EVERY_S  # monotonic time of the last check that the file passed

    @contextmanager
    def lend(self, mends: bool) -> Iterator[Engine]:
        """Lend the engine of the file that is at the path now.

        Args:
            mends: whether the file is created if it is missing, and set aside if it is damaged.
        """
        with self._state:
            engine = self._ready(mends)
            self._lent += 1
        try:
            yield engine
        finally:
            with self._state:
                self._lent -= 1
                self._state.notify_all()

    def note(self, code: int) -> None:
        """Note an error's primary result code. After some of them, the next user gets new connections."""
        with self._state:
            self._suspect |= code in CORRUPT
            self._failed |= code in (IOERR, *CORRUPT)

    def close(self) -> None:
        """Close all connections."""
        with self._state:
            self._dispose()

    def _ready(self, mends: bool) -> Engine:
        if self._engine is not None and _identity(self.path) != self._identity:
            self._complete_moved_file()
            self._dispose()
        if self._suspect and mends:
            self._examine()
        if self._failed:
            self._dispose()
        if self._engine is not None:
            return self._engine
        try:
            return self._open(mends)
        except sa.exc.DBAPIError as error:
            if code_of(error) not in CORRUPT or not mends:
                raise
            self._suspect = True
        self._examine()
        return self._open(mends)

    def _open(self, mends: bool) -> Engine:
        if not mends and not self.path.exists():
            raise FileNotFoundError(2, "there is no such file", str(self.path))
        own_folder(self.path.parent)
        if mends:
            self._create()
        for end in ("", "-wal", "-shm"):  # SQLite gives new ones the mode of the first
            close_to_others(self.path.with_name(self.path.name + end))
        engine = sa.create_engine(
            "sqlite://", creator=self._connect, poolclass=sa.QueuePool, pool_size=8, max_overflow=8
        )
        self._engine = engine
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        try:
            with engine.execution_options(gatecam_begin="BEGIN IMMEDIATE").begin() as connection:
                migrate(connection, str(self.path))
        except BaseException:
            self._dispose()
            raise
        self._identity = _identity(self.path)
        return engine

    def _connect(self) -> sqlite3.Connection:
        """Connect to the file, which must exist: SQLite would create one that others may read."""
        return sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, timeout=BUSY_MS / 1000, check_same_thread=False
        )

    def _create(self) -> None:
        """Create the file if it is missing, readable only for this user.

        A descriptor of it may be closed here, because nothing can be connected to a file that did not exist.
        A log that an earlier file left is deleted, because it would damage the new file. Programs that still
        use the earlier file have its log open and keep it.
        """
        if self.path.exists():
            return
        with folder_lock(self.path.parent), suppress(FileExistsError):
            if not self.path.exists():
                for end in ("-wal", "-shm"):
                    self.path.with_name(self.path.name + end).unlink(missing_ok=True)
                create_own(self.path)

    def _complete_moved_file(self) -> None:
        """Write the log's content into a file that was moved away without its log."""
        assert self._engine is not None
        with suppress(sa.exc.SQLAlchemyError, sqlite3.Error), closing(self._engine.raw_connection()) as one:
            one.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        self._failed = False

    def _examine(self) -> None:
        """Set the file aside if a check over a new connection proves that it is damaged.

        Only one program at a time does this. Each program checks the file again, because another one may have
        replaced it by a new file that is not damaged.

        Raises:
            OutputError: this process is using the file, so it cannot be checked.
            sqlite3.Error: the check failed, or the file is not a database and not gatecam's.
        """
        if not self._state.wait_for(lambda: self._lent == 0, QUIET_S):
            raise OutputError(f"{self.path}: may be damaged, but is in use: it is checked at the next try.")
        if not self._suspect or time.monotonic() - self._passed_s < CHECK_EVERY_S:
            return
        self._dispose()
        with folder_lock(self.path.parent):
            checked = _identity(self.path)
            problem = None if checked is None else self._damage()
            if problem is None:
                self._passed_s = time.monotonic()
                log.warning("%s seemed to be damaged, but passed its check: it stays in use.", self.path)
            elif _identity(self.path) == checked:
                self._set_aside(problem)
        self._suspect = False

    def _damage(self) -> str | None:
        """Return what a complete check finds wrong with the file, or None."""
        try:
            with closing(self._connect()) as connection:
                (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            code = code_of(error)
            was_ours = self.path.suffix in SUFFIXES or _identity(self.path) == self._identity
            if code not in CORRUPT or (code == NOTADB and not was_ours):
                raise
            return str(error)
        return None if said == "ok" else str(said)

    def _set_aside(self, problem: str) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns() // 1_000_000}")
        for end in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + end).rename(aside.with_name(aside.name + end))
        log.warning(
            "%s is damaged (%s): gatecam keeps it as %s and creates a new one. Run `gatecam events --recover "
            "%s` to bring back the events that can be read.",
            self.path,
            " ".join(problem.split()),
            aside.name,
            aside,
        )


def code_of(error: BaseException) -> int:
    """Return the primary result code of an error from SQLite, or 0 for another error."""
    return int(getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) or 0) & 0xFF


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # Python's own transactions leave CREATE TABLE out
    for setting in PRAGMAS:
        connection.execute(f"PRAGMA {setting}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("gatecam_begin", "BEGIN"))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
