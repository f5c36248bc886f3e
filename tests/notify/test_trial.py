"""Tests of outputs: a harmless event arrives, or a sentence says why not."""

from __future__ import annotations

import json

import pytest

from gatecam.errors import OutputError
from gatecam.notify.chat import message
from gatecam.notify.jsonl import stored_to_line
from gatecam.notify.trial import send_test
from gatecam.types import EventKind, StoredEvent


class FakeOutput:
    """Keeps what is delivered, or raises an error with the given text."""

    name, batch, trouble = "fake", 1, None

    def __init__(self, error: str = "") -> None:
        self.events: list[StoredEvent] = []
        self._error = error

    def deliver(self, events) -> int:
        if self._error:
            raise OutputError(self._error)
        self.events += events
        return len(events)

    def close(self) -> None:
        pass


def test_a_test_is_a_camera_that_sees_again_so_no_door_opens():
    output = FakeOutput()
    send_test(output, ["entrance", "back"])
    (stored,) = output.events
    assert (stored.event.kind, stored.event.reason) == (EventKind.CAMERA_OK, "test")
    assert json.loads(stored_to_line(stored))["reason"] == "test"
    title, text = message(stored.event)
    assert title == "gatecam entrance: This is a test"
    assert text.startswith("This is a test / 시험 메시지입니다\nentrance, 20")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "webhook http://x: events are not accepted (it answered 500); they are sent again.",
            "webhook http://x: events are not accepted (it answered 500).",
        ),
        ("the broker is gone.", "the broker is gone."),
    ],
)
def test_a_test_that_fails_says_why_and_promises_nothing(said, told):
    with pytest.raises(OutputError) as caught:
        send_test(FakeOutput(said), ["entrance"])
    assert str(caught.value) == told
