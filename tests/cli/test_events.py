"""`gatecam events` and `gatecam privacy`: what a person sees of the store, and that it can be erased."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gatecam.labels import MASK_LABELS
from gatecam.pictures.snapshots import snapshot_jpeg
from gatecam.runtime.folders import state_folder
from gatecam.store import sqlite_file
from gatecam.store.audit import Act
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventFilter, EventStore
from gatecam.store.evidence import EvidenceFolder
from gatecam.training.data.layouts import BOXES, open_collection
from gatecam.types import Answer, Box, Event, EventKind, StoredEvent, Verdict

NOW = datetime.now().astimezone()


def event(kind: EventKind, hours_ago: float, camera: str = "gate", reason: str = "") -> Event:
    at = (NOW - timedelta(hours=hours_ago)).isoformat(timespec="milliseconds")
    return Event(kind, camera, 3, Verdict.NONE, 1.5, 37, 0.98, reason, at=at)


@pytest.fixture
def kept(gatecam, tmp_path) -> Path:
    """A store with three events, where the command looks for it."""
    path = tmp_path / "data" / "gatecam" / "events.sqlite3"
    with closing(EventStore(SqliteDatabase(path))) as store:
        store.append(
            [
                event(EventKind.MASK_MISSING, 50),
                event(EventKind.CAMERA_BLIND, 2, "yard [b]", "covered"),
                event(EventKind.MASK_REMINDER, 1, "=cmd()"),
            ]
        )
    return path


def test_events_are_a_table_with_the_latest_last(gatecam, kept):
    ended = gatecam("events")
    lines = [line for line in ended.out.splitlines() if "│" in line]
    assert ended.code == 0
    assert ["mask_missing" in lines[0], "yard [b]" in lines[1], "covered" in lines[1]] == [True] * 3
    assert "mask_reminder" in lines[2]
    assert f"Events: 3, from {kept}." in ended.out
    assert "Events: the latest 1 of 3" in gatecam("events", "--limit", "1").out


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (["--since", "90m"], ["mask_reminder"]),
        (["--since", "2d"], ["camera_blind", "mask_reminder"]),
        (["--until", f"{NOW - timedelta(hours=3):%Y-%m-%dT%H:%M}"], ["mask_missing"]),
        (["--camera", "gate", "--camera", "yard [b]"], ["mask_missing", "camera_blind"]),
        (["--kind", "camera_blind"], ["camera_blind"]),
        (["--limit", "2"], ["camera_blind", "mask_reminder"]),
    ],
)
def test_filters_choose_and_json_is_a_line_an_event(gatecam, kept, words, kinds):
    ended = gatecam("events", "--format", "json", *words)
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [line["kind"] for line in events] == kinds
    assert all(len(line["id"]) == 32 for line in events)


def test_csv_is_safe_to_open_in_a_spreadsheet(gatecam, kept):
    rows = list(csv.DictReader(io.StringIO(gatecam("events", "--format", "csv").out)))
    assert [row["camera"] for row in rows] == ["gate", "yard [b]", "'=cmd()"]
    assert [row["reason"] for row in rows] == ["", "covered", ""]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "yesterday"], "--since: expected a time such as 2026-11-24"),
        (["--until", "999999d"], "--until: expected a time"),
        (["--kind", "mask"], "--kind: expected one of mask_missing, "),
        (
            ["--camera", "gate", "--camera", "nosuch"],
            "--camera: expected one that events tell of (=cmd(), gate, yard [b]), got 'nosuch'",
        ),
        (
            ["--since", "1h", "--until", "2h"],
            "--since: expected a time before that of --until, '2h', got '1h'",
        ),
    ],
)
def test_words_that_mean_nothing_are_one_sentence(gatecam, kept, words, said):
    ended = gatecam("events", *words)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert said in ended.err


def test_without_a_store_it_is_one_sentence(gatecam):
    ended = gatecam("events")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "there is no store yet: `gatecam run` creates it" in ended.err


@pytest.mark.parametrize("command", ["events", "report", "privacy"])
def test_a_folder_in_the_place_of_the_store_is_one_sentence(gatecam, tmp_path, monkeypatch, command):
    monkeypatch.setenv("GATECAM_STORE_PATH", str(tmp_path))
    ended = gatecam(command)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert f"{tmp_path}: the store cannot be used (unable to open database file): it is a folder" in ended.err


def test_a_store_in_a_folder_of_another_user_is_not_one_that_is_missing(gatecam, kept, monkeypatch):
    def refuse(*words, **more):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("gatecam.app.Path.stat", refuse)
    ended = gatecam("events")
    assert ended.code == 2
    assert "(Permission denied): run gatecam as the user who owns it" in ended.err


def test_privacy_tells_what_is_kept_and_where_it_goes(gatecam, kept, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GATECAM_WEBHOOK_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("GATECAM_NOTIFY_LOG", "log.jsonl")
    (tmp_path / "log.jsonl.1").write_text("x")
    (state_folder() / "web-sessions-8790.json").write_text("[]")
    ended = gatecam("privacy")
    assert ended.code == 0
    said = " ".join(ended.out.split())
    assert f"{kept} │ 3, since {NOW - timedelta(hours=50):%Y-%m-%d}" in said
    assert "30 days, at most 200 MB" in said
    assert "Events leave this machine by: webhook.url." in said
    assert "log.jsonl.1" in said
    assert "web-sessions-8790.json" in said


@pytest.fixture
def opened(kept) -> Iterator[list[Path]]:
    """The files beside the store that Python code opens; SQLite's own opening does not count."""
    seen: list[Path] = []
    hooks = [lambda path: seen.append(Path(os.fsdecode(path)))]

    def hear(what, words):  # an audit hook stays for the life of the process
        if hooks and what == "open" and isinstance(words[0], str | bytes):
            hooks[0](words[0])

    sys.addaudithook(hear)
    yield seen
    hooks.clear()


