"""Serve the pages from a separate thread that no client can block."""

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
from gatecam.settings.schema import WebConfig
from gatecam.web.guard import Guard
from gatecam.web.places import Listener, Places

HEAD_S = 10.0  # time limit for the TLS handshake, and again for the head of a request
ANSWER_S = 120.0  # time limit for a client to read an answer
KEEP_ALIVE_S = 5
BACKLOG = 128
HEAD_BYTES = 16 * 1024
MESSAGE_BYTES = 4096  # largest WebSocket message from a browser
MOST_FRAMES = 16  # largest number of frames of such a message
STOP_S = 2.0

log = logging.getLogger(__name__)


class PatientProtocol(H11Protocol):
    """Extends uvicorn's protocol with time limits for requests and for clients that never read."""

    head_s = HEAD_S
    answer_s = ANSWER_S

    def connection_made(self, transport: Any) -> None:
        """Start the time limit for the first head."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_s, self.cut)

    def data_received(self, data: bytes) -> None:
        """Start the time limit for reading the answer once a head is complete."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait(self.answer_s)

    def on_response_complete(self) -> None:
        """Start the time limit for reading the answer, or for the next head if it was read."""
        super().on_response_complete()
        is_read = self.transport.get_write_buffer_size() == 0
        self._wait(KEEP_ALIVE_S + self.head_s if is_read else self.answer_s)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Stop the time limit, because a WebSocket sends no more heads."""
        self._timer.cancel()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        self._timer.cancel()
        super().connection_lost(exc)

    def cut(self) -> None:
        """End the connection at once. Data that was not read yet is lost."""
        self.transport.abort()

    def _wait(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.cut)


class BoundedSocket(WebSocketsSansIOProtocol):
    """Extends uvicorn's protocol with limits for unread answers to pings and for the frames of a message."""

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Continue to read unless messages are waiting."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_cont(self, event: Any) -> None:
        """Accept another frame of a message, or end the connection if there are too many."""
        if len(self.frames) >= MOST_FRAMES:
            self.transport.abort()
        else:
            super().handle_cont(event)


class PatientLoop(asyncio.SelectorEventLoop):
    """Extends asyncio's loop, which waits a minute for a TLS handshake, with a shorter time limit."""

    async def create_server(self, *args: Any, **words: Any) -> Any:
        """Listen with a time limit for TLS handshakes."""
        if words.get("ssl") is not None:
            words["ssl_handshake_timeout"] = HEAD_S
        return await super().create_server(*args, **words)


class WebServer:
    """Serves an application while its context is open. Closing takes a few seconds at most."""

    def __init__(
        self, app: Guard, config: WebConfig, on_trouble: Callable[[str], None] = log.warning
    ) -> None:
        """Configure the server. `on_trouble` is called with a sentence if the thread ends by itself.

        Raises:
            OutputError: the certificate cannot be used.
        """
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
                proxy_headers=False,  # the guard reads the headers itself
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
        """Return the address of the pages for a browser on this machine."""
        return self.urls[0]

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the pages' addresses: for this machine, then those for others and of the proxy, if any."""
        scheme = "http" if self._config.certificate is None else "https"
        own = [f"{scheme}://{host}:{self.port}/" for host in self._config.link_hosts]
        return tuple(own if self._config.proxy is None else [*own, f"{self._config.proxy.rstrip('/')}/"])

    def __enter__(self) -> Self:
        """Listen and start the thread.

        Raises:
            OutputError: the address or port cannot be used.
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
        """Run a function on the server's loop if the loop still runs. Any thread may call this."""
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
            self._on_trouble(f"the pages have stopped ({error or type(error).__name__}): restart gatecam.")
        finally:
            started.set()
            listener.close()
        if not self._ending:
            self._on_trouble("the pages have stopped: restart gatecam.")


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
            f"{config.certificate}, {config.key}: not a certificate and its key ({reason}): correct "
            "web.certificate and web.key."
        ) from error
