"""What is checked and said before libraries load, which takes seconds; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gatecam.errors import SourceError
from gatecam.runtime.logs import say

LOADING = "loading the networks…"


def require_there(paths: Iterable[Path | None]) -> None:
    """Check that everything that is to be read is there.

    Raises:
        SourceError: something is not; one sentence each.
    """
    missing = missing_of(paths)
    if missing:
        raise SourceError("\n".join(missing))


def missing_of(paths: Iterable[Path | None]) -> list[str]:
    """Return a sentence for each path that leads nowhere; one that may not be looked at counts as there."""
    missing = []
    for path in paths:
        with suppress(OSError):
            if path is not None and not path.exists():
                missing.append(f"{path}: there is no such file or folder; check the path.")
    return missing


def say_loading() -> None:
    """Say on standard error that the networks load."""
    say(LOADING)
