"""Keep the users of the pages with their roles and hashed passwords, in a file with mode 600."""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gatecam.errors import ConfigError, MissingExtraError, OutputError
from gatecam.runtime.folders import close_to_others, own_folder, read_own, replace_own
from gatecam.runtime.locks import folder_lock
from gatecam.web.tokens import USER_ROLES, Role

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FILE = "web-users.json"
MOST_BYTES = 1_000_000
MOST_USERS = 500
LEAST_LETTERS, MOST_LETTERS = 10, 256  # of a password
NAME = re.compile(r"[\w][\w.@-]{0,39}")  # no colon, so that no name looks like `token:operator`

log = logging.getLogger(__name__)


class UserProblem(StrEnum):
    """Says what is wrong with a change of users."""

    NAME = (
        "The name must have 1 to 40 letters, digits or . _ - @, and begin with a letter or digit: choose "
        "another one."
    )
    TAKEN = "There is a user of this name: choose another name."
    MANY = "There are too many users: remove one first."
    UNKNOWN = "There is no such user: check the name."
    PASSWORD = (
        f"The password must have {LEAST_LETTERS} to {MOST_LETTERS} characters, at least 4 different ones, "
        "and differ from the name: choose another one."
    )
    LAST_ADMIN = "This is the last admin: make another user an admin first."


class UserError(ConfigError):
    """A user cannot be added or changed as asked."""


@dataclass(frozen=True, slots=True)
class User:
    """Holds a user's role and the argon2 hash of the password.

    `stamp` changes with the role and the password, which ends the user's earlier sessions.
    """

    name: str
    role: Role
    hash: str
    stamp: str
    changed_s: float  # time of the last change, in s since 1970


class Users:
    """Reads and changes the users. Any thread may use it, and other programs may change the file."""

    def __init__(self, file: Path | None) -> None:
        """Keep the users in a file, or only in memory if it is None."""
        self._file = file
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None  # identifies the content that was read last
        self._of: dict[str, User] = {}
        self._unreadable = False
        self._dummy = ""

    def all(self) -> list[User]:
        """Return all users in the order of their names."""
        return [user for _, user in sorted(self._read().items())]

    def get(self, name: str) -> User | None:
        """Return a user, or None if there is none of this name."""
        return self._read().get(_normal(name))

    def check(self, name: str, password: str) -> User | None:
        """Return the user if the password is right, else None. It takes as long if there is no such user."""
        from argon2.exceptions import Argon2Error, InvalidHashError

        user = self.get(name)
        if user is None and not self._dummy:
            self._dummy = _hash("nobody")
        try:
            _hasher().verify(self._dummy if user is None else user.hash, _bytes(password))
        except (Argon2Error, InvalidHashError):
            return None
        return user

    def add(self, name: str, role: Role, password: str) -> User:
        """Add a user.

        Raises:
            UserError: the name is not valid or taken, or the password is too short or long.
            MissingExtraError: the library for passwords is not installed.
            OutputError: the file cannot be written.
        """
        name = _normal(name)
        if not NAME.fullmatch(name):
            raise UserError(UserProblem.NAME)
        made = _made(name, role, hash=_hash(_checked(password, name)))

        def change(users: dict[str, User]) -> None:
            if name in users:
                raise UserError(UserProblem.TAKEN)
            if len(users) >= MOST_USERS:
                raise UserError(UserProblem.MANY)
            users[name] = made

        self._change(change)
        return made

    def change(
        self, name: str, role: Role | None = None, password: str | None = None, keep_admin: bool = False
    ) -> User:
        """Change the role or the password of a user, which ends the user's sessions.

        `keep_admin` refuses to take the role from the last admin. It raises the same errors as `add`.
        """
        name = _normal(name)
        hashed = None if password is None else _hash(_checked(password, name))

        def change(users: dict[str, User]) -> None:
            old = users.get(name)
            if old is None:
                raise UserError(UserProblem.UNKNOWN)
            users[name] = _made(name, role or old.role, hashed or old.hash)
            if keep_admin:
                _keep_admin(users)

        return self._change(change)[name]

    def remove(self, name: str, keep_admin: bool = False) -> User:
        """Remove a user, which ends the user's sessions, and return what was removed.

        `keep_admin` refuses to remove the last admin. It raises the same errors as `add`.
        """
        name, gone = _normal(name), []

        def change(users: dict[str, User]) -> None:
            if name not in users:
                raise UserError(UserProblem.UNKNOWN)
            gone.append(users.pop(name))
            if keep_admin:
                _keep_admin(users)

        self._change(change)
        return gone[0]

    def _change(self, change: Callable[[dict[str, User]], None]) -> dict[str, User]:
        if self._file is None:
            users = dict(self._of)
            change(users)
            self._of = users
            return users
        try:
            own_folder(self._file.parent)
            with folder_lock(self._file.parent):
                users = _load(self._file)
                change(users)
                rows = [asdict(user) for user in users.values()]
                replace_own(self._file, json.dumps(rows, ensure_ascii=False, indent=1).encode() + b"\n")
        except OSError as error:
            raise OutputError(
                f"{self._file}: cannot be changed ({error.strerror}): make space or correct its mode."
            ) from error
        return users

    def _read(self) -> dict[str, User]:
        """Return the users, and read the file again if it has changed."""
        if self._file is None:
            return self._of
        try:
            status = self._file.lstat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        except OSError:
            return {}
        with self._lock:
            if seen != self._seen:
                try:
                    self._of, self._seen = _load(self._file), seen
                    self._unreadable = False
                except (OSError, OutputError) as error:
                    # Wrong content is read again only after the file has changed. Other errors may pass.
                    self._of, self._seen = {}, seen if isinstance(error, OutputError) else None
                    if not self._unreadable:
                        log.warning("No user can log in: %s", error)
                    self._unreadable = True
            return self._of


def _load(file: Path) -> dict[str, User]:
    """Read the users from a file. There are none if it is missing.

    Raises:
        OutputError: the file has another content.
        OSError: the file cannot be read.
    """
    try:
        close_to_others(file)
        rows = json.loads(read_own(file, MOST_BYTES))
        users = [User(**{**row, "role": Role(row["role"])}) for row in rows]
        if not all(user.role in USER_ROLES and user.hash.startswith("$argon2") for user in users):
            raise ValueError("it has a wrong role or hash")
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OutputError(f"{file}: holds no users ({error}): delete it, and add them again.") from error
    return {user.name: user for user in users}


def _made(name: str, role: Role, hash: str) -> User:
    return User(name, role, hash, secrets.token_hex(8), round(time.time()))


def _keep_admin(users: dict[str, User]) -> None:
    if all(user.role is not Role.ADMIN for user in users.values()):
        raise UserError(UserProblem.LAST_ADMIN)


def _checked(password: str, name: str) -> str:
    password = _normal(password)
    is_long = LEAST_LETTERS <= len(password) <= MOST_LETTERS
    is_text = not re.search("[\ud800-\udfff]", password)  # else its bytes were no UTF-8
    if not (is_long and is_text) or password == name or len(set(password)) < 4:
        raise UserError(UserProblem.PASSWORD)
    return password


def _bytes(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")


def _normal(text: str) -> str:
    """Return a text in the form in which all keyboards write it. Hangul has two, for example."""
    return unicodedata.normalize("NFKC", text)


def _hash(password: str) -> str:
    return _hasher().hash(password)


def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise MissingExtraError("A user with a password", "web") from error
    return PasswordHasher()
