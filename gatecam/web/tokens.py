"""Floor 4: the secrets that let people in: made at the first start, kept for this user alone."""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from gatecam.errors import OutputError

FILE = "web-tokens.json"
BYTES = 32

log = logging.getLogger(__name__)


class Role(StrEnum):
    """Who may see what: the operator all, the screen at the door its page, Prometheus `/metrics`."""

    OPERATOR = "operator"
    DOOR = "door"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """One access token a role, and the key that sessions are signed with."""

    operator: str
    door: str
    metrics: str
    key: str

    def of(self, role: Role) -> str:
        """The token that gives a role."""
        return {Role.OPERATOR: self.operator, Role.DOOR: self.door, Role.METRICS: self.metrics}[role]

    def role_of(self, token: str) -> Role | None:
        """The role that a token gives, or None; takes as long for a wrong one as for a right one."""
        given = token.encode("utf-8", "surrogateescape")
        fits = [role for role in Role if hmac.compare_digest(given, self.of(role).encode())]
        return fits[0] if fits else None


def load_tokens(folder: Path) -> Tokens:
    """The tokens of a folder; new ones where there are none yet.

    Raises:
        OutputError: they cannot be read or written.
    """
    path = folder / FILE
    _close(folder)
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}): mend its mode or owner.") from error
    except (ValueError, TypeError) as error:
        raise OutputError(f"{path}: holds no tokens: delete it, and new ones are made.") from error
    tokens = Tokens(*(secrets.token_urlsafe(BYTES) for _ in range(4)))
    try:
        _write(path, tokens)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}): make space or mend the folder's mode."
        ) from error
    return tokens


def _close(folder: Path) -> None:
    """Who may write to the folder could put tokens of his own there."""
    with suppress(OSError):
        if stat.S_IMODE(folder.stat().st_mode) & 0o022:
            folder.chmod(0o700)
            log.warning("%s could be written by others; its mode is 700 now.", folder)


def _read(path: Path) -> Tokens:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        given = json.loads(file.read(4096))
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(0o600)
        log.warning("%s could be read by others; its mode is 600 again. Delete it to have new tokens.", path)
    tokens = Tokens(**given)
    if not all(isinstance(one, str) and len(one) >= BYTES for one in asdict(tokens).values()):
        raise ValueError("too short")
    return tokens


def _write(path: Path, tokens: Tokens) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}-{os.getpid()}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, (json.dumps(asdict(tokens)) + "\n").encode("ascii"))
        os.fsync(fd)
    finally:
        os.close(fd)
    part.replace(path)
