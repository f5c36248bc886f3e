"""Floor 4: what every request and WebSocket passes before any page: nothing is open by default.

Host ─► token or session ─► role ─► same origin and CSRF token ─► size and time of the body ─► the page
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatecam.config import WebConfig
from gatecam.web.failures import Failures
from gatecam.web.sessions import Session, Sessions
from gatecam.web.tokens import Role, Tokens

MAX_BODY_BYTES = 64 * 1024
BODY_S = 10.0
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PUBLIC = ("/login", "/static/login.js", "/static/page.css", "/static/NanumSquareB.ttf")
LOGIN_PATH = "/login"
METRICS_PATH = "/metrics"
DOOR_PATHS = ("/door", "/live", "/logout", "/session")
CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Not the stricter no-referrer: with it browsers send the origin "null" along with the login form.
HEADERS = (
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: by a token in the request, or by the session of a cookie."""

    role: Role
    session: Session | None


class RefusedError(Exception):
    """A request goes no further; carries the status, a word for why, and headers of the answer."""

    def __init__(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, tuple(headers)


class Guard:
    """An ASGI application around another one; that finds who asks in `scope["state"]["visitor"]`."""

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        sessions: Sessions,
        failures: Failures,
        config: WebConfig,
    ) -> None:
        """The pages may be asked by any address, this machine's name, and the settings' host and proxy."""
        self._app, self._tokens, self._sessions, self._failures = app, tokens, sessions, failures
        self._proxy = None if config.proxy is None else config.proxy.lower()
        named = urlsplit(self._proxy or "").hostname or "localhost"
        self._hosts = {"localhost", socket.gethostname().lower(), config.host.lower(), named}
        self._scheme = "http" if config.certificate is None else "https"
        self._is_secure = config.is_secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        guarded = self._with_headers(scope, send)
        try:
            visitor = self._check(scope)
            scope.setdefault("state", {})["visitor"] = visitor
            if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
                receive = await _whole_body(scope, receive)
        except RefusedError as refused:
            await _answer(scope, receive, guarded, refused)
        else:
            await self._app(scope, receive, guarded)

    def _check(self, scope: Scope) -> Visitor | None:
        headers = Headers(scope=scope)
        self._check_host(headers.get("host", ""))
        path = scope["path"]
        visitor = self._visitor(scope, headers)
        if visitor is None and path not in PUBLIC:
            wanted = RefusedError(401, "A token is needed.", [("www-authenticate", "Bearer")])
            raise _to_login(scope, headers) or wanted
        if visitor is not None and not may_see(visitor.role, path):
            raise _to_login(scope, headers) or RefusedError(403, "This is the operator's.")
        self._check_origin(scope, headers, visitor)
        return visitor

    def _check_host(self, host: str) -> None:
        """Names that others give this machine would let their pages ask in a visitor's browser."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            name = ""
        if name in self._hosts:
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise RefusedError(400, "Ask by this machine's address or name.") from None

    def _visitor(self, scope: Scope, headers: Headers) -> Visitor | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        address = scope["client"][0] if scope.get("client") else ""
        if kind.lower() == "bearer":
            self.check_rate(address)
            if (role := self._tokens.role_of(token.strip())) is not None:
                self._failures.forget(address)
                return Visitor(role, None)
            self._failures.note(address)
            return None
        session = self._session(headers)
        return None if session is None else Visitor(session.role, session)

    def _session(self, headers: Headers) -> Session | None:
        """Of the first cookie that holds one; other programs' cookies may have any form."""
        for part in ";".join(headers.getlist("cookie")).split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._sessions.cookie and (session := self._sessions.read(value)) is not None:
                return session
        return None

    def check_rate(self, address: str) -> None:
        """Refuse an address that has failed too often of late."""
        if (wait_s := self._failures.wait_s(address)) > 0:
            raise RefusedError(429, "Too many wrong tokens.", [("retry-after", str(int(wait_s) + 1))])

    def _check_origin(self, scope: Scope, headers: Headers, visitor: Visitor | None) -> None:
        is_socket = scope["type"] == "websocket"
        if not is_socket and scope["method"] in SAFE_METHODS:
            return
        by_cookie = visitor is not None and visitor.session is not None
        origin = headers.get("origin")
        own = (f"{self._scheme}://{headers.get('host', '')}", self._proxy)
        if (origin is not None or (is_socket and by_cookie)) and (origin is None or origin not in own):
            raise RefusedError(403, "Another site asks.")
        if not is_socket and scope["path"] == LOGIN_PATH:
            return  # a form sends no such header; the token in it is the proof
        session = None if is_socket or visitor is None else visitor.session
        token = headers.get("x-csrf-token", "")
        if session is not None and not self._sessions.is_csrf_token(session, token):
            raise RefusedError(403, "The CSRF token is missing or wrong.")

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        own = list(HEADERS)
        if self._is_secure:
            own.append(("strict-transport-security", "max-age=31536000"))

        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                given = {name.lower() for name, _ in message.get("headers", [])}
                more = [*own, ("cache-control", "no-store")]
                message["headers"] = [
                    *message.get("headers", []),
                    *((n.encode(), v.encode()) for n, v in more if n.encode() not in given),
                ]
            await send(message)

        return guarded


def may_see(role: Role, path: str) -> bool:
    """Whether a path is one of those that a role opens."""
    if role is not Role.DOOR:
        return role is Role.OPERATOR or path == METRICS_PATH
    return (
        path.startswith("/static/")
        or path == LOGIN_PATH
        or any(path == allowed or path.startswith(f"{allowed}/") for allowed in DOOR_PATHS)
    )


def _to_login(scope: Scope, headers: Headers) -> RefusedError | None:
    """Leads a person to the login and back, also from unknown paths; None for a program."""
    if scope["type"] != "http" or scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
        return None
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = quote(scope["path"]) + (f"?{query}" if query else "")
    return RefusedError(303, "Log in.", [("location", f"{LOGIN_PATH}?next={quote(wanted)}")])


async def _whole_body(scope: Scope, receive: Receive) -> Receive:
    """Read a body that is neither too large nor too slow, for the page to have at once."""
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise RefusedError(413, "The body is too large.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    raise RefusedError(413, "The body is too large.")
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    break
    except TimeoutError:
        raise RefusedError(408, "The body did not come in time.", [("connection", "close")]) from None
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return replay


async def _answer(scope: Scope, receive: Receive, send: Send, refused: RefusedError) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refused.text})
        return
    body = json.dumps({"detail": refused.text}).encode()
    headers: list[tuple[str, Any]] = [("content-type", "application/json"), *refused.headers]
    start = {"type": "http.response.start", "status": refused.status}
    await send({**start, "headers": [(name.encode(), value.encode()) for name, value in headers]})
    await send({"type": "http.response.body", "body": body})
