"""Post each event to a web address, as a signed request.

The signature works as in Stripe's webhooks: HMAC-SHA256 (RFC 2104) over the time stamp, a dot and the body.
Nobody can change either, or send an old request again as a new one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gatecam import __version__
from gatecam.errors import OutputError
from gatecam.notify.jsonl import stored_to_line
from gatecam.notify.secrets import read_secret
from gatecam.settings.schema import WebhookConfig
from gatecam.types import StoredEvent


class WebhookOutput:
    """Posts one event at a time. Only an answer of 2xx within the time-out counts as delivered.

    Redirects are not followed. The same event always has the same `Idempotency-Key`.
    """

    name = "webhook"
    batch = 1
    trouble = None

    def __init__(
        self,
        config: WebhookConfig,
        clock: Callable[[], float],
        picture_of: Callable[[StoredEvent], Path | None] = lambda stored: None,
    ) -> None:
        """Read the secret. Nothing is sent yet.

        Args:
            config: the address, the secret's file and the time-out.
            clock: returns the time of day in s since 1970.
            picture_of: returns the path of an alert's picture, or None. It may wait for some seconds.

        Raises:
            OutputError: the secret cannot be read.
        """
        assert config.url is not None
        self._url = urlsplit(config.url)
        self._port = self._url.port
        self._timeout_s, self._clock = config.timeout_s, clock
        self._picture_of = picture_of if config.snapshots else None
        self._secret = None if config.secret_file is None else read_secret(Path(config.secret_file)).encode()
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def wants(self, stored: StoredEvent) -> bool:
        """Return True, because every event is sent."""
        return True

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Post the first event.

        Raises:
            OutputError: the event was not accepted.
        """
        body = self._body(events[0])
        with closing(self._connect()) as connection:
            self._connection = connection
            in_time = threading.Timer(self._timeout_s, _cut, [connection])
            in_time.daemon = True
            in_time.start()
            try:
                connection.request("POST", self._target(), body, self._headers(events[0].key, body))
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException) as error:
                reason = str(error) or type(error).__name__
                raise self._refused(f"no answer within {self._timeout_s:g} s: {reason}") from error
            finally:
                in_time.cancel()
                self._connection = None
        if not 200 <= status < 300:
            raise self._refused(f"it answered {status}{_advice(status)}")
        return 1

    def close(self) -> None:
        """Cut a request that is under way. Its event is sent again later."""
        if (connection := self._connection) is not None:
            _cut(connection)

    def _body(self, stored: StoredEvent) -> bytes:
        """Return an event as JSON, with its picture in base64 if there is one and the settings ask for it."""
        path = None if self._picture_of is None else self._picture_of(stored)
        fields: dict[str, str] = {}
        if path is not None:
            with suppress(OSError):  # retention may have deleted it
                fields["snapshot_jpeg"] = base64.b64encode(path.read_bytes()).decode("ascii")
        return stored_to_line(stored, fields).encode("ascii")

    def _connect(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._tls is None:
            return http.client.HTTPConnection(host, self._port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(host, self._port, timeout=self._timeout_s, context=self._tls)

    def _target(self) -> str:
        return (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        stamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"gatecam/{__version__}",
            "Idempotency-Key": key,
            "Gatecam-Timestamp": stamp,
        }
        if self._secret is not None:
            signed = hmac.new(self._secret, f"{stamp}.".encode() + body, hashlib.sha256)
            headers["Gatecam-Signature"] = f"v1={signed.hexdigest()}"
        if self._url.username is not None:
            user = f"{unquote(self._url.username)}:{unquote(self._url.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode("ascii")
        return headers

    def _refused(self, reason: str) -> OutputError:
        place = f"{self._url.scheme}://{self._url.hostname}{'' if self._port is None else f':{self._port}'}"
        return OutputError(f"webhook {place}: events are not accepted ({reason}); they are sent again.")


def _advice(status: int) -> str:
    """Return what to correct after an answer, or nothing if the receiver itself has failed."""
    if 300 <= status < 400:
        return ", and redirects are not followed: set webhook.url to the address where they lead"
    if status in (401, 403):
        return ": correct the user and password in webhook.url, or webhook.secret_file"
    if status in (404, 405, 410):
        return ": correct the path of webhook.url"
    return ": set webhook.snapshots to false, or let it take larger requests" if status == 413 else ""


def _cut(connection: http.client.HTTPConnection) -> None:
    """End whatever a connection waits for, even if the peer still sends a byte now and then."""
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
