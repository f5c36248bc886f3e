"""SQLite as the store uses it: killed, damaged, moved away, on a full disk, by two programs at once."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from gatecam.errors import OutputError
from gatecam.store import sqlite_file
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventFilter, EventStore


@pytest.fixture
def store(sqlite_path) -> Iterator[EventStore]:
    """An empty store in a file."""
    with closing(EventStore(SqliteDatabase(sqlite_path))) as made:
        yield made


@pytest.mark.parametrize("mends", [True, False])
def test_the_files_are_their_users_alone_whatever_they_were(sqlite_path, told, no_umask, mends):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store:
        store.append([told()])
        assert modes_of(sqlite_path) == [0o600] * 3
    sqlite_path.chmod(0o666)
    for path in files_of(sqlite_path)[1:]:  # as a program that was killed leaves them
        path.touch(0o666)
    with closing(EventStore(SqliteDatabase(sqlite_path, mends))) as again:
        assert again.count() == 1
        assert modes_of(sqlite_path) == [0o600] * 3


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_a_link_in_place_of_a_file_is_refused(tmp_path, end):
    there = tmp_path / "shadow"
    there.touch(0o644)
    if end:
        SqliteDatabase(tmp_path / "store.db").close()
    (tmp_path / f"store.db{end}").symlink_to(there)
    with pytest.raises(OutputError, match=r"is a link, which is not followed here: delete it"):
        SqliteDatabase(tmp_path / "store.db")
    assert stat.S_IMODE(there.stat().st_mode) == 0o644


def test_a_folder_that_others_can_write_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(OutputError, match=r"^\S+: other users can write to it \(mode 777\)"):
        SqliteDatabase(tmp_path / "store.db")
    assert list(tmp_path.iterdir()) == []


def test_it_is_written_ahead_and_to_the_disk(store):
    with store._database.transaction() as connection:
        asked = ("journal_mode", "synchronous", "auto_vacuum", "secure_delete")
        said = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    assert said == ["wal", 2, 2, 1]


def test_what_was_acknowledged_survives_a_kill(sqlite_path, store, told):
    script = """
        import itertools, sys
        from pathlib import Path
        from gatecam.store.engine import SqliteDatabase
        from gatecam.store.events import EventStore
        from gatecam.types import Event, EventKind, Verdict
        store = EventStore(SqliteDatabase(Path(sys.argv[1])))
        for i in itertools.count():
            store.append([Event(EventKind.MASK_OK, "gate", i, Verdict.CORRECT, i, at="2026-11-24T12:00:00Z")])
            print(i, flush=True)
    """
    for _ in range(3):
        words = [sys.executable, "-c", textwrap.dedent(script), str(sqlite_path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(30)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        acknowledged = {int(line) for line in lines}
        kept = [stored.event.track_id for stored in store.backlog(0, 100_000).events]
        assert acknowledged <= set(kept)
        assert len(kept) == len(set(kept))
        store.erase()


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(sqlite_path, told, caplog):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store:
        store.append([told()])
    whole = sqlite_path.read_bytes()
    sqlite_path.write_bytes(b"x" * 4096 + whole[4096:])
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store, caplog.at_level(logging.WARNING):
        store.append([told()])
        assert store.count() == 1
    (aside,) = sqlite_path.parent.glob("events.sqlite3.damaged-*")
    assert f"`gatecam events --recover {aside}` to bring back the events that can be read" in caplog.text
    assert aside.read_bytes()[4096:] == whole[4096:]


def test_a_file_of_another_kind_is_left_where_it_is(tmp_path):
    """A mistyped path must not move somebody's own file away."""
    path = tmp_path / "thesis.md"
    path.write_text("# Years of work\n" * 1000)
    with pytest.raises(OutputError, match=r"thesis\.md: is not a store: choose another store\.path"):
        SqliteDatabase(path)
    assert [one.name for one in tmp_path.iterdir()] == ["thesis.md"]
    assert path.read_text() == "# Years of work\n" * 1000


def test_who_only_asks_moves_no_damaged_file(sqlite_path, told):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as store:
        store.append([told()])
    sqlite_path.write_bytes(b"x" * 4096 + sqlite_path.read_bytes()[4096:])
    with pytest.raises(OutputError, match="the store cannot be used"):
        SqliteDatabase(sqlite_path, mends=False)
    assert not list(sqlite_path.parent.glob("*.damaged-*"))


