"""Brings the tables of a store to what this version expects, and refuses those of a newer one."""

from __future__ import annotations

import contextlib
import io

import sqlalchemy as sa
from sqlalchemy import Connection

from gatecam.errors import OutputError
from gatecam.store.tables import REVISIONS


def migrate(connection: Connection, name: str) -> None:
    """Run the steps that a store lacks, all within the connection's transaction.

    Args:
        connection: in a transaction that other programs' writing waits for.
        name: of the store, for the message.

    Raises:
        OutputError: another program made the tables, or a newer version of gatecam.
    """
    if (there := _revision(connection)) == REVISIONS[-1]:
        return
    if there is not None and there not in REVISIONS:
        raise OutputError(
            f"{name}: was made by a newer gatecam or another program: install that gatecam again, or choose "
            "another store."
        )
    # Imported here: a store that lacks nothing, as nearly always, opens a third of a second sooner.
    from alembic import command
    from alembic.config import Config

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", "gatecam.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with contextlib.redirect_stdout(io.StringIO()):
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found
