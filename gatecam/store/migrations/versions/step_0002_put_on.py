"""Which events tell that a person put a mask on, and when that person came: one event a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LONGEST_MS = 3_600_000  # track ids begin anew with each start: after hours it is another person's


def upgrade() -> None:
    """Add the column, and fill it for the events that are there."""
    op.add_column("events", sa.Column("came_ms", sa.BigInteger))
    op.create_index("events_came", "events", ["came_ms"])
    names = ("id", "at_ms", "kind", "camera", "track_id", "verdict", "first", "came_ms")
    events = sa.table("events", *map(sa.column, names))
    asked = sa.or_(events.c.first, events.c.kind == "mask_ok")
    came: dict[tuple[str, int], int] = {}  # who came without a mask and has not put one on
    found: list[dict[str, int]] = []
    connection = op.get_bind()
    for row in connection.execute(sa.select(events).where(asked).order_by(events.c.id)):
        at_ms = came.pop((row.camera, row.track_id), None)
        if not row.first and at_ms is not None and row.at_ms - at_ms <= LONGEST_MS:
            found.append({"number": row.id, "came": at_ms})
        elif row.first and row.verdict != "correct":
            came[row.camera, row.track_id] = row.at_ms
    if found:
        update = sa.update(events).where(events.c.id == sa.bindparam("number"))
        connection.execute(update.values(came_ms=sa.bindparam("came")), found)
