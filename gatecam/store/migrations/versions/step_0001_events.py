"""Create the tables of events, cursors and totals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "events",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(32), nullable=False, unique=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("camera", sa.String, nullable=False),
        sa.Column("track_id", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("time_s", sa.Float, nullable=False),
        sa.Column("frame", sa.BigInteger, nullable=False),
        sa.Column("probability", sa.Float, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("first", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_at", "events", ["at_ms"])
    op.create_index("events_first", "events", ["first", "at_ms", "verdict", "camera"])
    op.create_table(
        "cursors",
        sa.Column("output", sa.String(64), primary_key=True),
        sa.Column("event_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "totals",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("camera", sa.String, primary_key=True),
        sa.Column("class_id", sa.Integer, primary_key=True),
        sa.Column("people", sa.BigInteger, nullable=False),
    )
