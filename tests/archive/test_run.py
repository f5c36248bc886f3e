"""A run over an archive: what was done stays, what is damaged is listed, and workers change nothing."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gatecam.archive import run, tables
from gatecam.archive.page import write_summary
from gatecam.archive.query import ask
from gatecam.archive.run import Archive, Report
from gatecam.archive.sources import find_sources
from gatecam.archive.tables import Tables
from gatecam.errors import ConfigError, OutputError
from tests.archive.conftest import Alone


@pytest.fixture
def archive(recording, tmp_path) -> Path:
    """Three recordings: two good ones, of which one tells its time, and one that is damaged."""
    folder = tmp_path / "nas"
    (folder / "north").mkdir(parents=True)
    shutil.copy(recording, folder / "north" / "20261124_075945.mkv")
    shutil.copy(recording, folder / "door.mkv")
    (folder / "bad.mp4").write_bytes(b"no video")
    return folder


def analyzed(folder: Path, out: Path, workers: Alone | None = None, may_cut: bool = False) -> Report:
    with Tables(out, "settings") as kept:
        found = find_sources([str(folder)], None, None)
        waiting = kept.plan([one for one in found if not kept.is_done(one)]).waiting
        return Archive(waiting, kept, workers or Alone(), may_cut).run(lambda done, note: None)


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.parquet")}


def test_good_recordings_become_tables_and_a_damaged_one_is_listed(archive, tmp_path):
    out = tmp_path / "camera=x"  # no column of the tables
    report = analyzed(archive, out)
    assert (report.done, [Path(row["recording"]).name for row in report.failed]) == (2, ["bad.mp4"])
    found = ask(out, "SELECT camera, state, frames, people, events FROM files ORDER BY camera")
    assert found.columns == ("camera", "state", "frames", "people", "events")
    assert found.rows == [
        ("bad", "failed", 0, 0, 0),
        ("door", "done", 288, 4, 7),
        ("north", "done", 288, 4, 7),
    ]
    people = ask(out, "SELECT track_id, first_s, came FROM people WHERE camera = 'door'").rows
    assert [row[0] for row in people] == [1, 2, 3, 4, 5]
    ((reason,),) = ask(out, "SELECT reason FROM files WHERE reason IS NOT NULL").rows
    assert "bad.mp4" not in reason, "the column before names the recording"
    for name, schema in tables.SCHEMAS.items():
        assert pq.read_schema(next((out / name).glob("*.parquet"))).names == schema.names


def test_workers_and_cuts_change_no_byte(archive, tmp_path, monkeypatch):
    analyzed(archive, tmp_path / "one")
    monkeypatch.setattr(run, "LEAST_PART_S", 5.0)
    workers = Alone(size=9)
    analyzed(archive, tmp_path / "many", workers, may_cut=True)
    assert len(workers.submitted) > 10
    assert content(tmp_path / "one") == content(tmp_path / "many") != {}


def test_a_drive_that_fails_while_a_recording_is_cut_stops_nothing(archive, tmp_path, monkeypatch):
    def fail(path, times_s):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(run, "LEAST_PART_S", 5.0)
    monkeypatch.setattr(run, "find_cuts", fail)
    assert analyzed(archive, tmp_path / "out", Alone(size=9), may_cut=True).done == 2


def test_a_second_run_does_only_what_is_new_or_has_changed(archive, tmp_path):
    out = tmp_path / "out"
    analyzed(archive, out)
    before = content(out)
    workers = Alone()
    assert analyzed(archive, out, workers).done == 0
    assert [part.path.name for part in workers.submitted] == ["bad.mp4"]
    os.utime(archive / "door.mkv", (1, 1))
    shutil.copy(archive / "door.mkv", archive / "new.mkv")
    workers = Alone()
    assert analyzed(archive, out, workers).done == 2
    assert {part.path.name for part in workers.submitted} == {"bad.mp4", "door.mkv", "new.mkv"}
    assert {name for name in before if name.startswith("events")} < set(content(out))


@pytest.fixture
def moved(archive, tmp_path) -> Path:
    """The same recordings in another folder. What they gave before is in `out`."""
    analyzed(archive, tmp_path / "out")
    return archive.rename(tmp_path / "new")


@pytest.mark.parametrize("left", [9, 3])
def test_a_recording_that_was_moved_keeps_its_results(moved, tmp_path, monkeypatch, left):
    out = tmp_path / "out"
    monkeypatch.setattr(tables.pq, "write_table", filling(left))  # the second disk is full before `files`
    with suppress(OutputError):
        analyzed(moved, out)
    monkeypatch.undo()
    workers = Alone()
    analyzed(moved, out, workers)
    names = {part.path.name for part in workers.submitted}
    assert names == ({"bad.mp4"} if left == 9 else {"bad.mp4", "door.mkv"})
    analyzed(moved, tmp_path / "at-once")
    assert content(out) == content(tmp_path / "at-once")


def test_a_recording_that_was_renamed_to_another_camera_replaces_its_results(archive, tmp_path):
    out = tmp_path / "out"
    analyzed(archive, out)
    (archive / "north" / "20261124_075945.mkv").rename(archive / "west_20261124_075945.mkv")
    assert analyzed(archive, out).done == 1
    analyzed(archive, tmp_path / "at-once")
    assert content(out) == content(tmp_path / "at-once")


def test_a_recording_that_is_no_longer_there_keeps_its_results(archive, tmp_path):
    out = tmp_path / "out"
    analyzed(archive, out)
    (archive / "door.mkv").write_bytes((archive / "door.mkv").read_bytes() + b"0")
    (archive / "door.mkv").rename(archive / "other.mkv")
    assert analyzed(archive, out).done == 1
    assert ask(out, "SELECT count(*) FROM files WHERE camera IN ('door', 'other')").rows == [(2,)]


@pytest.mark.parametrize("is_later", [False, True])
def test_a_copy_is_left_out_and_named(archive, tmp_path, is_later):
    out, original = tmp_path / "out", archive / "north" / "20261124_075945.mkv"
    if is_later:
        analyzed(archive, out)
    copy = shutil.copy(original, archive / "north_20261124_075945.mkv")
    with Tables(out, "settings") as kept:
        undone = [one for one in find_sources([str(archive)], None, None) if not kept.is_done(one)]
        plan = kept.plan(undone)
    assert [(source.path, path) for source, path in plan.copies] == [(copy, original)]
    assert {source.path.name for source in plan.waiting} == (
        {"bad.mp4"} if is_later else {"bad.mp4", "door.mkv", original.name}
    )


def test_a_copy_of_a_recording_that_could_not_be_read_is_tried(archive, tmp_path):
    original = archive / "north_20261124_0900.mp4"
    original.write_bytes(b"no video")
    analyzed(archive, tmp_path / "out")
    (tmp_path / "copies").mkdir()
    shutil.copy(original, tmp_path / "copies")
    assert len(analyzed(tmp_path / "copies", tmp_path / "out").failed) == 1


def test_rows_of_an_earlier_version_are_read_as_well(archive, tmp_path):
    out = tmp_path / "out"
    analyzed(archive, out)
    older, *_ = (out / "files").iterdir()
    pq.write_table(pq.read_table(older).drop_columns(["content"]), older)
    assert ask(out, "SELECT count(content), count(*) FROM files").rows == [(2, 3)]
    assert len(analyzed(archive, out).failed) == 1


def test_results_that_are_lost_in_part_are_made_anew(moved, tmp_path):
    out = tmp_path / "out"
    for path in (out / "people").iterdir():
        if pq.read_metadata(path).num_rows:
            path.unlink()
    assert analyzed(moved, out).done == 2
    analyzed(moved, tmp_path / "at-once")
    assert content(out).keys() == content(tmp_path / "at-once").keys()


def filling(left: int) -> Callable[..., None]:
    """Writes so many tables until the disk is full."""
    write = pq.write_table

    def write_table(table, path):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(table, path)

    return write_table


def test_a_recording_that_is_deleted_during_the_run_leaves_no_row(archive, tmp_path):
    class Deleting(Alone):
        def submit(self, part):
            (archive / "door.mkv").unlink(missing_ok=True)
            super().submit(part)

    report = analyzed(archive, tmp_path / "out", Deleting())
    assert [row["reason"] for row in report.failed][1:] == ["it was moved or deleted after the run began."]
    assert {row[0] for row in ask(tmp_path / "out", "SELECT camera FROM files").rows} == {"bad", "north"}


def test_a_damaged_table_is_named_and_made_anew_once_it_is_deleted(archive, tmp_path):
    out = tmp_path / "out"
    analyzed(archive, out)
    before = content(out)
    damaged = max((out / "events").iterdir(), key=lambda path: path.stat().st_size)
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.raises(OutputError, match=rf"{damaged.name}.*; delete that file and run the same"):
        write_summary(out)
    damaged.unlink()
    assert analyzed(archive, out).done == 1
    assert content(out) == before


def test_a_worker_without_the_recordings_is_told_what_to_do(archive, tmp_path):
    class Elsewhere(Alone):
        def finished(self, timeout_s):
            archive.rename(tmp_path / "unmounted")
            done = super().finished(timeout_s)
            (tmp_path / "unmounted").rename(archive)
            return done

    report = analyzed(archive, tmp_path / "out", Elsewhere())
    assert {row["reason"] for row in report.failed} == {run.ELSEWHERE}
    assert analyzed(archive, tmp_path / "out").done == 2


def test_a_stop_between_two_recordings_loses_none_and_does_none_twice(archive, tmp_path):
    class Stopped(Alone):
        def finished(self, timeout_s):
            if len(self.submitted) == 3:
                raise KeyboardInterrupt
            return super().finished(timeout_s)

    with pytest.raises(KeyboardInterrupt):
        analyzed(archive, tmp_path / "out", Stopped())
    (tmp_path / "out" / "events" / ".half-1234.parquet").write_bytes(b"PAR1")
    assert analyzed(archive, tmp_path / "out").done == 1
    analyzed(archive, tmp_path / "at-once")
    assert content(tmp_path / "out") == content(tmp_path / "at-once")


def test_a_lost_worker_is_replaced_and_a_deadly_recording_is_given_up(archive, tmp_path):
    assert analyzed(archive, tmp_path / "out", Alone(losses=2)).done == 2
    report = analyzed(archive, tmp_path / "other", Alone(losses=3))
    given_up = "3 workers ended while they analyzed it (out of memory)."
    assert (report.done, [row["reason"] for row in report.failed]) == (2, [given_up])


def test_a_full_disk_ends_in_a_sentence_and_what_was_written_stays(archive, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(tables.pq, "write_table", filling(9))
    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\)"):
        analyzed(archive, out)
    assert ask(out, "SELECT count(*) FROM files").rows == [(2,)]
    assert not list(out.rglob(".*.parquet"))
    monkeypatch.undo()
    analyzed(archive, out)
    analyzed(archive, tmp_path / "at-once")
    assert content(out) == content(tmp_path / "at-once")


def test_every_table_is_on_the_disk_before_it_has_its_name(archive, tmp_path, monkeypatch):
    synced, replace = [], os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))

    def named(part, path):
        assert synced[-1] == os.stat(part).st_size > 0
        replace(part, path)

    monkeypatch.setattr(os, "replace", named)
    analyzed(archive, tmp_path / "out")
    assert len(synced) == 3 * len(tables.SCHEMAS)


def test_two_runs_never_write_into_one_folder(tmp_path):
    with (
        Tables(tmp_path / "out", "a"),
        pytest.raises(OutputError, match="another gatecam"),
        Tables(tmp_path / "out", "a"),
    ):
        pass


def test_the_page_sums_up_hours_cameras_and_what_is_amiss(archive, tmp_path):
    out = tmp_path / "tables [2026] * '?"
    analyzed(archive, out)
    said = write_summary(out)
    assert said.startswith("8 people came; ")
    page = (out / "summary.html").read_text()
    assert "2 of 3 recordings were analyzed, 0.0 hours." in page
    assert "missing from the hours, because their start is not known: 1." in page
    assert '<th scope="row">north</th><td>4</td>' in page
    assert "bad.mp4" in page
    assert "카메라별 방문자" in page
    east = timezone(timedelta(hours=14))
    write_summary(out, east)
    start = datetime(2026, 11, 24, 7, 59, 45).astimezone(east)
    hours = re.findall('<th scope="row">([0-9]+):00<', (out / "summary.html").read_text())
    assert set(hours) == {f"{start:%H}", f"{start + timedelta(hours=1):%H}"}


def test_a_query_reads_the_archive_and_nothing_else(archive, tmp_path):
    out = tmp_path / "out"
    analyzed(archive, out)
    before = content(out)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (
        f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')",
        f"COPY files TO '{tmp_path / 'copy.csv'}'",
        f"SELECT 1; COPY (SELECT 1) TO '{out / 'files' / 'ab.parquet'}'",
        f"ATTACH '{out / 'new.db'}'",
        "",
        "SET enable_external_access = true",
        "SELECT nothing",
    ):
        with pytest.raises(ConfigError, match="--query: "):
            ask(out, sql)
    assert not (tmp_path / "copy.csv").exists()
    assert content(out) == before
    assert not (out / "new.db").exists()
    with pytest.raises(OutputError, match="there is no archive yet"):
        ask(tmp_path, "SELECT 1")
    hours = "SELECT hour(told_at) AS hour, count(*) FROM events WHERE first AND camera = 'north' GROUP BY ALL"
    assert sum(row[1] for row in ask(out, hours).rows) == 4
