"""Keep the latest health that each door reports to a database that doors share.

A report replaces the rows of its door in one transaction, one row for each camera. Times are those of the
database's own clock, so that a door with a wrong clock does not look silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from gatecam.store.engine import Database
from gatecam.store.tables import health

NOW_MS = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
}
KEYS = ("door", "camera")
CHECK_EVERY = 10  # reports from one check to the next, because each check costs a query
MOST_TROUBLES, MOST_LETTERS = 5, 300  # that are kept of a door, and the length to which each is cut


@dataclass(frozen=True, slots=True)
class ReportedCamera:
    """Describes one camera of a door. `since_s` is how long it has had its `state`.

    `rate` is how many frames are judged each second. The other fields are those of `CameraHealth`.
    """

    camera: str
    state: str
    reason: str
    sees: bool
    slowness: str
    rate: float
    since_s: float


@dataclass(frozen=True, slots=True)
class DoorReport:
    """Describes a door as it reported itself, `age_s` before it was read.

    `settings` is a short hash of the settings. `waiting` and `dropped` count events of all outputs.
    `reported_ms` tells one report from the next. `report_s` is the time between them, or 0 if it is unknown.
    """

    door: str
    version: str
    settings: str
    device: str
    up_s: float
    waiting: int
    dropped: int
    troubles: tuple[str, ...]
    cameras: tuple[ReportedCamera, ...]
    reported_ms: int = 0
    age_s: float = 0.0
    report_s: float = 0.0


@dataclass(slots=True)
class _Last:
    """Remembers the last report of a door from here, and whether another program reports it as well."""

    number: int = 0
    cameras: frozenset[str] = frozenset()
    up_s: int | None = None
    is_alone: bool = True


class Doors:
    """Reads and writes the health of doors. Methods raise `OutputError` if the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: dict[str, _Last] = {}  # by door

    def report(self, given: DoorReport) -> bool:
        """Write a door's health. It replaces the door's last report, including cameras that are gone.

        Return False if another program reports these cameras under the same door name. In that case the
        database does not hold the last report from here. This is checked once in `CHECK_EVERY` reports.
        """
        cameras = frozenset(one.camera for one in given.cameras)
        last = self._last.get(given.door, _Last())
        is_alone = last.is_alone
        with self._database.transaction(writing=True) as connection:
            if (last.number - 1) % CHECK_EVERY == 0:
                own = (health.c.door == given.door) & health.c.camera.in_(cameras)
                there = connection.execute(sa.select(health.c.up_s).where(own).limit(1)).scalar()
                is_alone = last.up_s is None or there in (None, last.up_s)
            if connection.dialect.name == "postgresql":  # the next report makes up for a lost one
                connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
            if cameras != last.cameras:
                gone = (health.c.door == given.door) & health.c.camera.not_in(cameras)
                connection.execute(sa.delete(health).where(gone))
            insert = insert_into(connection, health).values(_rows(given, now_of(connection)))
            changed = {one.name: insert.excluded[one.name] for one in health.c if one.name not in KEYS}
            connection.execute(insert.on_conflict_do_update(index_elements=KEYS, set_=changed))
        self._last[given.door] = _Last(last.number + 1, cameras, round(given.up_s), is_alone)
        return is_alone

    def all(self) -> list[DoorReport]:
        """Return the latest report of every door, by name."""
        with self._database.transaction() as connection:
            query = sa.select(health, now_of(connection).label("now_ms")).order_by(
                *(health.c[key] for key in KEYS)
            )
            rows = connection.execute(query).all()
        of: dict[str, list[Row[Any]]] = {}
        for row in rows:
            of.setdefault(row.door, []).append(row)
        return [_read(found) for found in of.values()]

    def forget(self, door: str) -> bool:
        """Delete a door's health. Return False if there is none."""
        with self._database.transaction(writing=True) as connection:
            return connection.execute(sa.delete(health).where(health.c.door == door)).rowcount > 0


def place_name(door: str, camera: str = "") -> str:
    """Return the name of a door, a camera or a door's camera.

    >>> place_name("lobby"), place_name("", "gate"), place_name("lobby", "gate")
    ('lobby', 'gate', 'lobby: gate')
    """
    return ": ".join(name for name in (door, camera) if name)


def insert_into(connection: Connection, table: sa.Table) -> Any:
    """Return an insert statement that can handle conflicts. SQLAlchemy has one for each kind of database."""
    from sqlalchemy.dialects import postgresql, sqlite  # PostgreSQL's takes a while to load

    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def now_of(connection: Connection) -> sa.ColumnElement[int]:
    """Return the expression for the time of a database's clock, in ms since 1970."""
    return sa.literal_column(NOW_MS[connection.dialect.name], sa.BigInteger)


def _rows(given: DoorReport, now_ms: sa.ColumnElement[int]) -> list[dict[str, Any]]:
    shared = {
        "door": given.door,
        "reported_ms": now_ms,
        "version": given.version[:32],
        "settings": given.settings[:16],
        "device": given.device[:32],
        "up_s": round(given.up_s),
        "waiting": given.waiting,
        "dropped": given.dropped,
        "troubles": "\n".join(_short(given.troubles)),
        "report_s": given.report_s,
    }
    return [{**shared, **_camera_row(one, now_ms)} for one in given.cameras]


def _camera_row(one: ReportedCamera, now_ms: sa.ColumnElement[int]) -> dict[str, Any]:
    fields = asdict(one)
    since_s = fields.pop("since_s")
    (reason,) = _short([one.reason])
    return {
        **fields,
        "reason": reason,
        "rate": round(one.rate, 1),
        "since_ms": now_ms - round(since_s * 1000),
    }


def _short(sentences: Iterable[str]) -> list[str]:
    """Return the first sentences, each in one line of limited length that PostgreSQL can keep."""
    lines = [
        " ".join(one.replace("\0", " ").split())[:MOST_LETTERS] for one in list(sentences)[:MOST_TROUBLES]
    ]
    return [line.encode("utf-8", "replace").decode() for line in lines]


def _read(rows: Sequence[Row[Any]]) -> DoorReport:
    """Return a door's report. Two programs may report different cameras of it, so the older report counts."""
    first = min(rows, key=attrgetter("reported_ms"))
    cameras = tuple(
        ReportedCamera(
            row.camera,
            row.state,
            row.reason,
            row.sees,
            row.slowness,
            row.rate,
            max(0.0, (row.now_ms - row.since_ms) / 1000),
        )
        for row in rows
    )
    return DoorReport(
        first.door,
        first.version,
        first.settings,
        first.device,
        first.up_s,
        first.waiting,
        first.dropped,
        tuple(dict.fromkeys(line for row in rows for line in row.troubles.splitlines())),
        cameras,
        first.reported_ms,
        (first.now_ms - first.reported_ms) / 1000,
        first.report_s,
    )
