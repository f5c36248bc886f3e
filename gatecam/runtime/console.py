"""Where words go: standard output or standard error, as they are."""

from __future__ import annotations

from rich.console import Console

UNCUT = 10_000  # columns: what a pipe or a file gets is cut nowhere


def open_console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error, for words as they are: a name such as `[red].mp4` is no markup."""
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = UNCUT
    return console