def test_a_file_damaged_while_it_is_used_is_set_aside_at_the_next_try(store, sqlite_path, told):
    store.append([told(after_s=i) for i in range(2000)])
    store._database.shrink()
    with sqlite_path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(sqlite_path.stat().st_size - 4096))
    store._database._file._engine.dispose()  # nothing of it is in memory
    with pytest.raises(OutputError, match="the store cannot be used"):
        store.append([told()])
    store.append([told()])
    assert store.count() == 1
    assert len(asides(sqlite_path)) == 1


def test_a_healthy_file_that_seemed_damaged_stays_in_use(store, sqlite_path, told, caplog):
    """SQLite says so of a healthy file whose log another program has deleted."""
    store.append([told()])
    for _ in range(3):
        with pytest.raises(OutputError, match="it is damaged"), store._database.transaction():
            raise malformed()
        store.append([told()])
    assert (store.count(), asides(sqlite_path)) == (4, [])
    assert caplog.text.count("passed its check") == 1


def test_a_file_is_checked_only_when_nothing_in_the_process_uses_it(store, told, monkeypatch):
    monkeypatch.setattr(sqlite_file, "QUIET_S", 0.0)
    with store._database.transaction():
        store._database._file.note(11)
        with pytest.raises(OutputError, match="may be damaged, but is in use: it is checked at the next try"):
            store.append([told()])
    store.append([told()])
    assert store.count() == 1


def test_two_programs_that_meet_one_damage_set_one_file_aside(sqlite_path):
    programs = [sqlite_file.SqliteFile(sqlite_path) for _ in range(2)]  # not shared, as in two processes
    for program in programs:
        with program.lend(mends=True):
            pass
    for program in programs:
        program.close()
    sqlite_path.write_bytes(b"x" * sqlite_path.stat().st_size)
    for program in programs:
        program.note(11)
    for program in programs:
        with program.lend(mends=True) as engine, engine.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        program.close()
    assert len(asides(sqlite_path)) == 1


def test_a_file_that_is_deleted_gives_way_to_a_new_one(store, sqlite_path, told):
    store.append([told()])
    for path in sqlite_path.parent.iterdir():
        path.unlink()
    store.append([told(after_s=1)])
    with closing(sqlite3.connect(sqlite_path)) as other:
        assert other.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_a_file_that_is_moved_without_its_log_keeps_what_the_log_held(store, sqlite_path, told):
    store.append([told()])
    moved = sqlite_path.rename(sqlite_path.with_name("moved.sqlite3"))
    store.append([told(), told()])
    assert [count(path) for path in (moved, sqlite_path)] == ["1", "2"]


def test_a_reader_leaves_the_log_to_a_program_with_two_stores(store, sqlite_path, told):
    """As `run --web` has: one for what comes and one for the pages."""
    store.append([told()])
    with closing(EventStore(SqliteDatabase(sqlite_path))) as pages:
        assert count(sqlite_path) == "1"
        store.append([told()])
        assert count(sqlite_path) == "2"
        assert pages.count() == 2
    assert count(sqlite_path) == "2"
    assert {path.name for path in sqlite_path.parent.iterdir()} == {
        "events.sqlite3",
        "events.sqlite3-wal",
        "events.sqlite3-shm",
    }


def test_a_process_has_one_object_for_a_file_whatever_it_is_called(store, sqlite_path, told, monkeypatch):
    (link := sqlite_path.parents[1] / "link").symlink_to(sqlite_path.parent)
    monkeypatch.chdir(sqlite_path.parent)
    for name in (link / sqlite_path.name, Path(sqlite_path.name)):
        with closing(SqliteDatabase(name)) as other:
            assert other._file is store._database._file
    store.append([told()])
    assert store.count() == 1
    store.close()
    assert not sqlite_file._files


def test_two_programs_share_a_store(store, sqlite_path, told):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as other:
        store.append([told()])
        other.append([told(after_s=1)])
        assert store.count() == other.count() == 2


def test_what_is_erased_is_gone_from_the_disk(store, sqlite_path, told):
    store.append([told(camera="a-name-to-be-forgotten")])
    assert any(b"a-name-to-be-forgotten" in path.read_bytes() for path in sqlite_path.parent.iterdir())
    store.erase()
    assert not any(b"a-name-to-be-forgotten" in path.read_bytes() for path in sqlite_path.parent.iterdir())


