"""Update the tables of a store to this version, and reject those of a newer version."""

from __future__ import annotations

import contextlib
import io

import sqlalchemy as sa
from sqlalchemy import Connection

from gatecam.errors import OutputError
from gatecam.store.tables import REVISIONS

MAY_NOT = ("42501", "25006")  # PostgreSQL's codes for a right that is missing, and for a copy of a server


def migrate(connection: Connection, name: str) -> None:
    """Run the migrations that a store lacks, all in the connection's transaction.

    Args:
        connection: in a transaction that blocks writing by other programs.
        name: the store's name, for the message.

    Raises:
        OutputError: another program or a newer version of gatecam made the tables, or this user may not
            update them.
    """
    if (there := _revision(connection)) == REVISIONS[-1]:
        return
    if there is not None and there not in REVISIONS:
        raise OutputError(
            f"{name}: was made by a newer gatecam or another program: install that gatecam again, or choose "
            "another store."
        )
    # Imported here, so that an up-to-date store, the usual case, opens a third of a second sooner.
    from alembic import command
    from alembic.config import Config

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", "gatecam.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            command.upgrade(config, "head")
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in MAY_NOT:
            raise
        raise OutputError(
            f"{name}: its tables are missing or of an older gatecam, and may only be read here: start a door "
            "of this version first, which makes or updates them."
        ) from error


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found
