"""Run the migrations for Alembic, on the connection that `migrate.py` provides."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
