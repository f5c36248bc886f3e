"""Find and protect gatecam's own folders.

The runtime folder holds sockets, locks and the times of starts, as long as the program runs. The state folder
holds the store, tokens and sessions, for good. Only their user can write to them. Their files have mode 600.
"""

from __future__ import annotations

import errno
import grp
import logging
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from gatecam.errors import OutputError

SERVICE_FOLDER = Path("/run/gatecam")  # created by systemd for the unit's RuntimeDirectory=gatecam
SERVICE_STATE = Path("/var/lib/gatecam")  # the unit's StateDirectory=gatecam, or the volume of a container
SERVICE_CONFIG = Path("/etc/gatecam/config.yaml")
STORE = "events.sqlite3"  # name of the store in a data folder
NO_LINK = os.O_NOFOLLOW
NO_WAIT = os.O_NONBLOCK  # a pipe in place of a file must not block the program

log = logging.getLogger(__name__)


def runtime_folder(env: Mapping[str, str] | None = None) -> Path:
    """Return a folder with mode 700 that belongs to this user alone. Create it if needed.

    Three places are tried: systemd's `RUNTIME_DIRECTORY`, `gatecam` in `XDG_RUNTIME_DIR`, and
    `gatecam-<user id>` in the folder for temporary files.

    Raises:
        OSError: none can be created, or other users can write to each of them.
    """
    problem = OSError("no folder for sockets and locks")
    for folder in _candidates(os.environ if env is None else env):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _make_private(folder)
        except OSError as error:
            problem = error
        else:
            return folder
    raise problem


def state_folder(env: Mapping[str, str] | None = None) -> Path:
    """Return the folder of gatecam's own data, which may not exist yet.

    This is systemd's `STATE_DIRECTORY`, else `gatecam` in `XDG_DATA_HOME` or in `~/.local/share`.

    Raises:
        OutputError: the variables name no folder, and this user has no home.
    """
    env = os.environ if env is None else env
    if given := env.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(given)
    if data := env.get("XDG_DATA_HOME"):
        return Path(data) / "gatecam"
    home = os.path.expanduser("~")
    if home == "~":  # a container may run as a user id that has no name
        raise OutputError(
            "This user has no home for gatecam's data: set STATE_DIRECTORY to a folder for them."
        )
    return Path(home) / ".local" / "share" / "gatecam"


def own_folder(folder: Path) -> None:
    """Create a folder for gatecam's own data, or check that no other user can change its files.

    Like sshd for `~/.ssh`, this checks the folder and every folder above it. Each must belong to this user
    or to root, and no other user may write to it. Folders above it may be like `/tmp`, where users cannot
    replace each other's files.

    Raises:
        OutputError: other users can write to the folder, or it belongs to another user.
        OSError: the folder cannot be created or checked.
    """
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    if (danger := _danger(folder)) is not None:
        raise OutputError(danger)


def create_own(path: Path) -> None:
    """Create an empty file with mode 600 for gatecam's own data.

    Raises:
        FileExistsError: the path exists, even as a link.
        OSError: the file cannot be created.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINK, 0o600))
    _give_to_owner(path)


def close_to_others(path: Path) -> bool:
    """Set a file's mode to 600, and return whether other users could read or write it before.

    Nothing happens if there is no ordinary file. A file system without modes is reported in the log.

    Raises:
        OSError: the path is a link, which could point to any file of the system.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "is a link, which is not followed here: delete it", str(path))
    if not stat.S_ISREG(mode) or not mode & 0o077:
        return False
    try:
        path.chmod(0o600)
    except OSError as error:
        log.warning("%s: other users can read it, and its mode cannot be changed (%s).", path, error.strerror)
    return True


def read_own(path: Path, most_bytes: int) -> bytes:
    """Return up to `most_bytes` bytes from the start of one of gatecam's own files.

    Raises:
        OSError: the path is a link or no ordinary file, does not exist, or cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | NO_LINK | NO_WAIT)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "is no ordinary file", str(path))
        return file.read(most_bytes)


def replace_own(path: Path, content: bytes) -> None:
    """Write a file with mode 600 as a whole. After a power cut it holds the old or the new content.

    Raises:
        OSError: the file cannot be written.
    """
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # O_EXCL | O_NOFOLLOW, mode 600
    part = Path(name)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        _give_to_owner(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def open_lock(path: Path) -> int:
    """Open a file that only serves as a lock. Create it if needed.

    Raises:
        OSError: the path is a link, or cannot be opened.
    """
    close_to_others(path)  # anyone who can read the file could hold the lock for ever
    return os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK | NO_WAIT, 0o600)


def readable_folders(env: Mapping[str, str] | None = None) -> list[Path]:
    """Return the folders where this user's programs (for root also the service) may have put sockets."""
    found = dict.fromkeys([*_candidates(os.environ if env is None else env), SERVICE_FOLDER])
    return [folder for folder in found if _trusted(folder)]


