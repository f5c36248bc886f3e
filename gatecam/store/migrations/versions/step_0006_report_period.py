"""Record how often each door reports its health."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column. It is 0 until the door reports again."""
    op.add_column("health", sa.Column("report_s", sa.Float, nullable=False, server_default="0"))
