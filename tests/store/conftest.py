"""Stores of tests: each test that takes `store` runs on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from gatecam.store.engine import PostgresDatabase, SqliteDatabase
from gatecam.store.events import EventStore
from gatecam.types import Event, EventKind, Verdict
from tests.postgres import PostgresServer, programs

NOON = datetime(2026, 11, 24, 12).astimezone()
VERDICTS = {
    EventKind.MASK_MISSING: Verdict.NONE,
    EventKind.MASK_INCORRECT: Verdict.INCORRECT,
    EventKind.MASK_REMINDER: Verdict.NONE,
    EventKind.MASK_OK: Verdict.CORRECT,
}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests; one that stops it starts it again."""
    if programs() is None:
        pytest.skip("PostgreSQL's server is not installed")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        server = PostgresServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def sqlite_path(tmp_path) -> Path:
    """Where the store of a test lies."""
    return tmp_path / "data" / "events.sqlite3"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, sqlite_path) -> Iterator[EventStore]:
    """An empty store."""
    if request.param == "sqlite":
        made = EventStore(SqliteDatabase(sqlite_path))
    else:
        url = request.getfixturevalue("postgres").url
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        engine.dispose()
        made = EventStore(PostgresDatabase(url))
    yield made
    made.close()


@pytest.fixture
def kept(sqlite_path) -> Iterator[EventStore]:
    """An empty store in a file."""
    with closing(EventStore(SqliteDatabase(sqlite_path))) as made:
        yield made


@pytest.fixture
def told() -> Callable[..., Event]:
    """Builds an event that is so many seconds after noon."""

    def build(
        kind: EventKind = EventKind.MASK_MISSING,
        after_s: float = 0,
        camera: str = "gate",
        first: bool = True,
        track_id: int = 1,
        reason: str = "",
        came_s: float | None = None,
    ) -> Event:
        at = datetime.fromtimestamp(NOON.timestamp() + after_s).astimezone()
        verdict = VERDICTS.get(kind, Verdict.UNKNOWN)
        return Event(
            kind,
            camera,
            track_id,
            verdict,
            after_s,
            7,
            0.9,
            reason,
            at=at.isoformat(timespec="milliseconds"),
            first=first,
            came_s=came_s,
        )

    return build
