"""Sessions of the pages: kept in a file, so that a restart neither ends one nor brings one back.

A cookie is a random number. Who it stands for is known here alone: a session that is not in the table is
over, whatever the clock says. The clock can only end sessions, and removing one always ends it.
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
from gatecam.web.tokens import Role, Tokens

FILE = "web-sessions-{port}.json"  # two programs with one folder have two ports
LIFETIME_S = {Role.OPERATOR: 12 * 3600, Role.DOOR: 400 * 86_400}
MOST_SESSIONS = 200  # of a role
MOST_BYTES = 1_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """Who somebody is, until when (monotonic, in s)."""

    role: Role
    id: str
    ends_s: float


class Sessions:
    """Issues, reads and revokes cookies. May be used by several threads.

    The table holds a keyed hash of each cookie, so that new tokens end all sessions. While gatecam runs, time
    is taken from a clock that cannot be set. In the file it is the time of day, and a session that was read
    from there lasts no longer than a new one. Of a role's sessions beyond 200 the one goes that was used
    least recently.
    """

    def __init__(
        self,
        tokens: Tokens,
        is_secure: bool,
        file: Path | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the sessions of before.

        Args:
            tokens: whose key signs.
            is_secure: whether browsers come by TLS.
            file: where sessions are kept; None for nowhere.
            clock: the time of day, in s since 1970.
            monotonic: a clock that cannot be set, in s.
        """
        self._key, self._file = tokens.key.encode(), file
        self._is_secure, self._clock, self._monotonic = is_secure, clock, monotonic
        self._lock = threading.Lock()
        self._of: OrderedDict[str, Session] = OrderedDict()  # the least recently used first
        self.cookie = "__Host-gatecam" if is_secure else "gatecam"
        self._load()

    def issue(self, role: Role) -> str:
        """Begin a session and return its `Set-Cookie` header."""
        value = secrets.token_urlsafe(32)
        session = Session(role, self._sign("session", value), self._monotonic() + LIFETIME_S[role])
        with self._lock:
            self._drop(lambda one: one.ends_s <= self._monotonic())
            same = [one.id for one in self._of.values() if one.role is role]
            for old in same[: max(0, len(same) - MOST_SESSIONS + 1)]:
                del self._of[old]
            self._of[session.id] = session
            self._save()
        return self._header(value, LIFETIME_S[role])

    def read(self, value: str) -> Session | None:
        """Return the session of a cookie's value, None if there is none or it is over."""
        session = self._of.get(self._sign("session", value))
        return session if session is not None and self.holds(session) else None

    def holds(self, session: Session) -> bool:
        """Check that a session is neither over nor revoked, and note that it is in use."""
        with self._lock:
            if session.id not in self._of or session.ends_s <= self._monotonic():
                return False
            self._of.move_to_end(session.id)
            return True

    def revoke(self, session: Session) -> str:
        """End a session for good and return the `Set-Cookie` header that takes its cookie away."""
        with self._lock:
            self._drop(lambda one: one.id == session.id)
            self._save()
        return self._header("", 0)

    def csrf_token(self, session: Session) -> str:
        """Return what a request of the session that changes something must carry."""
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
        return Session(role, str(row["id"]), self._monotonic() + min(LIFETIME_S[role], left_s))

    def _save(self) -> None:
        if self._file is None:
            return
        shift_s = self._clock() - self._monotonic()
        rows = [
            {"id": one.id, "role": one.role.value, "expires_s": round(one.ends_s + shift_s)}
            for one in self._of.values()
        ]
        try:
            replace_own(self._file, json.dumps(rows).encode() + b"\n")
        except OSError as error:
            with suppress(OSError):  # an old file would let in who has logged out since
                self._file.unlink()
            log.warning(
                "%s cannot be written (%s), so that a restart would end all sessions: make space or correct "
                "the folder's mode.",
                self._file,
                error.strerror,
            )

    def _sign(self, purpose: str, text: str) -> str:
        message = f"{purpose}:{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def _header(self, value: str, age_s: int) -> str:
        secure = "; Secure" if self._is_secure else ""
        return f"{self.cookie}={value}; Max-Age={age_s}; Path=/; HttpOnly; SameSite=Strict{secure}"
