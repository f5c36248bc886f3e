"""Chat and mail: cameras by default, people if asked, and no address in any word."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator

import PIL.Image
import pytest

from gatecam.errors import OutputError
from gatecam.notify.chat import ChatOutput, chat_outputs, message
from gatecam.pictures.messages import DOOR_MESSAGES
from gatecam.settings.schema import ChatConfig
from gatecam.types import Blindness, Event, EventKind, Slowness, StoredEvent, Verdict
from tests.receiver import Receiver

pytest.importorskip("apprise")
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
AT = "2026-11-24T12:00:00.000+00:00"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        made.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        yield made


@pytest.fixture
def chat(receiver, tmp_path):
    """An output to that receiver."""

    def build(**settings) -> ChatOutput:
        urls = tmp_path / "urls"
        urls.write_text(f"# the porter\n\njson://user:secret@127.0.0.1:{receiver.port}/\n")
        urls.chmod(0o600)
        (output,) = chat_outputs(ChatConfig(urls_file=str(urls), **settings))
        return output

    return build


def stored(kind: EventKind, verdict: Verdict = Verdict.UNKNOWN, reason: str = "") -> StoredEvent:
    return StoredEvent(1, "a", Event(kind, "gate", 3, verdict, 1.5, reason=reason, at=AT))


def test_a_camera_that_does_not_see_is_told_in_both_languages(chat, receiver):
    assert chat().deliver([stored(EventKind.CAMERA_BLIND, reason="covered")]) == 1
    said = json.loads(receiver.requests.get(timeout=10).body)
    assert said["title"] == "gatecam gate: The camera is covered"
    assert said["message"].startswith(
        "The camera is covered / 카메라가 가려져 있습니다\ngate, 2026-11-24 12:00:00"
    )


def test_the_picture_of_an_alert_is_attached_if_asked(receiver, tmp_path):
    urls, picture = tmp_path / "urls", tmp_path / "a.jpg"
    urls.write_text(f"json://127.0.0.1:{receiver.port}/\n")
    urls.chmod(0o600)
    PIL.Image.new("RGB", (8, 8)).save(picture)
    alert = stored(EventKind.MASK_MISSING, Verdict.NONE)
    for asked in (True, False):
        config = ChatConfig(urls_file=str(urls), people=True, snapshots=asked)
        (output,) = chat_outputs(config, lambda stored: picture)
        assert output.deliver([alert]) == 1
        sent = json.loads(receiver.requests.get(timeout=10).body)["attachments"]
        assert [base64.b64decode(one["base64"]) for one in sent] == [picture.read_bytes()] * asked


@pytest.mark.parametrize("reason", [*Blindness, *Slowness, *DOOR_MESSAGES])
def test_every_reason_has_words(reason):
    kind = EventKind.TOO_SLOW if reason in [*Slowness] else EventKind.CAMERA_BLIND
    kind = reason if isinstance(reason, EventKind) else kind
    title, body = message(stored(kind, reason=reason).event)
    assert title.removeprefix("gatecam gate: ") in body
    assert any("가" <= letter <= "힣" for letter in body)


def test_a_message_about_many_doors_says_how_many_and_names_the_first():
    title, body = message(stored(EventKind.DOORS_SILENT, reason="7: lobby, yard, gate, …").event)
    assert title == "gatecam gate: Many doors do not report (7: lobby, yard, gate, …)"
    assert "출입문 여러 곳이 보고하지 않습니다 (7: lobby, yard, gate, …)" in body


@pytest.mark.parametrize(
    ("people", "kind", "verdict", "told"),
    [
        (False, EventKind.MASK_MISSING, Verdict.NONE, False),
        (True, EventKind.MASK_MISSING, Verdict.NONE, True),
        (True, EventKind.MASK_OK, Verdict.CORRECT, False),
        (False, EventKind.CAMERA_OK, Verdict.UNKNOWN, True),
        (False, EventKind.FAST_ENOUGH, Verdict.UNKNOWN, True),
        (False, EventKind.DOOR_SILENT, Verdict.UNKNOWN, True),
    ],
)
def test_people_are_told_only_if_asked_and_thanks_never(chat, people, kind, verdict, told):
    assert chat(people=people).wants(stored(kind, verdict)) is told


def test_an_address_that_fails_is_one_sentence_without_it(chat, receiver, caplog):
    receiver.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(
            OutputError, match=r"^chat .*/urls:3: the message could not be sent; gatecam tries again"
        ) as told,
    ):
        chat().deliver([stored(EventKind.CAMERA_OK)])
    assert "secret" not in str(told.value) + caplog.text


@pytest.fixture
def addresses(tmp_path):
    """Outputs to the addresses of a file with these lines."""

    def build(text: str) -> list[ChatOutput]:
        urls = tmp_path / "urls"
        urls.write_text(text)
        urls.chmod(0o600)
        return chat_outputs(ChatConfig(urls_file=str(urls)))

    return build


def test_each_address_is_an_output_of_its_own_so_that_one_that_fails_holds_up_no_other(addresses, receiver):
    good, bad = f"json://127.0.0.1:{receiver.port}/", "json://127.0.0.1:9/"
    first, second = addresses(f"{bad}\n{good}\n{good}\n")
    event = stored(EventKind.CAMERA_OK)
    with pytest.raises(OutputError, match=r"urls:1: the message could not be sent"):
        first.deliver([event])
    assert second.deliver([event]) == 1
    assert receiver.requests.qsize() == 1
    (again,) = addresses(f"# moved\n\n{good}\n")
    assert again.name == second.name != first.name


def test_a_file_without_an_address_is_told(addresses):
    with pytest.raises(OutputError, match=r"urls: holds no address: write one per line"):
        addresses("# the porter\n")


def test_an_address_that_is_none_is_told_by_its_line(addresses):
    with pytest.raises(OutputError, match=r"urls:2: Apprise does not know this kind of address") as told:
        addresses("# one\nnonsense://secret\n")
    assert "secret" not in str(told.value)
