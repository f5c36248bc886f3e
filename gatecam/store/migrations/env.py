"""What Alembic calls to run the steps, on the connection that `migrate.py` gives it."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
