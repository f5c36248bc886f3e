"""Make the tables that commands print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from rich.markup import escape
from rich.table import Table


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], words: int = 1) -> Table:
    """Return a table whose first `words` columns are words, on the left. The others are numbers.

    Scores and their intervals stay on one line.
    """
    made = Table(title=escape(title), title_justify="left")
    for index, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if index < words else "right"
        made.add_column(escape(column), justify=justify, overflow="fold", no_wrap="F1" in column)
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    return made
