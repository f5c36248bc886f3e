"""Check every request and WebSocket before any page sees it. Nothing is open by default.

Host ─► token or session ─► role ─► same origin and CSRF token ─► size and time of the body ─► the page

A WebSocket or a stream ends when the session that opened it ends.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from gatecam.pictures.sentences import in_language
from gatecam.settings.schema import WebConfig
from gatecam.store.audit import Actor
from gatecam.web.failures import Client, Failures
from gatecam.web.language import language_of
from gatecam.web.passwords import Passwords
from gatecam.web.places import Places
from gatecam.web.sessions import Session, Sessions
from gatecam.web.tokens import Role, Tokens

MAX_BODY_BYTES = 64 * 1024
BODY_S = 10.0
FOLLOW_S = 1.0  # a WebSocket ends within this time after its session
SESSION_OVER = 4401  # close code of a WebSocket
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOGIN_PATH = "/login"
ADMIN_PATHS = ("/users", "/api/users", "/api/audit")
OWN_PATHS = (LOGIN_PATH, "/logout", "/api/account")  # where a viewer may send changes
PUBLIC = ("/login", "/static/login.js", "/static/page.css", "/static/NanumSquareB.ttf")
METRICS_PATH = "/metrics"
DOOR_PATHS = ("/door", "/live", "/logout", "/session")
NO_FRAME = "frame-ancestors 'none'"
CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        NO_FRAME,
    )
)
# referrer-policy is not the stricter no-referrer, because browsers would then send the login form with the
# origin "null".
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
    """Identifies a visitor by a token in the request or by the session of a cookie."""

    role: Role
    session: Session | None

    @property
    def name(self) -> str:
        """Return the visitor's name in the audit log."""
        user = "" if self.session is None else self.session.user
        return user or f"token:{self.role.value}"


def actor_of(connection: HTTPConnection) -> Actor:
    """Return who sent a request, for the audit log."""
    visitor: Visitor | None = connection.state.visitor
    client: Client = connection.state.client
    return Actor("" if visitor is None else visitor.name, client.address)


