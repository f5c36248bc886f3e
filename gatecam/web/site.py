"""Joins the whole site: who may come in, the pages, the live pictures and the server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse

from gatecam import __version__
from gatecam.errors import MissingExtraError
from gatecam.live.control import Running
from gatecam.ports import FaceFinder
from gatecam.settings.config import Config
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore
from gatecam.types import Presence, Round
from gatecam.web.door_words import camera_words, door_words
from gatecam.web.failures import Failures
from gatecam.web.guard import Guard
from gatecam.web.live import Hub, LivePictures
from gatecam.web.login import login_router
from gatecam.web.pages import Behind, door_router, operator_router
from gatecam.web.places import MOST, Places
from gatecam.web.server import WebServer
from gatecam.web.sessions import FILE as SESSIONS
from gatecam.web.sessions import Sessions
from gatecam.web.static import Static, static_router
from gatecam.web.tokens import Role, Tokens, load_tokens


class Site:
    """Serves the pages while its block runs; the frame loop tells it what it sees, which costs it little."""

    def __init__(
        self, config: Config, folder: Path, store: Path, running: Running, finder: FaceFinder
    ) -> None:
        """Read all that is needed.

        Args:
            config: what is served, where and how.
            folder: where the tokens lie.
            store: the file that events are read from.
            running: the program behind the pages.
            finder: finds what is to be blurred.

        Raises:
            ConfigError: the door's words cannot be read.
            OutputError: tokens, certificate or store cannot be used.
        """
        self._store = EventStore(SqliteDatabase(store))
        cameras = [one.camera.name for one in config.watched]
        words = door_words(config.web.languages, config.web.words_file)
        self._hub = Hub(cameras)
        behind = Behind(self._hub, self._store, running, words, camera_words())
        self._server = WebServer(
            build_app(config, load_tokens(folder), behind, folder), config.web, running.on_trouble
        )
        self._pictures = LivePictures(config, self._hub, finder, self._server.call_soon)
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the pages."""
        return self._server.url

    @property
    def urls(self) -> tuple[str, ...]:
        """The pages' addresses: for a browser on this machine, then for others where all may ask."""
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
        """Take in a round."""
        self._pictures.note(turn.steps)

    def tell(self, presence: Presence) -> None:
        """Take in what a camera sees now; an observer of `Presences`."""
        self._pictures.tell(presence)

    def apply(self, config: Config) -> None:
        """Go on by other settings."""
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
        config: what is served and how.
        tokens: what lets in.
        behind: what the pages show.
        folder: where sessions are kept over a restart; None for nowhere.
        most: how many connections each role may have.
    """
    web = config.web
    file = None if folder is None else folder / SESSIONS.format(port=web.port)
    sessions, failures, static = Sessions(tokens, web.is_secure, file), Failures(time.monotonic), Static()
    app = FastAPI(
        title="gatecam", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    for router in (
        login_router(tokens, sessions, failures, static),
        static_router(static),
        door_router(behind, static),
        operator_router(behind, static),
    ):
        app.include_router(router)
    app.include_router(_metrics_router(behind.running))
    return Guard(app, tokens, sessions, failures, web, Places(most))


def _metrics_router(running: Running) -> APIRouter:
    """Prometheus' route; without its library one that says what to install."""
    try:
        from gatecam.web.metrics import metrics_router
    except ImportError:
        router = APIRouter(include_in_schema=False)
        sentence = str(MissingExtraError("/metrics", "metrics"))
        router.add_api_route("/metrics", lambda: PlainTextResponse(f"{sentence}\n", 501))
        return router
    return metrics_router(running)
