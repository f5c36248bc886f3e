"""Find and erase the files about people that are kept beside the store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gatecam.errors import OutputError

ROTATED_END = r"([.-]\d+)*(\.(gz|xz|zst|bz2))?"  # how log rotation renames files
DAMAGED_END = r"\.damaged-\d+(-wal|-shm)?"  # how the store renames a damaged file


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Holds the path of an event log or of a damaged store that was set aside."""

    path: Path
    is_log: bool

    def erase(self) -> None:
        """Empty a log, to which a running gatecam may write, or delete a damaged store.

        Raises:
            OutputError: the file cannot be erased.
        """
        try:
            if self.is_log:
                with self.path.open("r+b") as file:
                    file.truncate(0)
            else:
                self.path.unlink()
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be erased ({error.strerror}): erase it as the user who owns it."
            ) from error


def kept_files(store: Path, log: str | None) -> list[KeptFile]:
    """Return the damaged stores that were set aside, and the event logs, including rotated ones."""
    found = [KeptFile(path, is_log=False) for path in _named(store, DAMAGED_END)]
    if log is not None:
        found += [KeptFile(path, is_log=True) for path in _named(Path(log), ROTATED_END)]
    return found


def set_aside_ms(store: Path) -> int:
    """Return when the newest damaged store was set aside, in ms since 1970, or 0 if there is none."""
    names = (one.name.removeprefix(f"{store.name}.damaged-") for one in _named(store, DAMAGED_END))
    return max((int(name.partition("-")[0]) for name in names), default=0)


def _named(path: Path, end: str) -> list[Path]:
    """Return the files beside a path whose names begin with its name and end as the pattern says."""
    wanted = re.compile(re.escape(path.name) + end)
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return sorted(
        one for one in beside if wanted.fullmatch(one.name) and one.is_file() and not one.is_symlink()
    )
