"""The tables of the store as the newest migration leaves them, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table

REVISIONS = ("0001", "0002")  # of all migrations, oldest first; a test holds them and the tables together

metadata = MetaData()

# SQLite counts up only keys that are declared INTEGER, which hold 64 bits there.
RowId = BigInteger().with_variant(Integer, "sqlite")

events = Table(
    "events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("at_ms", BigInteger, nullable=False),  # time of day, in ms since 1970, UTC
    Column("kind", String(32), nullable=False),
    Column("camera", String, nullable=False),
    Column("track_id", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("time_s", Float, nullable=False),  # of the frame, by the monotonic clock of its run
    Column("frame", BigInteger, nullable=False),
    Column("probability", Float, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("first", Boolean, nullable=False),  # the first that its person was told: one a person
    Column("came_ms", BigInteger),  # when the person came who puts a mask on now, told to; one a person
    Index("events_at", "at_ms"),
    Index("events_came", "came_ms"),
    Index("events_first", "first", "at_ms", "verdict", "camera"),  # answers the charts by itself
    sqlite_autoincrement=True,  # an id is never given twice, also after all events were erased
)

# How far each output has come.
cursors = Table(
    "cursors",
    metadata,
    Column("output", String(64), primary_key=True),
    Column("event_id", BigInteger, nullable=False),
)

# People by gender, age and mask, never fewer than ten at once (`totals.py`).
totals = Table(
    "totals",
    metadata,
    Column("day", String(10), primary_key=True),  # on which they were written, local time
    Column("camera", String, primary_key=True),
    Column("class_id", Integer, primary_key=True),
    Column("people", BigInteger, nullable=False),
)
