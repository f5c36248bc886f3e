"""One gatecam for one camera and one event log; the lock of a killed program is free at once."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import sys
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
    """Lock an open file for this program, or tell in words who has it; None when it is ours.

    The lock (`flock`) belongs to the open file: it ends when the file is closed, and with the program
    in whatever way that ends. Where a file system has no locks, the file counts as ours.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = lock_holder(os.fstat(fd))
        return "another gatecam" if pid is None else f"another gatecam (process {pid})"
    except OSError as error:
        log.warning("There are no locks here (%s): take care that no other gatecam runs.", error.strerror)
    return None


class Turn:
    """What one program at a time does, such as delivering a store's events; the others wait their turn.

    The turn ends with the program that has it, in whatever way that ends.
    """

    def __init__(self, path: Path) -> None:
        """`path` is a file of this turn's own, made if need be."""
        self._path = path
        self._asking = threading.Lock()
        self._fd: int | None = None

    def is_ours(self) -> bool:
        """Whether this program has the turn, from now on or since before; never waits."""
        with self._asking:
            if self._fd is None:
                fd = open_lock(self._path)
                if lock_open_file(fd) is None:
                    self._fd = fd
                else:
                    os.close(fd)
            return self._fd is not None

    def end(self) -> None:
        """Let another program have it."""
        with self._asking:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


@contextmanager
def folder_lock(folder: Path, patience_s: float = 30.0) -> Iterator[None]:
    """Hold a folder while the block runs, so that one program at a time creates or renames files in it.

    The lock is on the folder itself and leaves no file behind. Where there are no locks, the block just runs.

    Raises:
        TimeoutError: another program has held the folder for `patience_s`.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end_s = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end_s:
                    raise TimeoutError(
                        errno.ETIMEDOUT, "another gatecam holds the folder", str(folder)
                    ) from None
                time.sleep(POLL_S)
            except OSError as error:
                log.warning("There are no locks here (%s): let one gatecam alone use it.", error.strerror)
                break
            else:
                break
        yield
    finally:
        os.close(fd)


@contextmanager
def camera_lock(name: str, source: str, folder: Path | None = None) -> Iterator[None]:
    """Hold a camera for this program while the block runs.

    Args:
        name: the camera's name, for the message.
        source: its index, device or address.
        folder: where locks lie; None takes the runtime folder. When it cannot be used, for example because
            the disk is full, that is logged and the block runs without the lock.

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
                f"camera {name} is used by {holder}: end that one first, or choose another camera."
            )
        yield
    finally:
        if fd is not None:
            os.close(fd)


def camera_identity(source: str, system: Path = Path("/")) -> str:
    """What all names of one camera have in common: its link under /dev/v4l/by-id, its device, or its address.

    The link comes first because it stays the camera's when a replug gives it another number.
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
    """Return the process that Linux lists as the holder of a writing lock on a file; None where not known.

    A line is `1: FLOCK  ADVISORY  WRITE 4711 08:02:1234 0 EOF`: process, device and inode of the file
    (proc_locks(5)). Stacked file systems tell another device there, so that the inode has to do for them.
    SQLite's locks are of the kind POSIX.
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
