"""Floor 0: the folders for what lives as long as the program, and for what outlives it.

The first holds sockets, locks and the times of its starts, the second the store.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

SERVICE_FOLDER = Path("/run/gatecam")  # what systemd makes for the unit's RuntimeDirectory=gatecam


def runtime_folder(env: Mapping[str, str] | None = None) -> Path:
    """A folder of mode 700 that is this user's alone, made if need be.

    The first that will do of: systemd's `RUNTIME_DIRECTORY`, `gatecam` in `XDG_RUNTIME_DIR`, and
    `gatecam-<user id>` in the folder for temporary files. `env` is the environment, the process's by default.

    Raises:
        OSError: none can be made or is this user's.
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
    """Where gatecam keeps its own data, which may not be there yet.

    systemd's `STATE_DIRECTORY`, else `gatecam` in `XDG_DATA_HOME`, else in `~/.local/share`. `env` is the
    environment, the process's by default.
    """
    env = os.environ if env is None else env
    if given := env.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(given)
    data = env.get("XDG_DATA_HOME") or Path(os.path.expanduser("~")) / ".local" / "share"
    return Path(data) / "gatecam"


def readable_folders(env: Mapping[str, str] | None = None) -> list[Path]:
    """The folders in which programs of this user, and for root the service's, may have left sockets."""
    found = dict.fromkeys([*_candidates(os.environ if env is None else env), SERVICE_FOLDER])
    return [folder for folder in found if _trusted(folder)]


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    if given := env.get("RUNTIME_DIRECTORY", "").split(":")[0]:
        yield Path(given)
    if session := env.get("XDG_RUNTIME_DIR"):
        yield Path(session) / "gatecam"
    user = str(os.getuid()) if sys.platform != "win32" else env.get("USERNAME", "user")
    yield Path(tempfile.gettempdir()) / f"gatecam-{user}"


def _make_private(folder: Path) -> None:
    status = folder.lstat()  # a link in /tmp is another user's trap
    if sys.platform == "win32":
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(1, "is not this user's own folder", str(folder))
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "cannot be written", str(folder))


def _trusted(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    if sys.platform == "win32":
        return True
    ours = status.st_uid == os.getuid() or (os.getuid() == 0 and folder == SERVICE_FOLDER)
    return ours and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
