"""Serves the pages from a thread of its own, and lets no client hold it up."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gatecam.errors import OutputError
from gatecam.settings.config import WebConfig
from gatecam.web.guard import Guard
from gatecam.web.places import Listener, Places

HEAD_S = 10.0  # in which a request's head must have come, and before it the handshake of TLS
ANSWER_S = 120.0  # in which an answer must have been read
KEEP_ALIVE_S = 5
BACKLOG = 128
HEAD_BYTES = 16 * 1024
MESSAGE_BYTES = 4096  # of a WebSocket, from a browser
MOST_FRAMES = 16  # of such a message
STOP_S = 2.0

log = logging.getLogger(__name__)


class PatientProtocol(H11Protocol):
    """uvicorn's, with an end to its patience: with heads that never come, and with who never reads."""

    head_s = HEAD_S
    answer_s = ANSWER_S

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_s, self.cut)

    def data_received(self, data: bytes) -> None:
        """Once a head is whole, wait for its answer to be read."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait(self.answer_s)

    def on_response_complete(self) -> None:
        """Wait for the answer to be read, or for the next head."""
        super().on_response_complete()
        is_read = self.transport.get_write_buffer_size() == 0
        self._wait(KEEP_ALIVE_S + self.head_s if is_read else self.answer_s)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """A WebSocket sends no more heads."""
        self._timer.cancel()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is to be waited for."""
        self._timer.cancel()
        super().connection_lost(exc)

    def cut(self) -> None:
        """End the connection at once; what is not read yet is lost."""
        self.transport.abort()

    def _wait(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.cut)


class BoundedSocket(WebSocketsSansIOProtocol):
    """uvicorn's, with bounds for answers to pings that nobody reads and for the parts of a message."""

    def pause_writing(self) -> None:
        """Read nothing from a client that does not read."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on, unless messages are waiting."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_cont(self, event: Any) -> None:
        """Take a further part of a message."""
        if len(self.frames) >= MOST_FRAMES:
            self.transport.abort()
        else:
            super().handle_cont(event)


class PatientLoop(asyncio.SelectorEventLoop):
    """asyncio's, which waits a minute for a handshake of TLS that never comes; this one does not."""

    async def create_server(self, *args: Any, **words: Any) -> Any:
        """Listen, with a time limit for handshakes."""
        if words.get("ssl") is not None:
            words["ssl_handshake_timeout"] = HEAD_S
        return await super().create_server(*args, **words)


class WebServer:
    """A context manager that serves an application while its block runs, and ends within two seconds."""

    def __init__(
        self, app: Guard, config: WebConfig, on_trouble: Callable[[str], None] = log.warning
    ) -> None:
        """`on_trouble` is told in a sentence if the thread ends by itself."""
        self._config, self._on_trouble, self._places = config, on_trouble, app.places
        _check_certificate(config)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                ws=BoundedSocket,
                ws_max_size=MESSAGE_BYTES,
                ws_per_message_deflate=False,  # pictures are compressed already
                lifespan="off",
                log_config=None,
                log_level=logging.CRITICAL,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the guard reads them
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=HEAD_BYTES,
                ssl_certfile=config.certificate,
                ssl_keyfile=config.key,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ending = False
        self.port = 0

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the pages."""
        return self.urls[0]

    @property
    def urls(self) -> tuple[str, ...]:
        """The pages' addresses: for a browser on this machine, then for others where all may ask."""
        scheme = "http" if self._config.certificate is None else "https"
        return tuple(f"{scheme}://{host}:{self.port}/" for host in self._config.link_hosts)

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            OutputError: the address or port cannot be had.
        """
        listener = _listen(self._config, self._places)
        self.port = listener.getsockname()[1]
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(listener, started), name="web", daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._server.force_exit = True
            self._thread.join(STOP_S)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Run something on the server's loop, from any thread; nothing once it has ended."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:
                log.debug("The pages' server has ended.")

    def _serve(self, listener: socket.socket, started: threading.Event) -> None:
        try:
            with asyncio.Runner(loop_factory=PatientLoop) as runner:
                self._loop = runner.get_loop()
                started.set()
                runner.run(self._server.serve(sockets=[listener]))
        except Exception as error:
            log.exception("The pages' server failed.")
            self._on_trouble(f"the pages are gone ({error or type(error).__name__}): restart gatecam.")
        finally:
            started.set()
            listener.close()
        if not self._ending:
            self._on_trouble("the pages are gone: restart gatecam.")


def _listen(config: WebConfig, places: Places) -> Listener:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        made = socket.create_server(
            (config.host, config.port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=config.host == "::" and socket.has_dualstack_ipv6(),
        )
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise OutputError(
            f"the pages cannot be served at {config.host}, port {config.port} ({reason}): choose another "
            "web.host or web.port."
        ) from error
    listener = Listener(fileno=made.detach())
    listener.places = places
    listener.setblocking(False)
    return listener


def _check_certificate(config: WebConfig) -> None:
    if config.certificate is None or config.key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.certificate, config.key, lambda: "")
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise OutputError(
            f"{config.certificate}, {config.key}: no certificate with its key ({reason}): correct "
            "web.certificate and web.key."
        ) from error
