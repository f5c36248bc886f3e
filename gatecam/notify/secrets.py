"""Secrets lie in files of their own, which the settings name."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from gatecam.errors import OutputError

MAX_BYTES = 16 * 1024

log = logging.getLogger(__name__)


def read_secret(path: Path) -> str:
    """Return the text of a secret's file, without the end of its line and a byte-order mark.

    Raises:
        OutputError: it cannot be read, or holds nothing.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("utf-8-sig").strip()
        is_open = bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise OutputError(
            f"{path}: the secret cannot be read ({reason}): correct its path or mode."
        ) from None
    if not text:
        raise OutputError(f"{path}: holds no secret: write one into it.")
    if is_open:
        log.warning("%s may be read by others: `chmod 600` it.", path)
    return text
