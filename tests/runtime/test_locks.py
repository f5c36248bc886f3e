"""One gatecam for one camera: by whatever name it is called, and for as long as the program lives."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys

import pytest

from gatecam.errors import CameraError
from gatecam.runtime import locks
from gatecam.runtime.locks import Turn, camera_identity, camera_lock, lock_open_file

URL = "rtsp://admin:secret@10.0.0.5/live"
HOLD = (
    "import sys, signal; from pathlib import Path; from gatecam.runtime.locks import camera_lock\n"
    "with camera_lock('gate', sys.argv[1], Path(sys.argv[2])):\n"
    "    print('held', flush=True); signal.pause()"
)


def test_a_second_program_is_told_the_process_of_the_first_until_that_is_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, URL, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    said = rf"^camera door is used by another gatecam \(process {holder.pid}\): end that program first, or"
    with pytest.raises(CameraError, match=said) as refused, camera_lock("door", URL, tmp_path):
        pytest.fail("held twice")
    assert "secret" not in str(refused.value)
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=30)
    with camera_lock("door", URL, tmp_path):
        pass


def test_a_lock_ends_with_its_block_however_that_ends(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), camera_lock("gate", URL, tmp_path):
            raise ValueError("broken")


def test_a_child_of_a_killed_program_does_not_keep_its_lock(tmp_path):
    code = HOLD.replace(
        "print('held'", "import subprocess; child = subprocess.Popen(['sleep', '60']); print(child.pid"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, URL, tmp_path], stdout=subprocess.PIPE, text=True)
    child = int(holder.stdout.readline())
    try:
        holder.kill()
        holder.wait(30)
        with camera_lock("gate", URL, tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        holder.stdout.close()


def test_a_lock_that_others_could_hold_is_closed_to_them(tmp_path):
    with camera_lock("gate", URL, tmp_path):
        (lock,) = tmp_path.iterdir()
    lock.chmod(0o666)
    turn = Turn(lock)
    assert turn.is_ours()
    turn.end()
    assert lock.stat().st_mode & 0o777 == 0o600


def test_unlike_cameras_do_not_meet(tmp_path):
    with (
        camera_lock("a", URL, tmp_path),
        camera_lock("b", URL + "2", tmp_path),
        camera_lock("c", "0", tmp_path),
        camera_lock("d", "1", tmp_path),
    ):
        assert len(list(tmp_path.iterdir())) == 4


@pytest.fixture
def system(tmp_path):
    """A machine with two cameras, of which the first has two names, and one camera is unplugged."""
    links = tmp_path / "dev/v4l/by-id"
    links.mkdir(parents=True)
    for number in (0, 2):
        (tmp_path / f"dev/video{number}").touch()
    (links / "usb-Logi_123-video-index0").symlink_to("../../video0")
    (links / "usb-Gone_9-video-index0").symlink_to("../../video7")
    (tmp_path / "dev/door").symlink_to("video0")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "identity"),
    [
        ("0", "/dev/v4l/by-id/usb-Logi_123-video-index0"),
        ("/dev/video0", "/dev/v4l/by-id/usb-Logi_123-video-index0"),
        ("/dev/door", "/dev/v4l/by-id/usb-Logi_123-video-index0"),
        ("/dev/v4l/by-id/usb-Logi_123-video-index0", "/dev/v4l/by-id/usb-Logi_123-video-index0"),
        ("/dev/v4l/by-id/usb-Gone_9-video-index0", "/dev/v4l/by-id/usb-Gone_9-video-index0"),
        ("/dev/v4l/by-id/usb-Never_1-video-index0", "/dev/v4l/by-id/usb-Never_1-video-index0"),
        ("02", "/dev/video2"),
        ("/dev/video2", "/dev/video2"),
        ("5", "/dev/video5"),
        (URL, URL),
    ],
)
def test_all_names_of_a_camera_are_one(system, source, identity):
    assert camera_identity(source, system) == identity


def test_a_replug_under_another_number_is_the_same_camera(system):
    link = system / "dev/v4l/by-id/usb-Logi_123-video-index0"
    before = camera_identity("0", system)
    link.unlink()
    (system / "dev/video4").touch()
    link.symlink_to("../../video4")
    assert camera_identity("4", system) == before
    assert camera_identity("0", system) == "/dev/video0"


def test_without_a_folder_for_locks_that_is_said_and_the_camera_is_used(tmp_path, caplog):
    with caplog.at_level(logging.WARNING), camera_lock("gate", URL, tmp_path / "missing"):
        pass
    assert re.search(r"Camera gate has no lock \(.*No such file", caplog.text)


def test_a_file_system_without_locks_says_so_and_goes_on(tmp_path, caplog, monkeypatch):
    import fcntl

    def unsupported(fd, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with caplog.at_level(logging.WARNING), (tmp_path / "file").open("w") as stream:
        assert lock_open_file(stream.fileno()) is None
    assert "There are no locks here (Operation not supported)" in caplog.text


def test_a_holder_that_the_system_does_not_list_is_told_without_its_process(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "lock_holder", lambda file: None)
    with (
        camera_lock("gate", URL, tmp_path),
        pytest.raises(CameraError, match="is used by another gatecam: end"),
        camera_lock("gate", URL, tmp_path),
    ):
        pytest.fail("held twice")


def test_the_holder_is_read_from_the_list_of_locks(tmp_path):
    file = (tmp_path / "file").open("w")
    status = os.fstat(file.fileno())
    file.close()
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    table = tmp_path / "locks"
    other = f"1: FLOCK  ADVISORY  WRITE 11 99:99:{status.st_ino} 0 EOF\n"
    table.write_text(
        f"{other}2: POSIX  ADVISORY  WRITE 12 {device}:{status.st_ino} 0 EOF\n"
        f"3: FLOCK  ADVISORY  WRITE 13 {device}:{status.st_ino} 0 EOF\n"
        f"3: -> FLOCK  ADVISORY  WRITE 14 {device}:{status.st_ino} 0 EOF\n"
        f"4: FLOCK  ADVISORY  WRITE 15 {device}:1{status.st_ino} 0 EOF\n"
    )
    assert locks.lock_holder(status, table=table) == 13
    table.write_text(other)
    assert locks.lock_holder(status, table=table) == 11
    table.write_text("")
    assert locks.lock_holder(status, table=table) is None
    assert locks.lock_holder(status, table=tmp_path / "missing") is None
