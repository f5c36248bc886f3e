"""Ordinary files that users name are replaced; devices, pipes and links stay what they are."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gatecam.errors import OutputError
from gatecam.notify.jsonl import JsonLinesSink
from gatecam.pictures.draw import save_image
from gatecam.pictures.html import Page
from gatecam.pictures.video import VideoWriter
from gatecam.runtime.files import Replacement, open_stream, replacing, write_output, write_table
from gatecam.types import Event, EventKind, Verdict

PICTURE = np.zeros((16, 16, 3), np.uint8)


def write_events(path: Path) -> None:
    sink = JsonLinesSink(path)
    sink.send(Event(EventKind.MASK_OK, "gate", 1, Verdict.CORRECT, 1.0))
    sink.close()


def write_video(path: Path) -> None:
    with VideoWriter(path, 10) as writer:
        writer.write(PICTURE, 0)


def write_twice(path: Path) -> None:
    with replacing(path) as part:
        part.write_text("half")
        part.write_text("whole")


STREAMS = [
    pytest.param(lambda path: write_output(path, "text"), "name", id="text"),
    pytest.param(lambda path: write_table(path, [("a", 1)]), "name.csv", id="table"),
    pytest.param(lambda path: Page("title").write(path), "name.html", id="page"),
    pytest.param(lambda path: save_image(path, PICTURE), "name.png", id="picture"),
    pytest.param(write_events, "name.jsonl", id="events"),
]
FILES = [pytest.param(write_twice, "name", id="file"), pytest.param(write_video, "name.mkv", id="video")]


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(("write", "name"), [*STREAMS, *FILES])
def test_a_link_stays_and_its_target_is_written(tmp_path, write, name):
    (tmp_path / "www").mkdir()
    target = tmp_path / "www" / name
    link = tmp_path / name
    link.symlink_to(Path("www") / name)
    for _ in range(2):  # first the target is missing, then it is there
        write(link)
        assert link.is_symlink()
        assert target.is_file()
        assert target.stat().st_size > 0
    assert sorted(os.listdir(tmp_path)) == sorted([name, "www"])
    assert os.listdir(tmp_path / "www") == [name]


@pytest.mark.parametrize(("write", "name"), STREAMS)
def test_a_pipe_is_written_to(pipe, write, name):
    link = pipe.with_name(name)
    link.symlink_to(pipe)  # gives the pipe the name that this kind of output needs
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(link)  # less than a pipe holds
        assert os.read(reader, 1_000_000)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(("write", "name"), STREAMS)
def test_a_pipe_that_nobody_reads_is_refused_at_once(pipe, write, name):
    link = pipe.with_name(name)
    link.symlink_to(pipe)
    with pytest.raises(OutputError, match="nobody reads from this pipe; start its reader first"):
        write(link)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(("write", "name"), STREAMS)
def test_a_device_is_written_to(tmp_path, write, name):
    device = tmp_path / name
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # a null device of the test's own
    except PermissionError:
        pytest.skip("only root makes devices")
    write(device)
    assert stat.S_ISCHR(device.stat().st_mode)


@pytest.mark.parametrize(("write", "name"), FILES)
def test_what_must_be_an_ordinary_file_refuses_a_pipe(pipe, write, name):
    link = pipe.with_name(name)
    link.symlink_to(pipe)
    with pytest.raises(OutputError, match="is a device or a pipe; give the name of an ordinary file"):
        write(link)
    assert sorted(os.listdir(pipe.parent)) == sorted([name, "pipe"])


@pytest.mark.parametrize(("write", "name"), [*STREAMS, *FILES])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a folder; give the name of a file"),
        (lambda path: path.symlink_to(path.parent), "is a folder; give the name of a file"),
        (lambda path: path.symlink_to("none/there"), r"cannot be written \(No such file or directory\)"),
        (lambda path: path.symlink_to(path.name), r"cannot be written \(Too many levels of symbolic links\)"),
    ],
    ids=["folder", "link to a folder", "link into no folder", "link to itself"],
)
def test_what_cannot_be_written_is_told_in_a_sentence(tmp_path, write, name, make, said):
    make(tmp_path / name)
    with pytest.raises(OutputError, match=said):
        write(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_a_full_device_is_told_in_a_sentence():
    with pytest.raises(OutputError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        write_output(Path("/dev/full"), "text")  # it is written to, as anything may; only its name is read


def test_a_socket_is_refused(tmp_path):
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    with pytest.raises(OutputError, match="is a disk or a socket; give the name of a file"):
        write_output(tmp_path / "socket", "text")


def test_an_ordinary_file_is_replaced_and_keeps_its_mode(tmp_path):
    path, other = tmp_path / "page.html", tmp_path / "snapshot.html"
    path.write_text("old")
    path.chmod(0o604)
    os.link(path, other)
    write_output(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o604)
    assert other.read_text() == "old"


@pytest.mark.parametrize(("user", "kept"), [(0, os.getuid()), (1000, -1)])
def test_a_replaced_file_keeps_its_group_and_for_root_its_owner(tmp_path, monkeypatch, user, kept):
    path, given = tmp_path / "config.yaml", []
    path.write_text("old")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "chown", lambda part, *ids: given.append((part.parent, *ids)))
    write_output(path, "new")
    assert given == [(tmp_path, kept, path.stat().st_gid)]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "weights"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path) as part:
        part.rename(tmp_path / "none" / "half")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["weights"]


def test_a_file_that_waits_under_the_new_ones_name_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("gatecam.runtime.files.secrets.token_hex", lambda size: "known")
    (tmp_path / ".page-known.html").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match=r"cannot be written \(File exists\)"):
        Replacement(tmp_path / "page.html")
    assert not (tmp_path / "victim").exists()


def test_the_programs_own_output_goes_on_where_it_stands(tmp_path):
    code = (
        "import sys; from pathlib import Path; from gatecam.runtime.files import open_stream, write_output\n"
        "print('first'); write_output(Path(sys.argv[1]), 'second\\n'); print('third')\n"
        "with open_stream(Path(sys.argv[1])) as file: file.write('fourth\\n')\n"
    )
    for name in ("/dev/stdout", "out.txt"):
        with (tmp_path / "out.txt").open("wb") as out:
            command = [sys.executable, "-c", code, name]
            subprocess.run(command, stdout=out, check=True, cwd=tmp_path, timeout=30)
        assert (tmp_path / "out.txt").read_text() == "first\nsecond\nthird\nfourth\n"


def test_a_stream_empties_the_file_that_it_writes(tmp_path):
    (tmp_path / "events").write_text("old and long")
    with open_stream(tmp_path / "events") as file:
        file.write("new")
    assert (tmp_path / "events").read_text() == "new"


def test_a_stream_names_the_file_whose_disk_is_full():
    stream = open_stream(Path("/dev/full"))
    stream.write("x")
    with pytest.raises(OSError, match="No space left") as told:
        stream.close()
    assert told.value.filename == "/dev/full"
