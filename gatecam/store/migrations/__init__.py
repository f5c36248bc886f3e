"""Build the tables of the store step by step. Alembic runs the steps that a store lacks."""
