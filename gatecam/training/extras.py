"""Check for the libraries of the extra [train] before long work starts."""

from __future__ import annotations

from importlib.util import find_spec

from gatecam.errors import MissingExtraError


def require(library: str, what: str) -> None:
    """Check that a library is installed, which `what` needs.

    Raises:
        MissingExtraError: the library is not installed.
    """
    if find_spec(library) is None:
        raise MissingExtraError(what, "train")
