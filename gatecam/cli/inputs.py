"""Check inputs before libraries load, which takes seconds. This module imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gatecam.errors import SourceError
from gatecam.runtime.logs import say

LOADING = "loading the networks…"


def require_there(paths: Iterable[Path | None]) -> None:
    """Check that all inputs exist.

    Raises:
        SourceError: some do not. The error has a sentence for each.
    """
    missing = missing_of(paths)
    if missing:
        raise SourceError("\n".join(missing))


def missing_of(paths: Iterable[Path | None]) -> list[str]:
    """Return a sentence for each path that does not exist. Paths that may not be checked are left out."""
    missing = []
    for path in paths:
        with suppress(OSError):
            if path is not None and not path.exists():
                missing.append(f"{path}: there is no such file or folder; check the path.")
    return missing


def say_loading() -> None:
    """Report on standard error that the networks are loading."""
    say(LOADING)