class RefusedError(Exception):
    """A request is refused. The error carries the status, the reason and the headers of the answer."""

    def __init__(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, tuple(headers)


class _OverError(Exception):
    """The session of a stream is over."""


class Guard:
    """Wraps an ASGI application and checks every request to it.

    The application finds the `visitor` (None for a stranger) and the `client` in `scope["state"]`.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        sessions: Sessions,
        failures: Failures,
        passwords: Passwords,
        config: WebConfig,
        places: Places,
    ) -> None:
        """Wrap `app`. The Host header may be any address, this machine's name, `host` or `proxy`."""
        self.places = places
        self._app, self._tokens, self._sessions, self._failures = app, tokens, sessions, failures
        self._passwords = passwords
        self._proxy = config.proxy_origin
        named = urlsplit(self._proxy or "").hostname or "localhost"
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, own.partition(".")[0], config.host.lower(), named}
        # This machine's name in multicast DNS (RFC 6762), with a number if another machine has the name too
        self._local = re.compile(rf"{re.escape(own.partition('.')[0])}(-\d{{1,3}})?\.local\.?")
        self._scheme = "http" if config.certificate is None else "https"
        self._headers = headers_of(config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        guarded = self._with_headers(scope, send)
        try:
            visitor = self._check(scope)
            if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
                receive = await _whole_body(scope, receive)
        except RefusedError as refused:
            await _answer(scope, receive, guarded, refused)
        else:
            if scope["type"] == "websocket" and visitor is not None and visitor.session is not None:
                await self._follow(visitor.session, scope, receive, guarded)
            else:
                await self._app(scope, receive, guarded)

    async def _follow(self, session: Session, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a WebSocket until it ends or its session does."""
        place = self.places.of(_peer(scope))
        task = asyncio.ensure_future(self._app(scope, receive, send))
        try:
            while not (await asyncio.wait({task}, timeout=FOLLOW_S))[0]:
                if not self._sessions.holds(session):
                    break
            else:
                await task
                return
            task.cancel()
            await asyncio.wait({task})
            with suppress(OSError, RuntimeError):
                async with asyncio.timeout(FOLLOW_S):  # do not wait for a client that reads nothing
                    await send(
                        {"type": "websocket.close", "code": SESSION_OVER, "reason": "The session is over."}
                    )
                    return
            if place is not None:
                place.cut()
        finally:
            task.cancel()

    def _check(self, scope: Scope) -> Visitor | None:
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["client"] = client = Client(self._address(scope, headers), headers.get("user-agent", "")[:200])
        self._failures.tell()
        self._passwords.tell()
        self._check_host(headers.get("host", ""))
        path = scope["path"]
        visitor = state["visitor"] = self._visitor(client, headers)
        if (place := self.places.of(_peer(scope))) is not None:
            role, session = (None, None) if visitor is None else (visitor.role, visitor.session)
            self.places.settle(place, role, client.address, "" if session is None else session.id)
        if visitor is None and path not in PUBLIC:
            wanted = RefusedError(401, "A token is needed.", [("www-authenticate", "Bearer")])
            raise _to_login(scope, headers) or wanted
        if visitor is not None and not may_see(visitor.role, path):
            refused = RefusedError(403, "Only the operator may open this.")
            if is_for_admin(path):
                refused = RefusedError(403, "Only an admin may open this.")
            raise _to_login(scope, headers) or refused
        is_change = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        if visitor is not None and is_change and not may_change(visitor.role, path):
            raise RefusedError(403, "A viewer may not change anything.")
        self._check_origin(scope, headers, visitor)
        return visitor

    def _check_host(self, host: str) -> None:
        """Refuse unknown host names, which would let foreign pages read ours in a visitor's browser.

        Such a page can give this machine another name (DNS rebinding).
        """
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            name = ""
        if name in self._hosts or self._local.fullmatch(name):
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise RefusedError(400, "Unknown host: use this machine's address or name.") from None

    def _address(self, scope: Scope, headers: Headers) -> str:
        """Return the address that a request comes from.

        Only a proxy on this machine is trusted, and in its header only the last address that is not this
        machine's. The proxy wrote that one, but a browser can forge the addresses before it.
        """
        host = (_peer(scope) or ("", 0))[0]
        if self._proxy is None or not _is_loopback(host):
            return host
        hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
        for hop in reversed([hop.strip() for hop in hops]):
            if not _is_loopback(hop):
                with suppress(ValueError):
                    return str(ipaddress.ip_address(hop))
                break
        return host

    def _visitor(self, client: Client, headers: Headers) -> Visitor | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            if (role := self._tokens.role_of(token.strip())) is not None:
                self._failures.forget(client)
                return Visitor(role, None)
            if (wait_s := self._failures.note(client)) > 0:
                again = [("retry-after", str(int(wait_s) + 1))]
                raise RefusedError(429, "Too many wrong tokens. A right one is accepted at once.", again)
            return None
        session = self._session(headers)
        return None if session is None else Visitor(session.role, session)

    def _session(self, headers: Headers) -> Session | None:
        """Return the session of the first cookie that has one. Cookies of other programs are ignored."""
        for part in ";".join(headers.getlist("cookie")).split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._sessions.cookie and (session := self._sessions.read(value)) is not None:
                return session
        return None

    def _check_origin(self, scope: Scope, headers: Headers, visitor: Visitor | None) -> None:
        is_socket = scope["type"] == "websocket"
        if not is_socket and scope["method"] in SAFE_METHODS:
            return
        by_cookie = visitor is not None and visitor.session is not None
        origin = headers.get("origin")
        own = (f"{self._scheme}://{headers.get('host', '')}", self._proxy)
        if (origin is not None or (is_socket and by_cookie)) and (origin is None or origin not in own):
            raise RefusedError(403, "The request comes from another site.")
        if not is_socket and scope["path"] == LOGIN_PATH:
            return  # a form cannot send the CSRF header, and its access token is proof enough
        session = None if is_socket or visitor is None else visitor.session
        token = headers.get("x-csrf-token", "")
        if session is not None and not self._sessions.is_csrf_token(session, token):
            raise RefusedError(403, "The CSRF token is missing or wrong.")

    def _holds(self, scope: Scope) -> bool:
        visitor: Visitor | None = scope.get("state", {}).get("visitor")
        return visitor is None or visitor.session is None or self._sessions.holds(visitor.session)

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        own = self._headers

        async def guarded(message: Message) -> None:
            if message.get("more_body") and not self._holds(scope):
                raise _OverError
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                for name, value in own:
                    headers.setdefault(name, value)
                if headers.get("location", "").startswith("/"):
                    headers["location"] = _relative(scope, headers["location"])
                message["headers"] = headers.raw
            await send(message)

        return guarded


def may_see(role: Role, path: str) -> bool:
    """Check whether a role may open a path."""
    if role is Role.METRICS:
        return path == METRICS_PATH
    if role is Role.DOOR:
        return path.startswith("/static/") or path == LOGIN_PATH or _is_below(path, DOOR_PATHS)
    return role is Role.ADMIN or not is_for_admin(path)


def may_change(role: Role, path: str) -> bool:
    """Check whether a role may send changes to a path that it may open."""
    return role is not Role.VIEWER or _is_below(path, OWN_PATHS)


def is_for_admin(path: str) -> bool:
    """Check whether only an admin may open a path."""
    return _is_below(path, ADMIN_PATHS)


def headers_of(config: WebConfig) -> list[tuple[str, str]]:
    """Return the headers of every answer."""
    found = dict(HEADERS)
    found["cache-control"] = "no-store"
    if config.framed_by:
        del found["x-frame-options"]  # it can name no other site
        found["content-security-policy"] = CSP.replace(
            NO_FRAME, f"frame-ancestors {' '.join(config.framed_by)}"
        )
    if config.is_secure:
        found["strict-transport-security"] = "max-age=31536000"
    return list(found.items())


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)


def _relative(scope: Scope, location: str) -> str:
    """Return a location of this site relative to the request's path.

    A proxy may serve the pages below a path of its own, which gatecam need not know.
    """
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return ("/".join([".."] * (path.count(b"/") - 1)) or ".") + location


def _peer(scope: Scope) -> tuple[str, int] | None:
    """Return the address and port at the other end of the connection."""
    return tuple(scope["client"]) if scope.get("client") else None


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def _to_login(scope: Scope, headers: Headers) -> RefusedError | None:
    """Return a redirect to the login and back for a browser, even from an unknown path.

    The result is None for a program, which gets the plain error.
    """
    if scope["type"] != "http" or scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
        return None
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = quote(scope["path"]) + (f"?{query}" if query else "")
    return RefusedError(303, "Log in.", [("location", f"{LOGIN_PATH}?next={quote(wanted)}")])


async def _whole_body(scope: Scope, receive: Receive) -> Receive:
    """Read a whole request body, and refuse one that is too large or too slow.

    Raises:
        RefusedError: the body is too large or too slow.
    """
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY_BYTES:
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
        await WebSocketClose(1008, refused.text)(scope, receive, send)
    else:
        said = in_language(refused.text, language_of(HTTPConnection(scope)))
        answer = JSONResponse({"detail": said}, refused.status, dict(refused.headers))
        await answer(scope, receive, send)
