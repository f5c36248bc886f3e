"""Notes: how long an event lasted is found out from what is seen, and written without haste."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gatecam.errors import OutputError
from gatecam.live.notes import TRIES, Endings, NoteWriter
from gatecam.types import Box, Event, EventKind, Frame, Step, Track, Verdict

AT = "2026-11-24T12:00:00+00:00"
AT_MS = 1_795_521_600_000
IMAGE = np.zeros((4, 4, 3), np.uint8)


def event(kind: EventKind, key: str, track_id: int = 1, time_s: float = 10.0, camera: str = "gate") -> Event:
    return Event(kind, camera, track_id, Verdict.NONE, time_s, at=AT, key=key)


def step(time_s: float, *people: tuple[int, float], camera: str = "gate") -> Step:
    """A frame with these people, each as the track's id and the time since its last face."""
    tracks = tuple(
        Track(number, Box(0, 0, 1, 1), 9, 1.0, Verdict.NONE, missing_s=missing_s)
        for number, missing_s in people
    )
    return Step(Frame(camera, 0, time_s, IMAGE), (), tracks, ())


@pytest.fixture
def ends() -> dict[str, int]:
    return {}


@pytest.fixture
def endings(ends) -> Endings:
    return Endings(lambda key, at_ms: ends.setdefault(key, at_ms - AT_MS))


def test_an_alert_ends_when_the_person_was_last_seen(endings, ends):
    endings.note(step(10, (1, 0), (2, 0)), [event(EventKind.MASK_MISSING, "a")])
    endings.note(step(14, (1, 0), (2, 0)), [])
    endings.note(step(15, (1, 0.8)), [])
    endings.note(step(15, camera="yard"), [])
    assert ends == {}
    endings.note(step(15.5), [])
    assert ends == {"a": 4200}


def test_an_alert_and_its_reminders_end_when_a_mask_is_put_on(endings, ends):
    endings.note(step(10, (1, 0)), [event(EventKind.MASK_MISSING, "a")])
    endings.note(step(20, (1, 0)), [event(EventKind.MASK_REMINDER, "b", time_s=20.0)])
    endings.note(step(23, (1, 0)), [event(EventKind.MASK_OK, "c", time_s=23.0)])
    endings.note(step(40), [])
    assert ends == {"a": 13_000, "b": 3000}


def test_a_blind_or_slow_camera_ends_with_its_own_end(endings, ends):
    for kind, key, time_s in (
        (EventKind.CAMERA_BLIND, "a", 10.0),
        (EventKind.TOO_SLOW, "b", 11.0),
        (EventKind.CAMERA_OK, "c", 30.0),
        (EventKind.FAST_ENOUGH, "d", 31.0),
        (EventKind.FAST_ENOUGH, "e", 32.0),
    ):
        endings.note_camera(event(kind, key, 0, time_s))
    assert ends == {"a": 20_000, "b": 20_000}


def test_alerts_before_a_camera_that_is_removed_end_and_it_begins_anew_when_it_is_added_again(endings, ends):
    endings.note(step(10, (1, 0)), [event(EventKind.MASK_MISSING, "a")])
    endings.note_camera(event(EventKind.CAMERA_BLIND, "b", 0, 11.0))
    endings.note_camera(event(EventKind.CAMERA_BLIND, "c", 0, 12.0, camera="yard"))
    endings.keep(["yard"])
    assert ends == {"a": 0}
    endings.note_camera(event(EventKind.CAMERA_BLIND, "d", 0, 60.0))
    endings.note_camera(event(EventKind.CAMERA_OK, "e", 0, 65.0))
    endings.note_camera(event(EventKind.CAMERA_OK, "f", 0, 32.0, camera="yard"))
    assert ends == {"a": 0, "d": 5000, "c": 20_000}


def test_a_note_is_tried_again_until_its_event_is_stored(caplog):
    writer, done = NoteWriter(pause_s=0.001), threading.Event()
    answers = iter([False, OutputError("locked"), True])

    def note() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        done.set()
        return answer

    tried = []
    writer.write(lambda: bool(tried.append(1)))
    writer.write(note)
    assert done.wait(10)
    writer.close()
    assert len(tried) == TRIES


def test_a_note_that_waits_when_gatecam_ends_is_tried_once_more():
    """Its event is stored by then, since the store's queue is emptied first."""
    writer, tried, stored = NoteWriter(pause_s=60), threading.Event(), threading.Event()

    def note() -> bool:
        tried.set()
        return stored.is_set()

    writer.write(note)
    assert tried.wait(5)
    tried.clear()
    stored.set()
    writer.close()
    assert tried.is_set()
