"""Record which door copied an event, and the latest report of each door's health."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column, its indexes and the table."""
    op.add_column("events", sa.Column("door", sa.String, nullable=False, server_default=""))
    op.drop_index("events_first", "events")
    op.create_index("events_first", "events", ["first", "at_ms", "verdict", "camera", "door"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("events_door", "events", ["door", "at_ms"])
    op.create_table(
        "health",
        sa.Column("door", sa.String, primary_key=True),
        sa.Column("camera", sa.String, primary_key=True),
        sa.Column("reported_ms", sa.BigInteger, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("sees", sa.Boolean, nullable=False),
        sa.Column("slowness", sa.String(16), nullable=False),
        sa.Column("rate", sa.Float, nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("settings", sa.String(16), nullable=False),
        sa.Column("device", sa.String(32), nullable=False),
        sa.Column("up_s", sa.BigInteger, nullable=False),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        sa.Column("troubles", sa.String, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Half-empty pages let a report replace its row in the same page, without a change of the index.
        op.execute("ALTER TABLE health SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 1)")