def test_bytes_that_a_reader_keeps_on_the_disk_are_told(store, sqlite_path, told, monkeypatch):
    monkeypatch.setattr(sqlite_file, "BUSY_MS", 50)
    store.append([told(camera="a-name-to-be-forgotten")])
    store.close()
    with closing(sqlite3.connect(sqlite_path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM events").fetchall()
        with pytest.raises(OutputError, match="1 events erased, but another program reads the store"):
            store.erase()
    assert store.erase() == 0
    assert not any(b"a-name-to-be-forgotten" in path.read_bytes() for path in sqlite_path.parent.iterdir())


def test_the_oldest_events_go_when_the_store_is_too_large_and_the_file_shrinks(store, sqlite_path, told):
    store.append([told(after_s=i) for i in range(20_000)])
    size = store.used_bytes()
    assert store.delete_beyond(size) == 0
    gone = store.delete_beyond(size // 2)
    assert 0 < gone < 20_000
    assert store.used_bytes() <= size // 2
    assert sum(path.stat().st_size for path in sqlite_path.parent.iterdir()) <= size * 0.6
    assert store.find(EventFilter(), 1)[0].event.time_s == 19_999
    assert store.backlog(0, 1).events[0].event.time_s == gone


@pytest.mark.parametrize(
    ("place", "advice"),
    [("folder", "it is a folder"), ("folder/file/below", "make space or repair the disk")],
)
def test_a_place_that_cannot_be_is_one_sentence(tmp_path, place, advice):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    with pytest.raises(OutputError, match=rf": the store cannot be used \(.*\): {advice}"):
        SqliteDatabase(tmp_path / place)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_this_user_may_not_write_is_one_sentence(sqlite_path, monkeypatch, number):
    def refuse(*words):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("gatecam.store.sqlite_file.create_own", refuse)
    with pytest.raises(OutputError, match=r": run gatecam as the user who owns it, or let this user write"):
        SqliteDatabase(sqlite_path)


def test_a_file_of_which_nothing_may_be_written_is_one_sentence(store, told):
    """As SQLite tells it of a folder in which it can make no log."""
    with store._database.transaction() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(OutputError, match=r"readonly database\): run gatecam as the user who owns it"):
        store.append([told()])


def test_a_store_that_another_program_holds_is_told_with_that_program(sqlite_path, store, told, monkeypatch):
    monkeypatch.setattr(sqlite_file, "BUSY_MS", 50)
    store.close()
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print(flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", script, str(sqlite_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        holder.stdout.readline()
        with pytest.raises(OutputError) as problem:
            store.append([told()])
        holder.communicate()
    store.append([told()])
    who = rf"another program \(process {holder.pid}, python.*\)" if sys.platform == "linux" else "another"
    assert re.search(
        rf"\(database is locked\): {who}.* holds it: end that program, or wait", f"{problem.value}"
    )


def test_a_database_with_the_tables_of_another_program_is_one_sentence(tmp_path):
    path = tmp_path / "notes.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (note)")
    with pytest.raises(
        OutputError, match=r"already exists\): it belongs to another program, or is damaged: move it else"
    ):
        SqliteDatabase(path)


def test_a_full_disk_is_one_sentence_and_it_goes_on_when_there_is_space(small_disk, told):
    path = small_disk / "events.sqlite3"
    with closing(EventStore(SqliteDatabase(path))) as store:
        store.append([told()])
        filler = small_disk / "filler"
        fill(filler)
        with pytest.raises(OutputError, match="full"):
            append_until_it_fails(store, told(after_s=1))
        with closing(EventStore(SqliteDatabase(path))) as again:  # a restart on a full disk
            filler.unlink()
            kept = store.count()
            again.append([told(after_s=2)])
        assert kept % 500 == 1
        assert store.count() == kept + 1


def asides(path):
    """The files that were set aside, without their logs."""
    return [
        one for one in path.parent.glob(f"{path.name}.damaged-*") if not one.name.endswith(("-wal", "-shm"))
    ]


def malformed():
    """Give the error by which SQLite tells a damaged file."""
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return sa.exc.DatabaseError("SELECT 1", None, error)


def count(path):
    """Have another program count the events."""
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1])\n"
    script += "print(c.execute('select count(*) from events').fetchone()[0]); c.close()"
    words = [sys.executable, "-S", "-E", "-c", script, path]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def fill(path):
    """Write a file until the disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def append_until_it_fails(store, event):
    for _ in range(100):
        store.append([event] * 500)


def files_of(path: Path) -> list[Path]:
    """A store's file and the two that SQLite keeps beside it."""
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]


def modes_of(path: Path) -> list[int]:
    return [stat.S_IMODE(one.stat().st_mode) for one in files_of(path)]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", place], capture_output=True
    ).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)
