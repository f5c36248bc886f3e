"""Record how long events lasted, what was said, the operator's answers, and what each output sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("events", sa.Column("ended_ms", sa.BigInteger))
    op.add_column("events", sa.Column("said", sa.String(32)))
    op.add_column("events", sa.Column("answer", sa.String(16)))
    is_answered = sa.text("answer IS NOT NULL")
    op.create_index(
        "events_answered", "events", ["at_ms"], sqlite_where=is_answered, postgresql_where=is_answered
    )
    op.create_table(
        "sent",
        sa.Column("output", sa.String(64), primary_key=True),
        sa.Column("first_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
    )
