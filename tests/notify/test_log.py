"""The event log: acknowledged means on the disk, whatever a kill, a full disk or another program does."""

from __future__ import annotations

import json
import logging
import os
import resource
import stat
import subprocess
import sys
import threading

import pytest

from gatecam.errors import OutputError
from gatecam.notify.fake import ListSink
from gatecam.notify.jsonl import event_to_line
from gatecam.notify.log import DurableSink, LogFile
from gatecam.runtime.telemetry import Telemetry

WAIT_S = 10.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def log_file(path):
    file = LogFile(path)
    yield file
    file.close()


@pytest.fixture
def room(path):
    """Sets the size that files may have, which stops a write in the middle of a line as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size or soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def ids(path):
    return [json.loads(line)["track_id"] for line in path.read_text().splitlines()]


# The file


@pytest.mark.parametrize("is_there", [False, True])
def test_the_log_is_its_users_alone_whatever_it_was(path, is_there, no_umask):
    if is_there:
        path.touch(0o666)
    LogFile(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_that_the_user_made_is_written_to_as_it_is(path, make_event):
    there = path.with_name("there")
    there.touch(0o644)
    path.symlink_to(there)
    file = LogFile(path)
    file.append([make_event(1)])
    file.close()
    assert ids(there) == [1]
    assert stat.S_IMODE(there.stat().st_mode) == 0o644


def test_events_are_added_and_synced_before_append_returns(path, make_event, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(path.read_text()))
    path.write_text('{"kind": "earlier"}\n')
    file = LogFile(path)
    file.append([make_event(1), make_event(2)])
    file.close()
    expected = '{"kind": "earlier"}\n' + event_to_line(make_event(1)) + event_to_line(make_event(2))
    assert (path.read_text(), synced) == (expected, [expected])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b'{"a": 1}\n', b'{"a": 1}\n'),
        (b'{"a": 1}\n{"ki', b'{"a": 1}\n'),
        (b'{"kind": "mask_missing", "came', b""),
        (b'{"a": 1}\n{"kind": "mask_m\0\0\0', b'{"a": 1}\n'),
        (b'{"a": 1}\n\0\0\0\0', b'{"a": 1}\n'),
        (b'{"a": 1}\n{"kind": "mask_ok"}', b'{"a": 1}\n{"kind": "mask_ok"}\n'),
        (b"notes of somebody else", b"notes of somebody else\n"),
        (b"x" * 70_000, b"x" * 70_000 + b"\n"),
    ],
)
def test_half_an_event_at_the_end_is_cut_off_and_any_other_text_is_kept(before, after, path, make_event):
    path.write_bytes(before)
    file = LogFile(path)
    file.send(make_event())
    file.close()
    assert path.read_bytes() == after + event_to_line(make_event()).encode()


def test_a_write_that_fails_in_the_middle_of_a_line_leaves_nothing(path, log_file, room, make_event):
    log_file.send(make_event(1))
    line_bytes = path.stat().st_size
    room(2 * line_bytes + 7)
    with pytest.raises(OutputError, match=r"events\.jsonl: events cannot be written \(File too large\)"):
        log_file.append([make_event(2), make_event(3)])
    assert ids(path) == [1]
    room(None)
    log_file.append([make_event(2), make_event(3)])
    assert ids(path) == [1, 2, 3]


def test_a_line_that_could_not_be_cut_off_at_once_is_before_the_next(path, log_file, make_event, monkeypatch):
    def fail(*words):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        broken.setattr(os, "ftruncate", fail)
        for _ in range(2):
            with pytest.raises(OutputError, match="Input/output error"):
                log_file.send(make_event(1))
    assert ids(path) == [1]
    log_file.send(make_event(1))
    assert ids(path) == [1]


def test_a_log_that_was_moved_away_gives_way_to_a_new_one(path, tmp_path, log_file, make_event):
    log_file.send(make_event(1))
    path.rename(tmp_path / "events.jsonl.1")
    log_file.send(make_event(2))
    path.unlink()
    log_file.send(make_event(3))
    assert (ids(tmp_path / "events.jsonl.1"), ids(path)) == ([1], [3])


def test_a_log_that_was_emptied_goes_on_from_its_start(path, log_file, make_event):
    log_file.send(make_event(1))
    os.truncate(path, 0)
    log_file.send(make_event(2))
    assert ids(path) == [2]


def test_a_file_that_cannot_be_opened_is_told_at_once(tmp_path):
    with pytest.raises(OutputError, match=r"missing.*cannot be written \(No such file"):
        LogFile(tmp_path / "missing" / "events.jsonl")
    with pytest.raises(OutputError, match="Is a directory"):
        LogFile(tmp_path)


def test_a_disk_that_is_full_at_the_start_is_written_to_later(path, make_event, monkeypatch):
    def full(*words):
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", full)
        file = LogFile(path)
        with pytest.raises(OutputError, match="No space left"):
            file.send(make_event(1))
    file.send(make_event(1))
    file.close()
    assert ids(path) == [1]


def test_a_pipe_is_written_to_as_it_is(tmp_path, make_event):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    file = LogFile(pipe)
    file.send(make_event(1))
    file.close()
    assert os.read(reader, 10_000).decode() == event_to_line(make_event(1))
    os.close(reader)


def test_a_second_writer_is_told_the_process_of_the_first(path, log_file):
    with pytest.raises(
        OutputError, match=rf"is written by another gatecam \(process {os.getpid()}\): end that program"
    ):
        LogFile(path)
    log_file.close()
    LogFile(path).close()


def test_the_log_of_a_killed_program_is_free_at_once(path):
    code = (
        "import sys, signal; from pathlib import Path; from gatecam.notify.log import LogFile\n"
        "file = LogFile(Path(sys.argv[1])); print('open', flush=True); signal.pause()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(OutputError, match=rf"process {holder.pid}\)"):
        LogFile(path)
    holder.kill()
    holder.communicate(timeout=WAIT_S)
    LogFile(path).close()


# The sink


class FakeFile:
    """A log file that fails while `error` is set, and says when it was tried."""

    def __init__(self):
        self.events, self.batches, self.error, self.closed = [], [], None, False
        self.tries = threading.Semaphore(0)

    def append(self, events):
        error = self.error
        self.tries.release()
        if error is not None:
            raise OutputError(error)
        self.batches.append(len(events))
        self.events.extend(events)

    def wait_for_tries(self, number):
        for _ in range(number):
            assert self.tries.acquire(timeout=WAIT_S)

    def close(self):
        self.closed = True


class Acknowledged(ListSink):
    """Checks that what it is sent is in the file, and says when so many have come."""

    def __init__(self, file, expected):
        super().__init__()
        self.file, self.expected, self.reached = file, expected, threading.Event()

    def send(self, event):
        assert event in self.file.events
        super().send(event)
        if len(self.events) == self.expected:
            self.reached.set()


def open_sink(file, expected=1, size=100, first_pause_s=0.001):
    then, troubles, telemetry = Acknowledged(file, expected), [], Telemetry()
    sink = DurableSink(file, then, size, "log", telemetry, troubles.append, first_pause_s)
    return sink, then, troubles


def test_an_event_is_handed_on_after_it_is_in_the_file(make_event):
    file = FakeFile()
    sink, then, troubles = open_sink(file)
    sink.send(make_event(1))
    assert then.reached.wait(WAIT_S)
    sink.close()
    assert (file.closed, then.closed, troubles, sink.sent) == (True, True, [], 1)


def test_events_wait_for_a_full_disk_in_order_and_both_ends_are_said_once(make_event, caplog):
    file = FakeFile()
    file.error = "log.jsonl: events cannot be written (No space left on device)"
    sink, then, troubles = open_sink(file, expected=5)
    with caplog.at_level(logging.WARNING):
        for track_id in range(5):
            sink.send(make_event(track_id))
        file.wait_for_tries(4)
        assert (then.events, sink.waiting, sink.sent) == ([], 5, 0)
        file.error = None
        assert then.reached.wait(WAIT_S)
        sink.close()
    assert [event.track_id for event in then.events] == [0, 1, 2, 3, 4]
    assert file.events == then.events
    assert troubles == ["log.jsonl: events cannot be written (No space left on device)", None]
    assert [record.getMessage() for record in caplog.records] == [
        troubles[0],
        "Events are written again: 5 that waited are safe, 0 are lost.",
    ]
    assert (sink.sent, sink.dropped, sink.waiting) == (5, 0, 0)


def test_of_more_events_than_the_queue_holds_the_newest_are_dropped_and_counted(make_event, caplog):
    file = FakeFile()
    file.error = "full"
    sink, then, _ = open_sink(file, expected=3, size=3)
    with caplog.at_level(logging.WARNING):
        sink.send(make_event(0))
        file.wait_for_tries(2)
        for track_id in range(1, 10):
            sink.send(make_event(track_id))
        file.error = None
        assert then.reached.wait(WAIT_S)
        sink.close()
    assert [event.track_id for event in file.events] == [0, 1, 2]
    assert (sink.sent, sink.dropped) == (3, 7)
    assert caplog.records[-1].getMessage().endswith("that waited are safe, 7 are lost.")


def test_the_pauses_grow_to_half_a_minute_and_start_afresh_after_a_success(make_event, monkeypatch):
    file, pauses = FakeFile(), []
    file.error = "full"
    sink, then, _ = open_sink(file, first_pause_s=0.5)

    def wait_for(predicate, timeout=None):
        if timeout is None:
            return original(predicate, timeout)
        pauses.append(timeout)
        if len(pauses) in (9, 12):
            file.error = None
        return predicate()

    original = sink._changed.wait_for
    monkeypatch.setattr(sink._changed, "wait_for", wait_for)
    sink.send(make_event(0))
    assert then.reached.wait(WAIT_S)
    then.reached.clear()
    then.expected, file.error = 2, "full"
    sink.send(make_event(1))
    assert then.reached.wait(WAIT_S)
    sink.close()
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 0.5, 1, 2]


def test_close_tries_once_more_without_the_pause(make_event):
    file = FakeFile()
    file.error = "full"
    sink, then, _ = open_sink(file, first_pause_s=1000)
    sink.send(make_event(0))
    file.wait_for_tries(1)
    file.error = None
    sink.close(WAIT_S)
    assert [event.track_id for event in then.events] == [0]
    assert (sink.sent, sink.dropped) == (1, 0)


def test_close_on_a_disk_that_stays_full_says_what_is_lost_and_acknowledges_nothing(make_event, caplog):
    file = FakeFile()
    file.error = "full"
    sink, then, _ = open_sink(file, first_pause_s=1000)
    with caplog.at_level(logging.WARNING):
        for track_id in range(3):
            sink.send(make_event(track_id))
        file.wait_for_tries(1)
        sink.close(WAIT_S)
    assert (then.events, then.closed, file.closed) == ([], True, True)
    assert (sink.sent, sink.dropped) == (0, 3)
    assert caplog.records[-1].getMessage() == "log was closed before it could be written: 3 events are lost."


def test_events_that_come_while_the_disk_is_slow_are_written_at_once(make_event):
    entered, gate = threading.Event(), threading.Event()

    class Slow(FakeFile):
        def append(self, events):
            entered.set()
            assert gate.wait(WAIT_S)
            super().append(events)

    file = Slow()
    sink, then, _ = open_sink(file, expected=41)
    sink.send(make_event(0))
    assert entered.wait(WAIT_S)
    for track_id in range(1, 41):
        sink.send(make_event(track_id))
    gate.set()
    assert then.reached.wait(WAIT_S)
    sink.close()
    assert file.batches == [1, 40]
