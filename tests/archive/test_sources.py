"""Which recordings an archive has, which camera made them, and when."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import av
import pytest

from gatecam.archive import sources
from gatecam.archive.sources import find_sources
from gatecam.errors import SourceError
from tests.archive.conftest import write_recording

EIGHT = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "camera", "started"),
    [
        ("north/20261124_080000.mp4", "north", EIGHT),
        ("north/2026-11-24T08-00-00.mp4", "north", EIGHT),
        ("north/2026-11-24 08.00.mp4", "north", EIGHT),
        ("gate-2_20261124080000_main.mp4", "gate-2", EIGHT),
        ("20261124_080000Z.mp4", "nas", EIGHT.replace(hour=8)),
        ("gate 20269999_080000.mp4", "gate 20269999_080000", None),
        ("holiday.mp4", "holiday", None),
        ("정문_20261124_080000.mp4", "정문", EIGHT),
        (unicodedata.normalize("NFD", "정문_20261124_080000.mp4"), "정문", EIGHT),
        ("north/2026-11-24/20261124_080000.mp4", "north", EIGHT),
        ("north/2026_1124/20261124_080000.mp4", "2026_1124", EIGHT),
    ],
)
def test_a_name_tells_the_camera_and_the_start(tmp_path, name, camera, started):
    path = tmp_path / "nas" / name
    path.parent.mkdir(parents=True)
    path.touch()
    (found,) = find_sources([str(path)], None, UTC)
    assert (found.camera, found.started) == (camera, started)


def test_the_zone_of_names_and_the_camera_can_be_told(tmp_path):
    (tmp_path / "20261124_170000.mp4").touch()
    (found,) = find_sources([str(tmp_path)], "gate", ZoneInfo("Asia/Seoul"))
    assert (found.camera, found.started) == ("gate", EIGHT)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_folders_patterns_and_lists_give_each_recording_once(tmp_path, encoding):
    for name in ("a/1.mp4", "a/b/2.MKV", "a/notes.md", "3.ts"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("\ufeffa/b\n# what to analyze\n\n*.ts\n", encoding)
    given = [str(tmp_path / one) for one in ("a", "a/*.mp4", "list.txt")]
    assert [one.path.name for one in find_sources(given, None, None)] == ["3.ts", "1.mp4", "2.MKV"]


def test_what_a_list_names_and_is_gone_is_left_out_and_told(tmp_path, caplog):
    (tmp_path / "1.mp4").touch()
    (tmp_path / "list.txt").write_text("1.mp4\n2.mp4\nmay/*.mp4\n")
    assert [one.path.name for one in find_sources([str(tmp_path / "list.txt")], None, None)] == ["1.mp4"]
    assert caplog.messages == [
        f"left out, because they do not exist or may not be read: 2 ({tmp_path}/2.mp4, {tmp_path}/may/*.mp4)."
    ]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("*", ["a.mp4", "b.mkv"]),
        ("*.mp4", ["a.mp4"]),
        ("*.dvr", ["c.dvr"]),
        ("*.txt", ["a.mp4", "c.dvr"]),
        (".", ["a.mp4", "b.mkv"]),
    ],
)
def test_a_pattern_or_folder_gives_recordings_and_nothing_else(tmp_path, monkeypatch, caplog, given, found):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snapshot").mkdir()
    for name in ("a.mp4", "b.mkv", "c.dvr", "d.jpg", "._a.mp4", "._c.dvr", "._b.txt", ".snapshot/a.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "some.txt").write_text("a.mp4\r\nc.dvr\r\n")
    (tmp_path / "gone.mp4").symlink_to("nowhere")
    assert [one.path.name for one in find_sources([given], None, None)] == found
    told = "gone.mp4" if found != ["c.dvr"] and given != "*.txt" else None
    assert [message.partition("(")[2] for message in caplog.messages] == ([f"{told})."] if told else [])


def test_a_list_names_files_beside_it_however_the_folder_and_letters_are_written(tmp_path, caplog):
    folder = tmp_path / "[old] 2026"
    folder.mkdir()
    for name in (
        "1.mp4",
        unicodedata.normalize("NFD", "정문.mp4"),
        unicodedata.normalize("NFD", "마당 1.ts"),
    ):
        (folder / name).touch()
    (folder / "list.txt").write_text(
        "1*.mp4\n정문.mp4\n마당*.ts\n" + 300 * "a line of a text that is no list "
    )
    found = find_sources([str(folder / "list.txt")], None, None)
    assert [one.camera for one in found] == ["1", "마당 1", "정문"]
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("given", ["gone.mp4", "gon*.mp4"])
def test_a_link_to_nothing_is_one_sentence(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone.mp4").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"(no recording was found|there is no such file)"):
        find_sources([given], None, None)


def test_linked_folders_are_searched_once_and_one_that_may_not_be_read_is_told(tmp_path, caplog, monkeypatch):
    disk, nas, scandir = tmp_path / "disk", tmp_path / "nas", os.scandir
    for folder in (disk / "closed", nas):
        folder.mkdir(parents=True)
    (disk / "1.mp4").touch()
    (nas / "north").symlink_to(disk)
    (nas / "south").symlink_to(disk)
    (disk / "up").symlink_to(nas)

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [one.path for one in find_sources([str(nas)], None, None)] == [disk / "1.mp4"]
    (told,) = caplog.messages
    assert re.fullmatch(r"left out, because they do not exist or may not be read: 1 \(.*/closed\)\.", told)


def test_a_list_that_names_itself_is_one_sentence(tmp_path):
    (tmp_path / "a.txt").write_text("b.txt\n")
    (tmp_path / "b.txt").write_text("a.txt\n")
    with pytest.raises(SourceError, match=r"a\.txt: the list names itself; remove that line\."):
        find_sources([str(tmp_path / "a.txt")], None, None)


@pytest.mark.parametrize("given", [[], ["missing.mp4"], ["*.mkv"], ["."]])
def test_no_recording_is_one_sentence(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"(no recording was found|there is no such file)"):
        find_sources(given, None, None)


def test_a_recording_that_is_deleted_while_others_are_found_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "here.mp4").touch()
    names = [tmp_path / "gone.mp4", tmp_path / "here.mp4"]
    monkeypatch.setattr(sources, "_paths", lambda text, missing: names)
    assert [one.path.name for one in find_sources([str(tmp_path)], None, None)] == ["here.mp4"]


def test_a_file_may_tell_its_start_itself(tmp_path):
    plain, stamped = write_recording(tmp_path / "plain.mkv", frames=8), tmp_path / "stamped.mkv"
    with av.open(str(plain)) as source, av.open(str(stamped), "w") as target:
        target.metadata["creation_time"] = "2026-11-24T08:00:00.123456Z"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert [one.started for one in find_sources([str(stamped), str(plain)], None, None)] == [
        None,
        EIGHT.replace(microsecond=123_000),  # as the tables keep it, so that it is the same in the next run
    ]
