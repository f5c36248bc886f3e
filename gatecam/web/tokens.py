"""Create the access tokens on first use and keep them in a file that only this user can read."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from gatecam.errors import OutputError
from gatecam.runtime.folders import close_to_others, own_folder, read_own, replace_own

FILE = "web-tokens.json"
BYTES = 32

log = logging.getLogger(__name__)


class Role(StrEnum):
    """Says what a visitor may do.

    A viewer sees the pages, an operator also changes settings, and an admin also manages users and reads the
    audit log. The door has only its page, and Prometheus only `/metrics`.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    DOOR = "door"
    METRICS = "metrics"


TOKEN_ROLES = (Role.OPERATOR, Role.DOOR, Role.METRICS)
USER_ROLES = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """Holds one access token for each of `TOKEN_ROLES`, and the key that signs sessions."""

    operator: str
    door: str
    metrics: str
    key: str

    def of(self, role: Role) -> str:
        """Return the token of a role."""
        return {Role.OPERATOR: self.operator, Role.DOOR: self.door, Role.METRICS: self.metrics}[role]

    def role_of(self, token: str) -> Role | None:
        """Return the role of a token, or None if it is wrong. Wrong tokens take as long as right ones."""
        given = token.encode("utf-8", "surrogateescape")
        fits = [role for role in TOKEN_ROLES if hmac.compare_digest(given, self.of(role).encode())]
        return fits[0] if fits else None


def load_tokens(folder: Path) -> Tokens:
    """Return the tokens in a folder, and create them if there are none yet.

    Raises:
        OutputError: the tokens cannot be read or written, or other users can write to the folder.
    """
    path = folder / FILE
    try:
        own_folder(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be created or checked ({error.strerror}): correct its mode or owner."
        ) from error
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}): correct its mode or owner.") from error
    except (ValueError, TypeError) as error:
        raise OutputError(f"{path}: contains no tokens: delete it, and gatecam creates new ones.") from error
    tokens = Tokens(*(secrets.token_urlsafe(BYTES) for _ in range(4)))
    try:
        _write(path, tokens)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}): make space or correct the folder's mode."
        ) from error
    return tokens


def _read(path: Path) -> Tokens:
    if close_to_others(path):
        log.warning(
            "%s could be read by other users. Its mode is 600 again. Delete it to get new tokens.", path
        )
    given = json.loads(read_own(path, 4096))
    tokens = Tokens(**given)
    if not all(isinstance(one, str) and len(one) >= BYTES for one in asdict(tokens).values()):
        raise ValueError("too short")
    return tokens


def _write(path: Path, tokens: Tokens) -> None:
    replace_own(path, (json.dumps(asdict(tokens)) + "\n").encode("ascii"))
