"""The folder of pictures: what is too old, too much, without an event or in the way of events is deleted."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime, timedelta

import pytest

from gatecam.errors import OutputError
from gatecam.settings.schema import EvidenceConfig
from gatecam.store.clock import ClockGuard, to_ms
from gatecam.store.evidence import SPARE_BYTES, YOUNG_MS, EvidenceFolder
from gatecam.store.keeping import tidy_evidence
from gatecam.types import Event, EventKind, StoredEvent, Verdict
from tests.store.conftest import NOON

NOON_MS = to_ms(NOON)
MB = 1_000_000


def key_of(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture
def folder(tmp_path) -> EvidenceFolder:
    """Ten pictures of 1000 bytes, one a day, the last of them at noon."""
    made = EvidenceFolder(tmp_path / "evidence")
    made.make_ready()
    for number in range(10):
        made.save_snapshot(key_of(number), bytes(1000))
        at_s = (NOON - timedelta(days=9 - number)).timestamp()
        os.utime(made.snapshot(key_of(number)), (at_s, at_s))
    return made


def left(folder: EvidenceFolder) -> list[int]:
    return [int(one.key, 16) for one in folder.files()]


def test_files_are_for_their_user_alone(folder):
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert {one.path.stat().st_mode & 0o777 for one in folder.files()} == {0o600}


@pytest.mark.parametrize(
    ("before_ms", "most_bytes", "known", "there"),
    [
        (0, MB, range(10), range(10)),
        (NOON_MS - 3 * 86_400_000, MB, range(10), range(6, 10)),
        (0, 5000, range(10), range(6, 10)),  # below the limit, so that this happens seldom
        (0, 10_000, range(10), range(10)),
        (0, MB, (1, 8), (1, 8, 9)),  # the last is so young that its event may come yet
    ],
)
def test_what_is_too_old_too_much_or_without_an_event_goes(folder, before_ms, most_bytes, known, there):
    asked = []

    def ask(keys):
        asked.extend(keys)
        return {key_of(number) for number in known} & set(keys)

    gone = folder.tidy(before_ms, most_bytes, NOON_MS + YOUNG_MS - 1, ask)
    assert left(folder) == list(there)
    assert gone == 10 - len(there)
    assert key_of(9) not in asked


def test_a_disk_that_fills_takes_the_oldest_pictures_first_even_if_the_store_fails(folder):
    def fail(keys):
        raise OutputError("the store cannot be used")

    full = EvidenceFolder(folder.path, lambda path: SPARE_BYTES - 3500)
    with pytest.raises(OutputError, match="the store cannot be used"):
        full.tidy(0, MB, NOON_MS, fail)
    assert left(full) == list(range(4, 10))
    with pytest.raises(OutputError, match="which events may need: make space"):
        full.make_ready()


def test_unfinished_files_of_a_killed_program_go_and_foreign_ones_stay(folder):
    for name in (".part", "notes.txt"):
        (folder.path / name).write_text("")
        os.utime(folder.path / name, (NOON.timestamp(), NOON.timestamp()))
    folder.tidy(0, MB, NOON_MS + 2 * YOUNG_MS, lambda keys: keys)
    assert sorted(path.name for path in folder.path.iterdir() if path.suffix != ".jpg") == ["notes.txt"]


def test_erasing_leaves_nothing(folder):
    assert folder.erase() == 10
    assert not folder.path.exists()
    assert folder.erase() == 0


def test_pictures_behind_a_link_to_another_disk_are_erased_and_kept_again(folder, tmp_path):
    folder.path.rename(tmp_path / "disk")
    folder.path.symlink_to(tmp_path / "disk")
    number = (tmp_path / "disk").stat().st_ino
    (tmp_path / "disk" / "lost+found").mkdir()
    assert folder.erase() == 10
    assert list((tmp_path / "disk").iterdir()) == [tmp_path / "disk" / "lost+found"]
    assert (tmp_path / "disk").stat().st_ino == number, "a new one would be root's"
    folder.make_ready()
    folder.save_snapshot(key_of(3), b"jpeg")
    assert left(folder) == [3]


def test_a_folder_that_cannot_be_read_is_told_in_a_sentence(folder):
    # Any other error would end the thread that deletes old events. Root can read every folder, but no file.
    folder.erase()
    folder.path.touch()
    with pytest.raises(OutputError, match="cannot be listed"):
        folder.tidy(0, MB, NOON_MS, set)


def test_a_clock_that_jumps_deletes_no_picture(store, told, folder, monkeypatch):
    """A year is added to the clock while gatecam runs, and no time server says so."""
    store.append([told(after_s=-86_400 * days) for days in range(9, -1, -1)])
    keep = EvidenceConfig(snapshots=True, keep_days=3)
    monkeypatch.setattr(store.notes, "known", lambda keys: keys)
    guard = ClockGuard(NOON, 0.0, lambda now: False)
    later = NOON + timedelta(days=365)
    guard.tick(later, 60.0, NOON_MS)
    tidy_evidence(folder, keep, store, guard, later)
    assert left(folder) == list(range(6, 10))  # three days have surely passed since the others
    guard = ClockGuard(NOON, 0.0, lambda now: False)
    guard.tick(NOON, 0.0, NOON_MS)
    tidy_evidence(folder, keep, store, guard, NOON)
    assert left(folder) == list(range(6, 10))


def test_a_picture_from_before_the_clock_was_set_stays_as_long_as_its_event(folder):
    os.utime(folder.snapshot(key_of(4)), (60, 60))
    folder.tidy(NOON_MS - 3 * 86_400_000, MB, NOON_MS + YOUNG_MS, lambda keys: keys)
    assert left(folder) == [4, 6, 7, 8, 9]
    folder.tidy(0, MB, NOON_MS + YOUNG_MS, lambda keys: set(keys) - {key_of(4)})
    assert left(folder) == [6, 7, 8, 9]


def test_pictures_stay_while_a_damaged_store_may_hold_their_events(folder, sqlite_path, kept):
    aside = sqlite_path.with_name(f"{sqlite_path.name}.damaged-{NOON_MS - 86_399_999}")
    aside.write_bytes(b"")
    guard = ClockGuard(NOON, 0.0, lambda now: True)
    keep = EvidenceConfig(snapshots=True, keep_days=5)
    later = NOON + timedelta(milliseconds=YOUNG_MS)
    guard.tick(later, 600.0, NOON_MS)
    tidy_evidence(folder, keep, kept, guard, later)
    assert left(folder) == [5, 6, 7, 8], "from before it was set aside, and no older than allowed"
    aside.unlink()
    tidy_evidence(folder, keep, kept, guard, later)
    assert left(folder) == []


def test_the_picture_of_a_new_alert_is_waited_for_and_no_other(folder, monkeypatch):
    def stored(kind: EventKind, number: int, ago_s: float = 0) -> StoredEvent:
        at = datetime.fromtimestamp(time.time() - ago_s).astimezone().isoformat()
        return StoredEvent(1, key_of(number), Event(kind, "gate", 1, Verdict.NONE, 0.0, at=at))

    assert folder.wait_for(stored(EventKind.MASK_OK, 3)) == folder.snapshot(key_of(3))
    start_s = time.monotonic()
    for one in (stored(EventKind.MASK_OK, 20), stored(EventKind.CAMERA_BLIND, 20)):
        assert folder.wait_for(one) is None
    assert folder.wait_for(stored(EventKind.MASK_MISSING, 20, ago_s=60)) is None
    assert time.monotonic() - start_s < 2
    threading.Timer(0.05, folder.save_snapshot, [key_of(21), b"jpeg"]).start()
    assert folder.wait_for(stored(EventKind.MASK_MISSING, 21)) == folder.snapshot(key_of(21))
