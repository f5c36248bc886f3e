"""Define the tables of the store as the newest migration leaves them, for SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")  # all migrations, oldest first, as a test checks

metadata = MetaData()

# SQLite only numbers keys by itself if they are declared INTEGER, which has 64 bits there.
RowId = BigInteger().with_variant(Integer, "sqlite")

events = Table(
    "events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("at_ms", BigInteger, nullable=False),  # UTC time of day, in ms since 1970
    Column("kind", String(32), nullable=False),
    Column("camera", String, nullable=False),
    Column("track_id", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("time_s", Float, nullable=False),  # time of the frame by the monotonic clock of its run
    Column("frame", BigInteger, nullable=False),
    Column("probability", Float, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("first", Boolean, nullable=False),  # whether this is the person's first event; each person has one
    Column("came_ms", BigInteger),  # when a person who put a mask on after an alert had come; once per person
    Column("ended_ms", BigInteger),  # when what the event reports ended, once that is known
    Column("said", String(32)),  # what was played aloud, such as "tone, ko, en"
    Column("answer", String(16)),  # what the operator said about the event, one of `types.Answer`
    Column("door", String, nullable=False, server_default=""),  # which door copied the event here, else empty
    Index("events_at", "at_ms"),
    Index("events_came", "came_ms"),
    Index("events_first", "first", "at_ms", "verdict", "camera", "door"),  # the charts read this index alone
    Index("events_door", "door", "at_ms").ddl_if(dialect="postgresql"),  # a file has the events of one door
    sqlite_autoincrement=True,  # an id is never reused, even after all events were erased
)
is_answered = events.c.answer.is_not(None)
# Migrations make it partial in PostgreSQL as well. Saying so here would load that dialect at every start.
Index("events_answered", events.c.at_ms, sqlite_where=is_answered)

# The last event that each output has delivered
cursors = Table(
    "cursors",
    metadata,
    Column("output", String(64), primary_key=True),
    Column("event_id", BigInteger, nullable=False),
)

# Which events each output has really sent, as ranges of ids. Events that it skipped or lost are not in them.
sent = Table(
    "sent",
    metadata,
    Column("output", String(64), primary_key=True),
    Column("first_id", BigInteger, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
)

# People by gender, age and mask, written for at least ten at once (`totals.py`)
totals = Table(
    "totals",
    metadata,
    Column("day", String(10), primary_key=True),  # local date of the hour before they were written
    Column("camera", String, primary_key=True),
    Column("class_id", Integer, primary_key=True),
    Column("people", BigInteger, nullable=False),
)

# Who logged in, changed a setting, erased or exported what, and when (`audit.py`)
audit = Table(
    "audit",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),  # UTC time of day, in ms since 1970
    Column("who", String, nullable=False),
    Column("address", String, nullable=False),
    Column("what", String(32), nullable=False),
    Column("subject", String, nullable=False),
    Column("before", String, nullable=False),
    Column("after", String, nullable=False),
    Index("audit_at", "at_ms"),
    sqlite_autoincrement=True,
)

# The latest report of each door's health, one row for each of its cameras (`doors.py`)
health = Table(
    "health",
    metadata,
    Column("door", String, primary_key=True),
    Column("camera", String, primary_key=True),
    Column("reported_ms", BigInteger, nullable=False),  # by the clock of this database
    Column("since_ms", BigInteger, nullable=False),  # since when the camera has had its state, by that clock
    Column("state", String(16), nullable=False),
    Column("reason", String, nullable=False),
    Column("sees", Boolean, nullable=False),
    Column("slowness", String(16), nullable=False),
    Column("rate", Float, nullable=False),  # frames that are judged each second
    Column("version", String(32), nullable=False),
    Column("settings", String(16), nullable=False),  # short hash of the settings that doors may share
    Column("device", String(32), nullable=False),
    Column("up_s", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),  # events that wait for an output
    Column("dropped", BigInteger, nullable=False),  # events that an output never gets
    Column("troubles", String, nullable=False),  # sentences, one in each line
    Column("report_s", Float, nullable=False, server_default="0"),  # time between two reports of this door
)
