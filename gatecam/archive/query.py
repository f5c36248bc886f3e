"""Ask the tables of an archive questions in SQL."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatecam.errors import ConfigError, MissingExtraError, OutputError

if TYPE_CHECKING:
    import duckdb

NAMES = ("events", "people", "totals", "files")


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds the names of the columns and the rows of an answer."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


def ask(folder: Path, sql: str) -> Answer:
    """Return what a query finds in the tables `events`, `people`, `totals` and `files` of an archive.

    Rows of recordings that are not finished are left out. The query can read this folder and nothing else,
    and it can write nothing. Times are in UTC.

    Raises:
        ConfigError: the query is wrong.
        MissingExtraError: DuckDB is not installed.
        OutputError: there is no archive in the folder, or one of its files is damaged.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("Asking an archive", "ray") from error
    if not any((folder / "files").glob("*.parquet")):
        raise OutputError(
            f"{folder}: there is no archive yet; make one with `gatecam archive SOURCES --out DIR`."
        )
    try:
        try:
            return _answer(folder, sql)
        except (duckdb.InvalidInputException, duckdb.BinderException):  # an older row lacks a column
            return _answer(folder, sql, by_name=True)
    except duckdb.Error as error:
        if isinstance(error, duckdb.InvalidInputException) and f"{folder.resolve()}" in str(error):
            raise OutputError(
                f"a table is damaged ({str(error).splitlines()[0]}); delete that file and run the same "
                "`gatecam archive` again."
            ) from error
        raise ConfigError(f"--query: {str(error).splitlines()[0]}; docs/archive.md shows examples") from error


def _answer(folder: Path, sql: str, by_name: bool = False) -> Answer:
    """Return what a query finds. `by_name` allows rows of `files` without the last columns, but takes longer.

    Raises:
        ConfigError: the query is not a SELECT.
        duckdb.Error: the query is wrong.
    """
    import duckdb

    with duckdb.connect() as connection:
        _open(connection, folder, by_name)
        kinds = {statement.type for statement in connection.extract_statements(sql)}
        if kinds != {duckdb.StatementType.SELECT}:  # COPY and ATTACH can write where tables are read
            raise ConfigError("--query: expected a SELECT; docs/archive.md shows examples")
        found = connection.execute(sql)
        return Answer(tuple(column[0] for column in found.description or ()), found.fetchall())


def _open(connection: duckdb.DuckDBPyConnection, folder: Path, by_name: bool) -> None:
    """Give a connection views of the tables, and deny it everything else."""
    quoted = str(folder.resolve()).replace("'", "''")
    pattern = glob.escape(quoted)
    connection.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false;")
    for name in reversed(NAMES):  # a row in `files` is written last, so the other tables are complete then
        only = "" if name == "files" else " WHERE recording IN (SELECT recording FROM files)"
        connection.execute(
            f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{pattern}/{name}/[0-9a-f]*.parquet', "
            f"union_by_name = {by_name and name == 'files'}, hive_partitioning = false){only}"
        )
    connection.execute(f"SET allowed_directories = ['{quoted}', '{pattern}'];")
    connection.execute("SET enable_external_access = false; SET lock_configuration = true;")