@pytest.mark.parametrize(
    "words", [["events"], ["report", "--out", "page.html"], ["privacy"], ["privacy", "--erase", "--yes"]]
)
def test_no_code_but_sqlite_opens_the_store(gatecam, kept, opened, words):
    """Closing such a descriptor would drop the locks that SQLite holds for this process."""
    assert gatecam(*words).code == 0
    assert not [path for path in opened if path.name.startswith(kept.name)]


def test_erasing_leaves_nothing(gatecam, kept, tmp_path, monkeypatch):
    monkeypatch.setenv("GATECAM_NOTIFY_LOG", "log.jsonl")
    (tmp_path / "log.jsonl").write_text("x")
    (kept.parent / "events.sqlite3.damaged-1").write_text("x")
    ended = gatecam("privacy", "--erase", "--yes")
    assert ended.code == 0
    assert f"{kept}: 3 events and all totals erased." in ended.out
    assert (tmp_path / "log.jsonl").read_text() == ""
    assert not (kept.parent / "events.sqlite3.damaged-1").exists()
    assert gatecam("events", "--format", "json").out == ""
    with closing(EventStore(SqliteDatabase(kept))) as store:
        (entry,) = store.audit.latest(10)
    assert (entry.act, entry.subject, entry.before) == (Act.ERASURE, "events", "3")
    assert entry.actor.name.startswith("command:")


def test_a_store_that_was_set_aside_is_brought_back(gatecam, kept):
    aside = kept.rename(kept.with_name("events.sqlite3.damaged-1"))
    ended = gatecam("events", "--recover", aside)
    assert (ended.code, ended.err) == (0, "")
    assert f"3 events of {aside} are back in {kept}; 0 were there already." in ended.out
    assert "0 entries of the audit log are back; 0 were there already." in ended.out
    assert "They are not sent to other outputs again." in ended.out
    assert "0 events of" in gatecam("events", "--recover", aside).out
    assert gatecam("events", "--format", "json").out.count("\n") == 3
    refused = gatecam("events", "--recover", kept)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is the store itself: name a file that was set aside" in refused.err


NOT_OURS = ("log.jsonl-notes.txt", "log.jsonl.bak", "log.json", "xlog.jsonl", "events.sqlite3-copy")


def test_erasing_leaves_the_files_of_others_alone(gatecam, kept, tmp_path, monkeypatch):
    monkeypatch.setenv("GATECAM_NOTIFY_LOG", "log.jsonl")
    ours = ("log.jsonl", "log.jsonl.1", "log.jsonl-20261124.gz", "log.jsonl.2.xz")
    for name in (*NOT_OURS, *ours):
        (tmp_path / name).write_text("x")
    (tmp_path / "log.jsonl.3").symlink_to(tmp_path / "log.json")
    said = gatecam("privacy", "--erase", "--yes").out
    assert {name for name in ours if not (tmp_path / name).read_text()} == set(ours)
    assert all((tmp_path / name).read_text() == "x" for name in NOT_OURS)
    assert not any(f"{tmp_path / name}:" in said or f"{name}: erased" in said for name in NOT_OURS)


