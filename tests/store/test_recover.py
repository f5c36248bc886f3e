"""Events of stores that were set aside: read from healthy and damaged files, and brought back once."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gatecam.errors import OutputError
from gatecam.store.audit import Act, Actor
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventFilter, EventStore, Total
from gatecam.store.recover import read_store

PAGE = 4096
ALICE = Actor("alice", "10.0.0.7")
TOTALS = [Total("2026-11-24", "gate", 17, 12)]


@pytest.fixture
def aside(sqlite_path, told):
    """A healthy store of 300 events and a total that was set aside, before anything damages it."""
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store:
        store.append([told(after_s=i, track_id=i) for i in range(300)])
        store.add_totals(TOTALS)
        for i in range(300):
            store.audit.note(ALICE, Act.SETTING, "policy.remind_s", str(i), str(i + 1), at_ms=i)
        store._database.shrink()
    return sqlite_path.rename(sqlite_path.with_name("events.sqlite3.damaged-1"))


def spoil(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize(
    ("damage", "least", "unreadable"),
    [
        (lambda path: None, 300, 0),
        (lambda path: spoil(path, 0, b"x" * PAGE), 300, 0),
        (lambda path: spoil(path, 0, os.urandom(100)), 300, 0),
        (lambda path: spoil(path, leaf_of(path, 150), os.urandom(PAGE)), 250, None),
        (lambda path: spoil(path, entry_leaf(path), os.urandom(PAGE)), 300, 0),
    ],
    ids=["none", "first page", "header", "a page of events", "a page of the audit log"],
)
def test_every_event_that_can_be_read_comes_and_the_others_are_counted(
    aside, damage, least, unreadable, request
):
    damage(aside)
    whole = aside.read_bytes()
    found = read_store(aside)
    assert least <= len(found.events) == 300 - found.unreadable
    assert found.unreadable == unreadable or unreadable is None
    assert found.unreadable or least == 300
    assert found.totals == TOTALS
    is_whole = "audit log" not in request.node.name
    assert (200 if not is_whole else 300) <= len(found.entries) == 300 - found.unreadable_entries
    assert (found.unreadable_entries == 0) == is_whole
    assert {(one.actor, one.act, int(one.after) - int(one.before)) for one in found.entries} == {
        (ALICE, "setting", 1)
    }
    assert aside.read_bytes() == whole
    assert [one.name for one in aside.parent.iterdir()] == [aside.name]


def leaf_of(path, number):
    """The place of the page that holds an event's key."""
    copy = path.with_name("copy.sqlite3")
    shutil.copyfile(path, copy)
    with closing(EventStore(SqliteDatabase(copy))) as store:
        key = store.backlog(number, 1).events[0].key.encode()
        store._database.shrink()
    for part in path.parent.glob("copy.*"):
        part.unlink()
    return table_leaf(path, key)


def entry_leaf(path):
    """The place of the page that holds an entry of the middle."""
    return table_leaf(path, b"policy.remind_s150151")


def table_leaf(path, content):
    """The place of a page of a table that holds some bytes."""
    whole = path.read_bytes()
    places = [at for at in range(0, len(whole), PAGE) if content in whole[at : at + PAGE]]
    return next(at for at in places if whole[at] == 0x0D)  # a leaf of a table, not of an index


def test_a_store_of_an_older_gatecam_is_read_too(sqlite_path):
    sqlite_path.parent.mkdir()
    engine = sa.create_engine(f"sqlite:///{sqlite_path}")
    with engine.connect() as connection:
        config = Config(stdout=io.StringIO(), attributes={"connection": connection})
        config.set_main_option("script_location", "gatecam.store:migrations")
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO events VALUES (1, ?, 0, 'mask_missing', 'gate', 1, 'none', 0, 7, 0.9, '', 1)",
            ("a" * 32,),
        )
        connection.commit()
    engine.dispose()
    assert [one.key for one in read_store(sqlite_path).events] == ["a" * 32]


def test_events_that_only_the_log_has_come_too(sqlite_path, told):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store:
        store.append([told()])
        for end in ("", "-wal"):
            shutil.copyfile(f"{sqlite_path}{end}", f"{sqlite_path}.damaged-1{end}")
    assert len(read_store(sqlite_path.with_name("events.sqlite3.damaged-1")).events) == 1


def test_events_come_back_once_before_all_others_and_no_output_gets_them(aside, sqlite_path, told):
    found = read_store(aside)
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store:
        store.append([told(after_s=1000)])
        cursor = store.cursor("webhook", from_start=True)
        part = found.events[200:]
        assert [store.restore(part, []), store.restore(found.events, TOTALS)] == [100, 200]
        assert store.restore(found.events, TOTALS) == 0
        assert [one.event.time_s for one in store.every(EventFilter())] == [*range(300), 1000]
        assert [one.event.time_s for one in store.backlog(cursor, 1000).events] == [1000]
        assert store.backlog(cursor, 1000).deleted == 0
        assert store.cursor("mqtt", from_start=True) == cursor
        assert len(store.backlog(store.cursor("postgres", True, with_restored=True), 1000).events) == 301
        assert store.totals("2026-11-24", "2026-11-24") == []  # the second came with events that were there


def test_entries_of_the_audit_log_come_back_once_before_all_others(aside, sqlite_path):
    found = read_store(aside)
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store:
        store.audit.note(ALICE, Act.LOGIN)
        assert store.audit.restore(found.entries[100:]) == 200
        assert [store.audit.restore(found.entries) for _ in range(2)] == [100, 0]
        latest, *others = store.audit.latest(400)
        assert latest.act == "login"
        assert [one.at_ms for one in others] == [*range(299, -1, -1)]
        assert [one.at_ms for one in store.audit.latest(2, before_id=others[1].id)] == [297, 296]


def test_a_store_without_an_audit_log_has_no_unreadable_entries(aside):
    with closing(sqlite3.connect(aside)) as connection:
        connection.execute("DROP TABLE audit")
    found = read_store(aside)
    assert (len(found.events), found.entries, found.unreadable_entries) == (300, [], 0)


def test_totals_come_back_with_their_events_once(aside, sqlite_path):
    found = read_store(aside)
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store:
        for _ in range(2):
            store.restore(found.events, found.totals)
        assert store.totals("2026-11-24", "2026-11-24") == TOTALS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        (b"", "no event can be read"),
        (b"# Years of work\n" * 1000, "no event can be read"),
    ],
)
def test_a_file_that_is_no_store_is_one_sentence(tmp_path, content, said):
    path = tmp_path / "notes.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OutputError, match=rf"notes\.md: {said}.*: name a store [^\n]*\.$"):
        read_store(path)


def test_a_folder_without_space_for_the_copy_is_one_sentence(aside, monkeypatch):
    def refuse(*words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gatecam.store.recover.shutil.copyfile", refuse)
    with pytest.raises(OutputError, match=r"\(No space left on device\): make space there"):
        read_store(aside)
