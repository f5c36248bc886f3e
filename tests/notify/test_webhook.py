"""The webhook: signed, never twice under another key, and not to be held up by any receiver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from gatecam.errors import OutputError
from gatecam.notify.secrets import read_secret
from gatecam.notify.webhook import WebhookOutput
from gatecam.settings.schema import WebhookConfig
from gatecam.types import Event, EventKind, StoredEvent, Verdict
from tests.receiver import Receiver

AT = "2026-11-24T12:00:00.000+00:00"
EVENT = Event(EventKind.MASK_MISSING, "문 앞", 3, Verdict.NONE, 1.5, 37, 0.98, at=AT)
STORED = StoredEvent(7, "a1b2", EVENT)
NOW_S = 1_795_521_600.9


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything."""
    with Receiver() as made:
        yield made


def webhook(receiver: Receiver, **settings) -> WebhookOutput:
    config = WebhookConfig(url=receiver.url, **{"timeout_s": 5.0, **settings})
    return WebhookOutput(config, lambda: NOW_S)


def test_an_event_is_posted_with_its_key_and_a_signature_that_others_can_check(receiver, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("sesame\n")
    secret.chmod(0o600)
    assert webhook(receiver, secret_file=str(secret)).deliver([STORED, STORED]) == 1
    request = receiver.requests.get(timeout=5)
    assert request.line == "POST /hook?key=secret HTTP/1.1"
    assert json.loads(request.body) == {
        "id": "a1b2",
        "kind": "mask_missing",
        "camera": "문 앞",
        "track_id": 3,
        "time_s": 1.5,
        "frame": 37,
        "verdict": "none",
        "probability": 0.98,
        "first": False,
        "at": AT,
    }
    assert request.headers["idempotency-key"] == "a1b2"
    assert request.headers["gatecam-timestamp"] == "1795521600"
    signed = hmac.new(b"sesame", b"1795521600." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["gatecam-signature"] == f"v1={signed}"
    assert request.headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="


def test_the_picture_of_an_alert_comes_with_it_if_asked(receiver, tmp_path):
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"\xff\xd8jpeg")
    for asked in (True, False):
        config = WebhookConfig(url=receiver.url, snapshots=asked)
        WebhookOutput(config, lambda: NOW_S, lambda stored: picture).deliver([STORED])
        body = json.loads(receiver.requests.get(timeout=5).body)
        assert body.get("snapshot_jpeg") == (base64.b64encode(b"\xff\xd8jpeg").decode() if asked else None)
    picture.unlink()
    config = WebhookConfig(url=receiver.url, snapshots=True)
    assert WebhookOutput(config, lambda: NOW_S, lambda stored: picture).deliver([STORED]) == 1


def test_without_a_secret_nothing_is_signed(receiver):
    webhook(receiver).deliver([STORED])
    assert "gatecam-signature" not in receiver.requests.get(timeout=5).headers


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 500 Oops\r\n\r\n", "it answered 500"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n",
            "set webhook.url to the address where they lead",
        ),
        (b"HTTP/1.1 401 Who\r\n\r\n", "it answered 401: correct the user and password in webhook.url"),
        (b"HTTP/1.1 404 No\r\n\r\n", "it answered 404: correct the path of webhook.url"),
        (b"HTTP/1.1 413 Large\r\n\r\n", "set webhook.snapshots to false"),
        (b"", "no answer"),
        (b"\x00\xff garbage\r\n\r\n", "no answer"),
        (None, "no answer within 0.5 s"),
        ("drip", "no answer within 0.5 s"),
    ],
)
def test_a_receiver_that_does_not_take_it_is_one_sentence_in_time(receiver, answer, said):
    receiver.answer = answer
    start_s = time.monotonic()
    with pytest.raises(OutputError, match=said) as told:
        webhook(receiver, timeout_s=0.5).deliver([STORED])
    assert time.monotonic() - start_s < 3
    assert "secret" not in str(told.value).replace("webhook.secret_file", "")
    assert f"webhook http://127.0.0.1:{receiver.port}: " in str(told.value)
    receiver.answer = Receiver.OK
    assert webhook(receiver).deliver([STORED]) == 1


def test_a_receiver_that_is_not_there_is_one_sentence(receiver):
    gone = webhook(receiver)
    receiver.kill()
    with pytest.raises(OutputError, match="refused"):
        gone.deliver([STORED])
    receiver.start()


def test_closing_cuts_a_request_that_hangs(receiver):
    receiver.answer = None
    output, failed = webhook(receiver, timeout_s=60), threading.Event()

    def deliver():
        with pytest.raises(OutputError):
            output.deliver([STORED])
        failed.set()

    thread = threading.Thread(target=deliver)
    thread.start()
    receiver.requests.get(timeout=5)
    with closing(output):
        pass
    assert failed.wait(5)
    thread.join()


def test_a_secret_that_others_can_read_is_told(receiver, tmp_path, caplog):
    secret = tmp_path / "secret"
    secret.write_text("sesame")
    secret.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        webhook(receiver, secret_file=str(secret))
    assert caplog.messages == [f"{secret} can be read by other users: run `chmod 600` on it."]


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_secret_that_is_none_is_one_sentence(receiver, tmp_path, content):
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(OutputError, match=f"^{secret}: "):
        webhook(receiver, secret_file=str(secret))


def test_a_byte_order_mark_is_no_part_of_a_secret(receiver, tmp_path):
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    (tmp_path / "secret").chmod(0o600)
    assert read_secret(tmp_path / "secret") == "s3cret"
