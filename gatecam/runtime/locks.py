"""Lock cameras, event logs and folders, so that two gatecams never use one at the same time.

The lock of a killed program is free at once.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatecam.errors import CameraError
from gatecam.runtime.folders import open_lock, runtime_folder

POLL_S = 0.05

log = logging.getLogger(__name__)


def lock_open_file(fd: int) -> str | None:
    """Lock an open file for this program. Return None if that worked, else who holds the lock.

    The lock (`flock`) belongs to the open file. It ends when the file is closed or the program ends, however
    that happens. On a file system without locks, every program gets the lock.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = lock_holder(os.fstat(fd))
        return "another gatecam" if pid is None else f"another gatecam (process {pid})"
    except OSError as error:
        log.warning("There are no locks here (%s): take care that no other gatecam runs.", error.strerror)
    return None


class Turn:
    """Decides which program does a job that only one may do at a time, such as delivering a store's events.

    The turn ends with the program that has it, however that program ends.
    """

    def __init__(self, path: Path) -> None:
        """Keep the path of the lock file, which is created when it is first needed."""
        self._path = path
        self._asking = threading.Lock()
        self._fd: int | None = None

    def is_ours(self) -> bool:
        """Take the turn if it is free, and return whether this program has it. Never waits."""
        with self._asking:
            if self._fd is None:
                fd = open_lock(self._path)
                if lock_open_file(fd) is None:
                    self._fd = fd
                else:
                    os.close(fd)
            return self._fd is not None

    def end(self) -> None:
        """Release the turn for another program."""
        with self._asking:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


@contextmanager
def folder_lock(folder: Path, patience_s: float = 30.0) -> Iterator[None]:
    """Lock a folder while the block runs, so that only one program creates or renames files in it.

    The folder itself is locked, so no lock file remains. On a file system without locks, the block just runs.

    Raises:
        TimeoutError: another program has held the folder for `patience_s`.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end_s = time.monotonic() + patience_s
        while lock_open_file(fd) is not None:
            if time.monotonic() > end_s:
                raise TimeoutError(errno.ETIMEDOUT, "another gatecam holds the folder", str(folder))
            time.sleep(POLL_S)
        yield
    finally:
        os.close(fd)


@contextmanager
def camera_lock(name: str, source: str, folder: Path | None = None) -> Iterator[None]:
    """Lock a camera for this program while the block runs.

    The lock files are in `folder`, by default the runtime folder. If the folder cannot be used, for example
    because the disk is full, that is logged and the block runs without the lock.

    Raises:
        CameraError: another gatecam uses the camera.
    """
    key = hashlib.sha256(camera_identity(source).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    fd = None
    try:
        path = (folder or runtime_folder()) / f"camera-{key}.lock"
        fd = open_lock(path)
    except OSError as error:
        log.warning("Camera %s has no lock (%s): take care that no other gatecam uses it.", name, error)
    try:
        if fd is not None and (holder := lock_open_file(fd)) is not None:
            raise CameraError(
                f"camera {name} is used by {holder}: end that program first, or choose another camera."
            )
        yield
    finally:
        if fd is not None:
            os.close(fd)


def camera_identity(source: str, system: Path = Path("/")) -> str:
    """Return what all names of a camera share: its link in /dev/v4l/by-id, its device, or its address.

    The link comes first because it stays the same when a camera is connected again under another number.
    """
    if source.isdecimal():
        source = f"/dev/video{int(source)}"
    if not source.startswith("/"):
        return source
    links = system / "dev/v4l/by-id"
    device = Path(os.path.realpath(system / source.lstrip("/")))
    same = sorted(link.name for link in links.glob("*") if Path(os.path.realpath(link)) == device)
    if same:
        return f"/dev/v4l/by-id/{same[0]}"
    return source if source.startswith("/dev/v4l/by-id/") else f"/{device.relative_to(system.resolve())}"


def lock_holder(file: os.stat_result, kind: str = "FLOCK", table: Path = Path("/proc/locks")) -> int | None:
    """Return the process that Linux lists as holding a write lock on a file, or None if unknown.

    A line looks like `1: FLOCK  ADVISORY  WRITE 4711 08:02:1234 0 EOF`, with the process, the device and the
    inode of the file (proc_locks(5)). Stacked file systems list another device there, so the inode alone must
    do for them. SQLite's locks are of the kind POSIX.
    """
    try:
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    inode = str(file.st_ino)
    pids = {
        row[5].rpartition(":")[0]: int(row[4])
        for row in rows
        if len(row) >= 6 and row[1] == kind and row[3] == "WRITE" and row[5].rpartition(":")[2] == inode
    }
    device = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}"
    return pids.get(device, next(iter(pids.values()), None))
