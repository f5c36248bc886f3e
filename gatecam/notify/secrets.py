"""Read secrets from files of their own, which the settings name."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from gatecam.errors import OutputError

MAX_BYTES = 16 * 1024

log = logging.getLogger(__name__)


def read_secret(path: Path) -> str:
    """Return the secret in a file, without a byte-order mark or space at either end.

    Raises:
        OutputError: the file cannot be read, or holds nothing.
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
        raise OutputError(f"{path}: the file holds no secret: write one into it.")
    if is_open:
        log.warning("%s can be read by other users: run `chmod 600` on it.", path)
    return text
