"""Open standard output or standard error for text that is printed as it is."""

from __future__ import annotations

from rich.console import Console

UNCUT = 10_000  # columns: text for a pipe or a file is never wrapped or cut


def open_console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is: a file name such as `[red].mp4` is not taken as markup."""
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = UNCUT
    return console
