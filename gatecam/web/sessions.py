"""Keep the sessions of the pages in a file, so that a restart neither ends nor revives a session.

A cookie is a random number, and only the table here knows its role. A session that is not in the table is
over, whatever the clock says. The clock can only end sessions, and removing a session always ends it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatecam.runtime.folders import read_own, replace_own
from gatecam.settings.schema import WebConfig
from gatecam.web.tokens import Role, Tokens
from gatecam.web.users import User, Users

FILE = "web-sessions-{port}.json"  # programs that share a folder have different ports
WORKDAY_S = 12 * 3600
LIFETIME_S = {
    Role.VIEWER: WORKDAY_S,
    Role.OPERATOR: WORKDAY_S,
    Role.ADMIN: WORKDAY_S,
    Role.DOOR: 400 * 86_400,
}
MOST_SESSIONS = 200  # for each role
MOST_BYTES = 1_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """Holds the role of a logged-in browser and when its session ends (monotonic, in s).

    `user` is empty after a login with a token. `stamp` is the user's at the login.
    """

    role: Role
    id: str
    ends_s: float
    user: str = ""
    stamp: str = ""


class Sessions:
    """Issues, reads and revokes cookies. Any thread may use it.

    The table holds a keyed hash of each cookie, so that new tokens end all sessions. While gatecam runs,
    sessions end by a clock that nobody can set. The file holds the date and time instead, and a session read
    from it lasts no longer than a new one. If a role has more than 200 sessions, the least recently used one
    ends.
    """

    def __init__(
        self,
        tokens: Tokens,
        config: WebConfig,
        file: Path | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        users: Users | None = None,
    ) -> None:
        """Read the sessions that the file keeps.

        Args:
            tokens: the tokens, whose key signs the cookies.
            config: the settings of the pages, which decide about the cookie.
            file: the file that keeps the sessions, or None to keep them only in memory.
            clock: returns the time in s since 1970.
            monotonic: returns the time in s of a clock that nobody can set.
            users: the users, whose sessions end when they are removed or changed.
        """
        self._key, self._file = tokens.key.encode(), file
        self._users = Users(None) if users is None else users
        self._clock, self._monotonic = clock, monotonic
        self._lock = threading.Lock()
        self._of: OrderedDict[str, Session] = OrderedDict()  # the least recently used is first
        self.cookie = f"__Host-{config.cookie}" if config.is_secure else config.cookie
        # A frame of another site only gets a cookie that belongs to the pair of both sites.
        framed = "SameSite=None; Secure; Partitioned" if config.framed_by else "SameSite=Strict; Secure"
        self._attributes = framed if config.is_secure else "SameSite=Strict"
        self._load()

    def issue(self, role: Role, user: User | None = None) -> str:
        """Begin a session, of a user or of a token's role, and return its `Set-Cookie` header."""
        value = secrets.token_urlsafe(32)
        name, stamp = ("", "") if user is None else (user.name, user.stamp)
        ends_s = self._monotonic() + LIFETIME_S[role]
        session = Session(role, self._sign("session", value), ends_s, name, stamp)
        with self._lock:
            self._drop(lambda one: one.ends_s <= self._monotonic())
            same = [one.id for one in self._of.values() if one.role is role]
            for old in same[: max(0, len(same) - MOST_SESSIONS + 1)]:
                del self._of[old]
            self._of[session.id] = session
            self._save()
        return self._header(value, LIFETIME_S[role])

    def read(self, value: str) -> Session | None:
        """Return the session of a cookie's value, or None if there is none or it is over."""
        session = self._of.get(self._sign("session", value))
        return session if session is not None and self.holds(session) else None

    def holds(self, session: Session) -> bool:
        """Check that a session is neither over nor revoked, and record that it is in use.

        A user's session is over once the user is removed or gets another role or password.
        """
        if session.user:
            user = self._users.get(session.user)
            if user is None or user.stamp != session.stamp:
                return False
        with self._lock:
            if session.id not in self._of or session.ends_s <= self._monotonic():
                return False
            self._of.move_to_end(session.id)
            return True

    def revoke(self, session: Session) -> str:
        """End a session permanently and return the `Set-Cookie` header that deletes its cookie."""
        with self._lock:
            self._drop(lambda one: one.id == session.id)
            self._save()
        return self._header("", 0)

    def csrf_token(self, session: Session) -> str:
        """Return the token that every changing request of a session must carry."""
        return self._sign("csrf", session.id)

    def is_csrf_token(self, session: Session, token: str) -> bool:
        """Check that a request carries the session's token."""
        wanted = self.csrf_token(session).encode()
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), wanted)

    def _drop(self, is_over: Callable[[Session], bool]) -> None:
        for session in [one for one in self._of.values() if is_over(one)]:
            del self._of[session.id]

    def _load(self) -> None:
        if self._file is None:
            return
        try:
            rows = json.loads(read_own(self._file, MOST_BYTES))
            self._of.update((one.id, one) for one in map(self._read_row, rows))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._of.clear()
            log.warning("%s cannot be read (%s): all browsers have to log in again.", self._file, error)

    def _read_row(self, row: Mapping[str, Any]) -> Session:
        role, left_s = Role(row["role"]), float(row["expires_s"]) - self._clock()
        ends_s = self._monotonic() + min(LIFETIME_S[role], left_s)
        return Session(role, str(row["id"]), ends_s, str(row.get("user", "")), str(row.get("stamp", "")))

    def _save(self) -> None:
        if self._file is None:
            return
        shift_s = self._clock() - self._monotonic()
        rows = [
            {
                "id": one.id,
                "role": one.role.value,
                "expires_s": round(one.ends_s + shift_s),
                "user": one.user,
                "stamp": one.stamp,
            }
            for one in self._of.values()
        ]
        try:
            replace_own(self._file, json.dumps(rows).encode() + b"\n")
        except OSError as error:
            with suppress(OSError):  # an old file would revive sessions that have logged out since
                self._file.unlink()
            log.warning(
                "%s cannot be written (%s), so a restart would end all sessions: make space or correct "
                "the folder's mode.",
                self._file,
                error.strerror,
            )

    def _sign(self, purpose: str, text: str) -> str:
        message = f"{purpose}:{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def _header(self, value: str, age_s: int) -> str:
        return f"{self.cookie}={value}; Max-Age={age_s}; Path=/; HttpOnly; {self._attributes}"
