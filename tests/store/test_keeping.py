"""Retention: events go by days and by size, totals are written, and a store that fails is tried again."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from datetime import timedelta

import pytest

from gatecam.config import StoreConfig
from gatecam.errors import OutputError
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore, Total
from gatecam.store.keeping import Housekeeping, tidy
from gatecam.store.totals import ClassTotals
from tests.store.conftest import NOON


class DueTotals(ClassTotals):
    """Twelve people are due."""

    def due(self, now):
        return [Total(f"{now:%Y-%m-%d}", "gate", 17, 12)]


@pytest.fixture
def kept(sqlite_path):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as made:
        yield made


def test_events_older_than_the_days_allowed_go(kept, told):
    kept.append([told(after_s=-2 * 86_400 - 1), told(after_s=-2 * 86_400 + 1), told()])
    tidy([kept], StoreConfig(keep_days=2), ClassTotals(NOON), NOON)
    assert kept.count() == 2


def test_the_oldest_go_when_the_store_is_larger_than_allowed(kept, told):
    kept.append([told(after_s=i) for i in range(40_000)])
    assert kept.used_bytes() > 5_000_000
    tidy([kept], StoreConfig(keep_mb=5), ClassTotals(NOON), NOON + timedelta(seconds=40_000))
    assert kept.used_bytes() <= 5_000_000
    assert kept.count() >= 15_000


def test_totals_that_are_due_are_written(kept):
    tidy([kept], StoreConfig(), DueTotals(NOON), NOON)
    assert kept.totals("2026-11-24", "2026-11-24") == [Total("2026-11-24", "gate", 17, 12)]


def test_a_store_that_fails_is_tried_again(kept, told, caplog, monkeypatch):
    kept.append([told(after_s=-100 * 86_400)])
    gone, whole = threading.Event(), kept.delete_before
    faults = [OutputError("no space")]

    def delete(*words):
        if faults:
            raise faults.pop()
        number = whole(*words)
        gone.set()
        return number

    monkeypatch.setattr(kept, "delete_before", delete)
    with (
        caplog.at_level(logging.WARNING),
        closing(Housekeeping([kept], StoreConfig(), ClassTotals(NOON), lambda: NOON, period_s=0.01)),
    ):
        assert gone.wait(10)
    assert caplog.messages == ["Old events could not be deleted: no space"]
    assert kept.count() == 0