def is_service_readable() -> bool:
    """Return whether this machine has a service's data and this user is root or the service's user.

    A `STATE_DIRECTORY` that names another folder takes precedence.
    """
    if os.environ.get("STATE_DIRECTORY", os.fspath(SERVICE_STATE)) != os.fspath(SERVICE_STATE):
        return False
    return os.path.isdir(SERVICE_STATE) and os.getuid() in (0, SERVICE_STATE.stat().st_uid)


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    if given := env.get("RUNTIME_DIRECTORY", "").split(":")[0]:
        yield Path(given)
    if session := env.get("XDG_RUNTIME_DIR"):
        yield Path(session) / "gatecam"
    yield Path(tempfile.gettempdir()) / f"gatecam-{os.getuid()}"


def _make_private(folder: Path) -> None:
    status = folder.lstat()  # lstat: a link in /tmp may be another user's trap
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "is not this user's own folder", str(folder))
    if (danger := _danger(folder)) is not None:
        raise PermissionError(errno.EPERM, danger)
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "cannot be written", str(folder))


def _danger(folder: Path) -> str | None:
    """Return which other user can change a folder's files and what to do about it, or None."""
    user, own = os.getuid(), folder.stat()
    # root also handles the folders of others, such as the service's.
    trusted = {0, user, own.st_uid} if user == 0 else {0, user}
    if own.st_uid not in trusted:
        return (
            f"{folder}: belongs to {_user(own.st_uid)}, and gatecam runs as {_user(user)}: run it as that "
            f"user, or give the folder to this one with `chown -R {user} {folder}` (a container's volume: on "
            "its host)."
        )
    if _others_write(own, user):
        return (
            f"{folder}: other users can write to it (mode {stat.S_IMODE(own.st_mode):o}), so what lies there "
            f"may be theirs: look through it, then close it with `chmod go-w {folder}`."
        )
    trusted.add(own.st_uid)
    named = folder.absolute()
    for above in dict.fromkeys([*named.parents, *folder.resolve().parents]):
        status = above.stat()
        if status.st_uid not in trusted:
            return (
                f"{above}: belongs to {_user(status.st_uid)}, who could replace {folder}: give it to root "
                f"with `chown root {above}`, or choose another place."
            )
        if not status.st_mode & stat.S_ISVTX and _others_write(status, user, above=True):
            return (
                f"{above}: other users can write to it (mode {stat.S_IMODE(status.st_mode):o}) and so "
                f"replace {folder}: close it with `chmod go-w {above}`, or choose another place."
            )
    for link in (named, *named.parents):
        if link.is_symlink() and (owner := link.lstat().st_uid) not in trusted:
            return f"{link}: is a link that {_user(owner)} made: delete it, or choose another place."
    return None


def _others_write(status: os.stat_result, user: int, above: bool = False) -> bool:
    """Return whether a user other than a folder's owner, this user and root can write to it.

    Debian and Fedora give each user a group of the same name that can write to the user's folders. Folders
    of root such as /var/log have groups of the system, which are trusted as root is.
    """
    if status.st_mode & stat.S_IWOTH:
        return True
    if not status.st_mode & stat.S_IWGRP or (above and status.st_uid == 0):
        return False
    for one in {status.st_uid, user}:
        with suppress(KeyError):
            name, group = pwd.getpwuid(one).pw_name, grp.getgrgid(status.st_gid)
            if group.gr_name == name and set(group.gr_mem) <= {name}:
                return False
    return True


def _user(number: int) -> str:
    """Return a user's number, with the name if there is one."""
    try:
        return f"user {number} ({pwd.getpwuid(number).pw_name})"
    except KeyError:
        return f"user {number}"


def _give_to_owner(path: Path) -> None:
    """Give a file that root made to the owner of its folder, whose program could not read it otherwise."""
    if os.getuid() == 0 and (owner := path.parent.stat()).st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _trusted(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    ours = status.st_uid == os.getuid() or (os.getuid() == 0 and folder == SERVICE_FOLDER)
    return ours and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
