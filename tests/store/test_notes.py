"""Notes: what is added to an event later stays with it, and goes with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventFilter, EventStore
from gatecam.store.notes import Week
from gatecam.types import Answer
from tests.store.conftest import NOON

DAY_S = 86_400
KEY = "a" * 32


def test_an_event_keeps_its_key_and_what_is_noted_about_it(store, told):
    store.append([replace(told(), key=KEY), told(after_s=1)])
    assert store.notes.end(KEY, 1234)
    assert store.notes.say(KEY, "tone, ko")
    _, stored = store.find(EventFilter(), 9)
    assert store.notes.answer(stored.id, Answer.NOT_PERSON)
    other, found = store.find(EventFilter(), 9)
    assert (found.key, found.ended_ms, found.said, found.answer) == (KEY, 1234, "tone, ko", Answer.NOT_PERSON)
    assert (other.ended_ms, other.said, other.answer) == (None, "", None)
    assert store.notes.answer(stored.id, None)
    assert store.find(EventFilter(), 9)[1].answer is None
    assert not store.notes.end("b" * 32, 1)
    assert store.notes.known([KEY, "b" * 32]) == {KEY}


def test_answers_are_counted_by_week(store, told):
    monday = -NOON.weekday() * DAY_S
    store.append([told(after_s=monday - DAY_S), told(after_s=monday), told(after_s=monday + 1), told()])
    ids = [stored.id for stored in store.find(EventFilter(), 9)][::-1]
    for event_id, answer in zip(ids, (Answer.NONE, Answer.RIGHT, Answer.NOT_PERSON), strict=False):
        store.notes.answer(event_id, answer)
    start = NOON.date() - timedelta(days=NOON.weekday())
    assert store.notes.weeks() == [Week(start, 1, 2), Week(start - timedelta(days=7), 0, 1)]
    assert store.notes.weeks("yard") == []


@pytest.mark.parametrize("way", ["age", "erase"])
def test_what_was_sent_goes_with_the_events(store, told, way):
    store.append([told(after_s=-1), told()])
    start = store.cursor("webhook", from_start=True)
    ids = [stored.id for stored in store.backlog(start, 9).events]
    store.move_cursor("webhook", ids[0], ids[:1])
    assert store.notes.sent_to(ids[0]) == ["webhook"]
    if way == "age":
        store.delete_before(round(NOON.timestamp() * 1000), "2026-01-01", round(NOON.timestamp() * 1000) + 1)
    else:
        store.erase()
    assert store.notes.sent_to(ids[0]) == []


def test_restored_events_bring_their_notes(store, told, tmp_path):
    with_note = EventStore(SqliteDatabase(tmp_path / "old.sqlite3"))
    with_note.append([replace(told(), key=KEY)])
    with_note.notes.answer(1, Answer.RIGHT)
    store.append([told(after_s=1)])
    store.restore(with_note.find(EventFilter(), 1), [])
    with_note.close()
    assert [stored.answer for stored in store.every(EventFilter())] == [Answer.RIGHT, None]
