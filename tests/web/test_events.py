"""One event: its picture, how long it lasted, what was said and sent, and the operator's answer."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("fastapi")

from gatecam.pictures.snapshots import snapshot_jpeg
from gatecam.store.events import EventFilter
from gatecam.types import Box, Event, EventKind, Verdict
from tests.web.conftest import BEARER, DOOR_BEARER, NOW, Browser


@pytest.fixture
def alert(behind) -> int:
    """The id of the newest alert, which has a picture, was played and sent, and lasted 12 s."""
    store = behind.store
    cursor = store.cursor("webhook", from_start=True)
    stored = store.find(EventFilter(), 5)[-1]
    assert stored.id == cursor + 1
    store.move_cursor("webhook", stored.id, [stored.id])
    store.notes.end(stored.key, round(NOW.timestamp() * 1000) + 12_000)
    store.notes.say(stored.key, "tone, ko")
    behind.evidence.make_ready()
    image = np.zeros((480, 640, 3), np.uint8)
    behind.evidence.save_snapshot(stored.key, snapshot_jpeg(image, Box(10, 20, 40, 60), ()))
    behind.evidence.save_clip(stored.key, lambda path: path.write_bytes(b"0123456789") and None)
    return stored.id


def get(browser: Browser, path: str, **words):
    return browser.ask("GET", path, headers={**BEARER, **words})


def test_an_event_tells_all_that_is_known_of_it(browser, alert):
    told = get(browser, f"/api/events/{alert}").json()
    assert (told["lasted_s"], told["played"], told["sent"]) == (12.0, "tone, ko", ["webhook"])
    assert told["message"]["en"] == "Please put on your mask"
    assert (told["picture"], told["blurred"], told["video"]) == (True, True, True)
    assert told["box"] == [10, 20, 40, 60]
    listed = get(browser, "/api/events").json()["events"]
    assert [one["picture"] for one in listed] == [False] * 4 + [True]
    assert listed[0]["lasted_s"] is None


def test_pictures_and_videos_are_served_and_small_ones_for_the_list(browser, alert):
    place = f"/api/events/{alert}"
    sizes = []
    for query in ("", "?small=true"):
        answer = get(browser, f"{place}/picture.jpg{query}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"
        sizes.append(PIL.Image.open(io.BytesIO(answer.content)).size)
    assert sizes == [(640, 480), (160, 120)]
    part = get(browser, f"{place}/video.mp4", Range="bytes=2-5")
    assert (part.status_code, part.content) == (206, b"2345")


@pytest.mark.parametrize("path", ["", "/picture.jpg", "/video.mp4"])
def test_what_is_not_kept_is_not_found_and_the_door_gets_nothing(browser, alert, path):
    assert get(browser, f"/api/events/999{path}").status_code == 404
    if path:
        assert get(browser, f"/api/events/{alert + 1}{path}").status_code == 404
    assert browser.ask("GET", f"/api/events/{alert}{path}", headers=DOOR_BEARER).status_code == 403
    assert browser.ask("GET", f"/api/events/{alert}{path}").status_code == 401


def test_an_answer_is_kept_counted_and_taken_back(browser, alert):
    def answer(event_id: int, said: object):
        return browser.ask("POST", f"/api/events/{event_id}/answer", json={"answer": said}, headers=BEARER)

    assert answer(alert, "right").json()["answer"] == "right"
    assert answer(alert + 1, "not_person").json()["answer"] == "not_person"
    weeks = get(browser, "/api/feedback").json()
    assert [sum(one[name] for one in weeks) for name in ("right", "answered")] == [1, 2]
    listed = get(browser, "/api/events?answered=true").json()["events"]
    assert [one["answer"] for one in listed] == ["not_person", "right"]
    assert answer(alert, None).json()["answer"] is None
    assert sum(one["answered"] for one in get(browser, "/api/feedback").json()) == 1
    assert answer(alert, "perhaps").status_code == 422
    assert answer(999, "right").status_code == 404


def test_an_answer_that_somebody_else_has_changed_meanwhile_stays(browser, alert):
    place = f"/api/events/{alert}/answer"
    for seen, status in ((None, 200), (None, 409), ("right", 200)):
        said = {"answer": "right" if status == 200 else "none", "seen": {"answer": seen}}
        assert browser.ask("POST", place, json=said, headers=BEARER).status_code == status
    assert get(browser, f"/api/events/{alert}").json()["answer"] == "right"


def test_a_camera_cannot_be_answered(browser, behind):
    at = NOW.isoformat(timespec="milliseconds")
    behind.store.append(
        [Event(EventKind.CAMERA_BLIND, "gate", 0, Verdict.UNKNOWN, 9.0, reason="covered", at=at)]
    )
    (stored,) = behind.store.find(EventFilter(), 1)
    answer = browser.ask("POST", f"/api/events/{stored.id}/answer", json={"answer": "right"}, headers=BEARER)
    assert answer.status_code == 422
    assert get(browser, f"/api/events/{stored.id}").json()["message"] is None
