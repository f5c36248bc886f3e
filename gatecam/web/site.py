"""Build the whole site from its parts: access control, pages, live pictures and server."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse

from gatecam import __version__
from gatecam.errors import ConflictError, MissingExtraError
from gatecam.live.control import Running
from gatecam.pictures.sentences import in_language
from gatecam.settings.schema import Config, WebConfig
from gatecam.store.audit import Act, Actor, AuditLog
from gatecam.store.events import EventStore
from gatecam.store.evidence import EvidenceFolder
from gatecam.types import Presence, Round
from gatecam.web.accounts import accounts_router, users_router
from gatecam.web.cameras_page import cameras_router
from gatecam.web.door_words import door_words
from gatecam.web.events import Kept, events_router
from gatecam.web.failures import Failures
from gatecam.web.guard import Guard
from gatecam.web.language import language_of
from gatecam.web.live import Hub, LivePictures
from gatecam.web.login import Access, login_router
from gatecam.web.pages import Behind, door_router, operator_router
from gatecam.web.painting import Painter
from gatecam.web.passwords import Passwords
from gatecam.web.places import MOST, Places
from gatecam.web.server import WebServer
from gatecam.web.sessions import FILE as SESSIONS
from gatecam.web.sessions import Sessions
from gatecam.web.settings_page import settings_router
from gatecam.web.static import Static, static_router
from gatecam.web.statistics_page import Names, statistics_router
from gatecam.web.tokens import Role, Tokens, load_tokens
from gatecam.web.users import FILE as USERS
from gatecam.web.users import Users


class Site:
    """Serves the pages while its context is open. Passing it frames costs the live loop little time."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        store: EventStore,
        evidence: EvidenceFolder,
        running: Running,
        painter: Painter,
    ) -> None:
        """Read the tokens, texts, sessions and certificate, and build the server.

        Args:
            config: the settings.
            folder: the folder of the tokens and sessions.
            store: provides the events. The pages close it.
            evidence: provides the pictures of alerts.
            running: gives access to the running program.
            painter: draws the live pictures.

        Raises:
            ConfigError: the texts of the door page cannot be read.
            OutputError: the tokens, the certificate or the store cannot be used.
        """
        self._store = store
        cameras = [one.camera.name for one in config.watched]
        words = door_words(config.web.languages, config.web.words_file)
        self._hub = Hub(cameras)
        behind = Behind(self._hub, self._store, evidence, running, words)
        self._server = WebServer(
            build_app(config, load_tokens(folder), behind, folder), config.web, running.on_trouble
        )
        self._pictures = LivePictures(config, self._hub, painter, self._server.call_soon)
        self._stack = ExitStack()

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the pages' addresses, first for this machine, then for others if they are served too."""
        return self._server.urls

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._store.close)
            stack.enter_context(self._server)
            stack.enter_context(self._pictures)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def note(self, turn: Round) -> None:
        """Pass on the steps of a round for the live pictures."""
        self._pictures.note(turn.steps)

    def tell(self, presence: Presence) -> None:
        """Pass on a camera's presence. This is an observer of `Presences`."""
        self._pictures.tell(presence)

    def apply(self, config: Config) -> None:
        """Apply new settings."""
        self._pictures.apply(config)


def build_app(
    config: Config,
    tokens: Tokens,
    behind: Behind,
    folder: Path | None = None,
    most: Mapping[Role | None, int] = MOST,
) -> Guard:
    """Build all routes behind the guard.

    Args:
        config: the settings.
        tokens: the access tokens.
        behind: the data that the pages show.
        folder: the folder that keeps sessions over a restart, or None to forget them.
        most: the maximum number of connections of each role.
    """
    static, store = Static(), behind.store
    routers = (
        statistics_router(store, store.audit, static, lambda: Names(store.cameras())),
        door_router(behind, static),
        operator_router(behind, static),
        events_router(Kept(store, behind.evidence)),
        cameras_router(behind.running.cameras, store.audit, static),
        settings_router(behind.running, store.audit, static),
        _metrics_router(behind.running),
    )
    return guarded(routers, config.web, tokens, store.audit, static, folder, most)


def guarded(
    routers: Sequence[APIRouter],
    web: WebConfig,
    tokens: Tokens,
    audit: AuditLog,
    static: Static,
    folder: Path | None,
    most: Mapping[Role | None, int] = MOST,
) -> Guard:
    """Build routes behind the guard, with the pages for logins, users and static files.

    `audit` notes who logs in. The other arguments are those of `build_app`.
    """
    access = _access(web, tokens, audit, folder)
    app = FastAPI(
        title="gatecam",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,  # its redirects lead to the root of the host
    )
    app.add_exception_handler(RequestValidationError, _told)
    app.add_exception_handler(HTTPException, _said)
    app.add_exception_handler(ConflictError, _conflict)
    own = (login_router(access, static), accounts_router(access, static), users_router(access))
    for router in (*own, static_router(static), *routers):
        app.include_router(router)
    return Guard(app, tokens, access.sessions, access.failures, access.passwords, web, Places(most))


def _told(request: Request, error: Exception) -> Response:
    """Answer a request of a wrong form without repeating what it holds, such as a password or a `NaN`."""
    assert isinstance(error, RequestValidationError)
    language = language_of(request)
    found = [
        {"loc": one["loc"], "msg": in_language(one["msg"], language), "type": one["type"]}
        for one in error.errors()
    ]
    return JSONResponse({"detail": found}, 422)


def _said(request: Request, error: Exception) -> Response:
    """Answer with an error's sentence in the reader's language."""
    assert isinstance(error, HTTPException)
    said = in_language(error.detail, language_of(request))
    return JSONResponse({"detail": said}, error.status_code, error.headers)


def _conflict(request: Request, error: Exception) -> Response:
    """Refuse a change of what somebody else has changed since it was shown."""
    return _said(request, HTTPException(409, str(error)))


def _access(web: WebConfig, tokens: Tokens, audit: AuditLog, folder: Path | None) -> Access:
    """Build all that decides who gets in. Failures are noted in a thread, because the guard may not wait."""
    sessions_file = None if folder is None else folder / SESSIONS.format(port=web.port)
    users = Users(None if folder is None else folder / USERS)
    notes = ThreadPoolExecutor(1, "audit")

    def on_line(address: str, about: str, number: int) -> None:
        notes.submit(audit.note, Actor("", address), Act.LOGIN_FAILED, about, after=str(number))

    return Access(
        tokens,
        users,
        Passwords(users, time.monotonic, on_line),
        Sessions(tokens, web, sessions_file, users=users),
        Failures(time.monotonic, on_line=on_line),
        audit,
    )


def _metrics_router(running: Running) -> APIRouter:
    """Build the route for Prometheus. Without its library, the route says what to install."""
    try:
        from gatecam.web.metrics import metrics_router
    except ImportError:
        router = APIRouter(include_in_schema=False)
        sentence = str(MissingExtraError("/metrics", "metrics"))
        router.add_api_route("/metrics", lambda: PlainTextResponse(f"{sentence}\n", 501))
        return router
    return metrics_router(running)