def test_a_log_whose_name_is_a_pattern_is_erased_and_nothing_else(gatecam, tmp_path, monkeypatch):
    monkeypatch.setenv("GATECAM_NOTIFY_LOG", "gate[1]*.jsonl")
    for name in ("gate[1]*.jsonl", "gate1.jsonl"):
        (tmp_path / name).write_text("x")
    assert gatecam("privacy", "--erase", "--yes").code == 0
    assert [(tmp_path / name).read_text() for name in ("gate[1]*.jsonl", "gate1.jsonl")] == ["", "x"]


def test_with_nothing_there_nothing_is_asked(gatecam):
    ended = gatecam("privacy", "--erase")
    assert (ended.code, ended.out) == (0, "There is nothing to erase.\n")


def test_all_else_is_erased_even_if_another_program_reads_the_store(gatecam, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_file, "BUSY_MS", 50)
    server = EventStore(SqliteDatabase(tmp_path / "server.sqlite3"), "lobby")
    server.copy([StoredEvent(0, "a" * 32, event(EventKind.MASK_MISSING, 50))])
    monkeypatch.setattr("gatecam.store.engine.PostgresDatabase", lambda url: server._database)
    monkeypatch.setenv("GATECAM_STORE_URL", "postgresql://db.example/gatecam")
    monkeypatch.setenv("GATECAM_FLEET_DOOR", "lobby")
    folder = answered(kept)
    aside = kept.with_name(f"{kept.name}.damaged-1795990007251")
    aside.touch()
    with closing(sqlite3.connect(kept)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM events").fetchall()
        ended = gatecam("privacy", "--erase", "--yes")
    assert (ended.code, "end that program and erase again" in ended.err) == (2, True)
    assert (server.count(), server.audit.latest(1)) == (0, [])
    server.close()
    with closing(EventStore(SqliteDatabase(kept))) as store:
        (noted,) = store.audit.latest(9)
    assert noted.subject.startswith("events in ")
    assert not folder.path.exists()
    assert not aside.exists()


def test_nothing_is_erased_without_a_yes(gatecam, kept, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ended = gatecam("privacy", "--erase")
    assert ended.code == 1
    assert "Nothing was erased." in ended.out
    assert len(gatecam("events", "--format", "json").out.splitlines()) == 3


def test_privacy_tells_of_the_pages(gatecam, tmp_path):
    assert "Live pictures leave this machine only on the pages, while" in gatecam("privacy").out
    (tmp_path / "config.yaml").write_text(
        "evidence: {snapshots: true}\nmqtt: {host: broker, snapshots: true}"
    )
    said = gatecam("privacy").out
    assert "Pictures of alerts leave it by: mqtt." in said
    assert "No pictures leave" not in said
    settings = "web: {enabled: true, host: 0.0.0.0}\nprivacy: {blur_operator: false}"
    (tmp_path / "config.yaml").write_text(settings)
    said = gatecam("privacy").out
    assert (
        "Live pictures are served to the network (web.host), for everyone with a token or a password. "
        "No picture is stored." in said
    )
    assert "Faces on the page at the door are unreadable." in said
    assert "Faces on the operator's page are READABLE, as privacy.blur_operator is false." in said


def test_privacy_tells_that_sessions_name_users(gatecam, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "web-sessions-8790.json").touch()
    (row,) = (line for line in gatecam("privacy").out.splitlines() if "logins to the pages" in line)
    assert "names of users" in row


@pytest.mark.parametrize(("first", "word"), [(True, "wearing a mask"), (False, "put a mask on")])
def test_who_came_with_a_mask_has_another_word_than_who_put_one_on(gatecam, kept, first, word, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with closing(EventStore(SqliteDatabase(kept))) as store:
        store.append([replace(event(EventKind.MASK_OK, 0), first=first)])
    assert f"mask_ok ({word})" in gatecam("events").out
    line = gatecam("events", "--format", "json", "--limit", "1").out
    assert json.loads(line)["first"] is first
    (row,) = csv.DictReader(io.StringIO(gatecam("events", "--format", "csv", "--limit", "1").out))
    assert row["first"] == str(first).lower()


def answered(path: Path) -> EvidenceFolder:
    """Answer the three events of a store. The alerts have pictures, the second of them a readable face."""
    folder, image = EvidenceFolder(path.with_name(f"{path.name}.evidence")), np.zeros((96, 128, 3), np.uint8)
    folder.make_ready()
    with closing(EventStore(SqliteDatabase(path))) as store:
        store.append([event(EventKind.MASK_MISSING, 0.5)])
        first, _, other, last = store.every(EventFilter())
        for stored, answer, hidden in (
            (first, Answer.RIGHT, ()),
            (other, Answer.INCORRECT, None),
            (last, Answer.NOT_PERSON, ()),
        ):
            assert store.notes.answer(stored.id, answer)
            folder.save_snapshot(stored.key, snapshot_jpeg(image, Box(10, 20, 40, 60), hidden))
    return folder


def test_answers_are_exported_as_a_data_set_that_training_opens(gatecam, kept, tmp_path):
    answered(kept)
    out = tmp_path / "door"
    ended = gatecam("events", "--feedback", "--export", str(out))
    assert ended.code == 0
    assert f"{out}: 3 answers, 2 faces and 1 pictures without a person." in ended.out
    assert "1 of the faces are blurred and marked as doubtful" in ended.out
    found = open_collection(out)
    assert (found.layout, found.problems) == (BOXES, [])
    rows = {(MASK_LABELS[row.mask], row.suspect, row.box) for row in found.rows}
    box = Box(10, 20, 40, 60)
    assert rows == {("none", True, box), ("incorrect", False, box)}
    assert len({row.key for row in found.rows}) == 2
    assert len(list((out / "not_a_person").iterdir())) == 1
    answers = list(csv.DictReader(io.StringIO((out / "answers.csv").read_text())))
    assert [row["answer"] for row in answers] == ["right", "incorrect", "not_person"]
    with closing(EventStore(SqliteDatabase(kept))) as store:
        assert store.audit.latest(1)[0].act == Act.EXPORT
    assert gatecam("events", "--feedback", "--export", str(out)).err.endswith("Choose another folder.\n")


def test_a_picture_that_is_deleted_meanwhile_does_not_end_the_export(gatecam, kept, tmp_path, monkeypatch):
    folder, out = answered(kept), tmp_path / "door"
    there, *_ = folder.files()
    copy = shutil.copyfile

    def copy_late(picture: Path, to: Path) -> object:
        if picture == there.path:
            picture.unlink()
        return copy(picture, to)

    monkeypatch.setattr(shutil, "copyfile", copy_late)
    ended = gatecam("events", "--feedback", "--export", str(out))
    assert f"{out}: 3 answers, " in ended.out
    assert there.key not in (out / "faces.csv").read_text()


def test_feedback_lists_the_answered_events_alone(gatecam, kept, tmp_path):
    with closing(EventStore(SqliteDatabase(kept))) as store:
        store.notes.answer(2, Answer.NOT_PERSON)
    (line,) = gatecam("events", "--feedback", "--format", "json").out.splitlines()
    assert json.loads(line)["answer"] == "not_person"
    assert "answer: not_person" in gatecam("events").out.replace("\n", " ")
    ended = gatecam("events", "--feedback", "--export", str(tmp_path / "out"))
    assert (ended.code, "There is no face to learn from" in ended.out) == (1, True)
    ended = gatecam("events", "--export", str(tmp_path / "other"))
    assert (ended.code, "--export: expected --feedback as well" in ended.err) == (2, True)


def test_privacy_lists_pictures_of_alerts_and_erases_them(gatecam, kept, tmp_path):
    folder = answered(kept)
    said = gatecam("privacy").out
    assert "3 pictures and videos" in said
    assert "pictures of people" not in said
    assert (
        f"{folder.path}: 3 pictures and videos of alerts erased."
        in gatecam("privacy", "--erase", "--yes").out
    )
    assert not folder.path.exists()
    (tmp_path / "config.yaml").write_text(
        "evidence: {snapshots: true}\nmqtt: {host: localhost, snapshots: true}\n"
        "privacy: {blur_evidence: false}\n"
    )
    said = gatecam("privacy").out
    assert "Faces in the pictures of alerts that are kept are READABLE" in said
    assert "Pictures of alerts leave it by: mqtt." in said
