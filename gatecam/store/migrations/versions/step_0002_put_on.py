"""Record when a person who put a mask on had come, in one event per person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LONGEST_MS = 3_600_000  # track ids start again with each run, so hours later an id is another person's


def upgrade() -> None:
    """Add the column and fill it for the existing events."""
    op.add_column("events", sa.Column("came_ms", sa.BigInteger))
    op.create_index("events_came", "events", ["came_ms"])
    names = ("id", "at_ms", "kind", "camera", "track_id", "verdict", "first", "came_ms")
    events = sa.table("events", *map(sa.column, names))
    asked = sa.or_(events.c.first, events.c.kind == "mask_ok")
    came: dict[
        tuple[str, int], int
    ] = {}  # people who came without a correct mask and have not put one on yet
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
