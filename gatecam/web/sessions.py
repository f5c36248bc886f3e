"""Floor 4: sessions as signed cookies, so that a restart does not log the screen at the door out.

A cookie is role, issue time, expiry, nonce and the HMAC-SHA256 of these; nothing is kept of it here but
the nonces of those that were logged out.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gatecam.web.tokens import Role, Tokens

LIFETIME_S = {Role.OPERATOR: 12 * 3600, Role.DOOR: 400 * 86_400}
MOST_REVOKED = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """Who somebody is, until when (s since 1970)."""

    role: Role
    expires_s: int
    nonce: str


class Sessions:
    """Issues, reads and revokes cookies."""

    def __init__(self, tokens: Tokens, is_secure: bool, clock: Callable[[], float]) -> None:
        """`is_secure`: whether the pages are served by TLS; `clock`: the time of day, in s since 1970."""
        self._key = tokens.key.encode()
        self._is_secure, self._clock = is_secure, clock
        self._revoked: dict[str, int] = {}  # until when, by nonce
        self.cookie = "__Host-gatecam" if is_secure else "gatecam"

    def issue(self, role: Role) -> str:
        """The `Set-Cookie` header of a new session."""
        now_s = int(self._clock())
        text = f"{role}.{now_s}.{now_s + LIFETIME_S[role]}.{secrets.token_urlsafe(16)}"
        return self._header(f"{text}.{self._sign('session', text)}", LIFETIME_S[role])

    def read(self, value: str) -> Session | None:
        """The session of a cookie's value; None if it is forged, over or revoked."""
        text, _, signature = value.rpartition(".")
        wanted = self._sign("session", text).encode()
        if not hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), wanted):
            return None
        role, _, expires_s, nonce = text.split(".")
        session = Session(Role(role), int(expires_s), nonce)
        return session if session.expires_s > self._clock() and nonce not in self._revoked else None

    def revoke(self, session: Session) -> str:
        """Log a session out; the `Set-Cookie` header that takes its cookie away."""
        # None is forgotten by the clock: one that was ahead would bring logged-out cookies back.
        while len(self._revoked) >= MOST_REVOKED:
            del self._revoked[next(iter(self._revoked))]
        self._revoked[session.nonce] = session.expires_s
        return self._header("", 0)

    def csrf_token(self, session: Session) -> str:
        """What a request of the session that changes something must carry."""
        return self._sign("csrf", session.nonce)

    def is_csrf_token(self, session: Session, token: str) -> bool:
        """Whether a request carries the session's token."""
        wanted = self.csrf_token(session).encode()
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), wanted)

    def _sign(self, purpose: str, text: str) -> str:
        message = f"{purpose}:{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def _header(self, value: str, age_s: int) -> str:
        secure = "; Secure" if self._is_secure else ""
        return f"{self.cookie}={value}; Max-Age={age_s}; Path=/; HttpOnly; SameSite=Strict{secure}"
