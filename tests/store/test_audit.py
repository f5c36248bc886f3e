"""The audit log: entries are kept in order, for their days, and strangers cannot fill the disk."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta

from gatecam.errors import OutputError
from gatecam.settings.schema import StoreConfig
from gatecam.store.audit import Act, Actor
from gatecam.store.clock import ClockGuard, to_ms
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore
from gatecam.store.keeping import tidy
from gatecam.store.totals import ClassTotals
from tests.store.conftest import NOON

KIM = Actor("kim", "192.0.2.7")
NOON_MS = to_ms(NOON)


def test_entries_are_read_newest_first_and_by_what_was_done(store):
    store.audit.note(KIM, Act.LOGIN, at_ms=NOON_MS)
    store.audit.note(KIM, Act.SETTING, "policy.remind_s", "10", "20", NOON_MS + 1000)
    store.audit.note(Actor("command:root"), Act.ERASURE, "events", before="12 events")
    newest, setting, login = store.audit.latest(10)
    assert (newest.actor.name, newest.act, newest.subject) == ("command:root", "erasure", "events")
    assert (setting.before, setting.after, setting.at_ms) == ("10", "20", NOON_MS + 1000)
    assert login.actor == KIM
    assert store.audit.latest(10, before_id=setting.id) == [login]
    assert store.audit.latest(10, acts=[Act.SETTING, Act.LOGIN]) == [setting, login]
    assert store.audit.latest(1) == [newest]


def test_an_entry_that_cannot_be_written_is_told_and_stops_nothing(store, caplog, monkeypatch):
    def fail(writing=False):
        raise OutputError("the disk is full")

    monkeypatch.setattr(store.audit._database, "transaction", fail)
    with caplog.at_level(logging.WARNING):
        store.audit.note(KIM, Act.EXPORT, "events.csv")
    assert "This is missing from the audit log: kim, export events.csv. the disk is full" in caplog.text


def test_entries_are_kept_for_their_own_days(sqlite_path):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as kept:
        for days in range(100, -1, -5):
            kept.audit.note(KIM, Act.LOGIN, subject=str(days), at_ms=to_ms(NOON - timedelta(days=days)))
        guard = ClockGuard(NOON, 0.0, lambda _: False)
        tidy([kept], StoreConfig(keep_days=30, audit_days=90), ClassTotals(NOON), guard, NOON)
        assert [entry.subject for entry in kept.audit.latest(100)][-2:] == ["85", "90"]
        assert guard.trouble() is None


def test_a_clock_that_jumped_deletes_no_entry(sqlite_path):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as kept:
        kept.audit.note(KIM, Act.LOGIN, at_ms=NOON_MS)
        later = NOON + timedelta(days=365)
        tidy([kept], StoreConfig(), ClassTotals(later), ClockGuard(later, 0.0, lambda _: False), later)
        assert len(kept.audit.latest(2)) == 1


def test_failed_logins_take_a_limited_number_of_entries(store):
    store.audit.note(KIM, Act.LOGIN)
    for number in range(6):
        store.audit.note(Actor("", "192.0.2.9"), Act.LOGIN_FAILED, str(number))
    assert store.audit.delete_failures_beyond(4) == 2
    assert store.audit.delete_failures_beyond(4) == 0
    assert [one.subject for one in store.audit.latest(10)] == ["5", "4", "3", "2", ""]


def test_erasing_events_keeps_the_audit_log(store, told):
    store.append([told()])
    store.audit.note(KIM, Act.LOGIN)
    store.erase()
    assert [one.act for one in store.audit.latest(10)] == ["login"]
