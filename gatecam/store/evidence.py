"""Keep the pictures and videos of alerts in a folder beside the store, named by the keys of their events.

They may be lost, events may not. So pictures are deleted first when the disk fills, and a picture is only
written while there is more space than the events need.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gatecam.errors import OutputError
from gatecam.runtime.folders import close_to_others, own_folder, replace_own
from gatecam.store.clock import SANE_MS
from gatecam.types import StoredEvent

NAME = re.compile(r"([0-9a-f]{32})\.(jpg|mp4)")
SPARE_BYTES = 200_000_000  # free space that is left to events
SHARE_LEFT = 0.9  # of the allowed size, to which all files together are reduced, so that this happens rarely
YOUNG_MS = 600_000  # a younger file may belong to an event that is not stored yet
WAIT_S, POLL_S = 3.0, 0.1  # a picture is written about a second after its event


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """Describes a picture or a video that is kept. `at_ms` is when it was written, in ms since 1970."""

    path: Path
    key: str
    size: int
    at_ms: int


class EvidenceFolder:
    """Holds one picture, and at most one video, of each event. Any thread may call any method."""

    def __init__(self, path: Path, free_bytes: Callable[[Path], int] | None = None) -> None:
        """Name the folder, which need not exist. `free_bytes` returns the free space of a folder's disk."""
        self.path = path
        self._free_bytes = free_bytes or (lambda folder: shutil.disk_usage(folder).free)

    def snapshot(self, key: str) -> Path:
        """Return the path of an event's picture, which may not exist."""
        return self.path / f"{key}.jpg"

    def clip(self, key: str) -> Path:
        """Return the path of an event's video, which may not exist."""
        return self.path / f"{key}.mp4"

    def wait_for(self, stored: StoredEvent) -> Path | None:
        """Return the path of an event's picture, or None. Wait up to `WAIT_S` for that of a new alert."""
        path = self.snapshot(stored.key)
        end_s = datetime.fromisoformat(stored.event.at).timestamp() + WAIT_S
        while not path.is_file():
            if not stored.event.kind.is_alert or stored.event.kind.is_camera:
                return None
            if not 0 < end_s - time.time() <= WAIT_S:
                return None
            time.sleep(POLL_S)
        return path

    def make_ready(self) -> None:
        """Create the folder, or check that it is private and that its disk has space.

        Raises:
            OutputError: others can write to the folder, or its disk is nearly full.
        """
        try:
            own_folder(self.path)
            free = self._free_bytes(self.path)
        except OSError as error:
            raise self._cannot_write(error) from error
        if free < SPARE_BYTES:
            raise OutputError(
                f"{self.path}: pictures of alerts are not kept, because the disk has only "
                f"{free // 1_000_000} MB left, which events may need: make space."
            )

    def save_snapshot(self, key: str, jpeg: bytes) -> None:
        """Write the picture of an event.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            replace_own(self.snapshot(key), jpeg)
        except OSError as error:
            raise self._cannot_write(error) from error

    def save_clip(self, key: str, write: Callable[[Path], None]) -> None:
        """Let a function write the video of an event to a path.

        Raises:
            OutputError: it cannot be written.
        """
        write(self.clip(key))
        with suppress(OSError):
            close_to_others(self.clip(key))

    def remove(self, key: str) -> None:
        """Delete the picture and the video of an event, as far as there are any."""
        for path in (self.snapshot(key), self.clip(key)):
            with suppress(OSError):
                path.unlink()

    def files(self) -> list[EvidenceFile]:
        """Return all pictures and videos, oldest first.

        Raises:
            OutputError: the folder cannot be read.
        """
        found = []
        try:
            with suppress(FileNotFoundError), os.scandir(self.path) as entries:
                for entry in entries:
                    if (name := NAME.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):
                            status = entry.stat(follow_symlinks=False)
                            at_ms = status.st_mtime_ns // 1_000_000
                            found.append(EvidenceFile(Path(entry.path), name[1], status.st_size, at_ms))
        except OSError as error:
            raise OutputError(
                f"{self.path}: pictures of alerts cannot be listed ({error.strerror}): give the folder to "
                "the user who runs gatecam, or delete it."
            ) from error
        return sorted(found, key=lambda one: one.at_ms)

    def erase(self) -> int:
        """Delete all files in the folder, and then the folder if possible. Return how many it had of alerts.

        Raises:
            OutputError: something cannot be deleted.
        """
        number = len(self.files())
        try:
            for path in list(self.path.iterdir()):
                if path.is_symlink() or not path.is_dir():  # a disk of its own may have a folder lost+found
                    path.unlink(missing_ok=True)
            with suppress(OSError):  # a link to another disk or a disk's own folder stays with its owner
                self.path.rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be erased ({error.strerror}): erase it as the user who owns it."
            ) from error
        return number

    def tidy(
        self,
        before_ms: int,
        most_bytes: int,
        now_ms: int,
        known: Callable[[Sequence[str]], Collection[str]],
        aside_ms: int = 0,
    ) -> int:
        """Delete files that are too old, too many, or without an event. Return how many were deleted.

        The oldest files are also deleted if events need the space on the disk. Files with an impossible time,
        from before the clock was set, stay as long as their events.

        Args:
            before_ms: files that were written before this time are deleted, in ms since 1970.
            most_bytes: the largest size of all files together. The oldest are deleted first.
            now_ms: the time now, in ms since 1970.
            known: takes keys and returns those that belong to events in the store.
            aside_ms: when a damaged store was set aside, in ms since 1970. Files that were written before may
                belong to its events, which can be restored, and stay even if no event is known.

        Raises:
            OutputError: the folder cannot be read, or `known` failed, after the other files were deleted.
        """
        files = self.files()
        too_old = [one for one in files if SANE_MS <= one.at_ms < before_ms]
        left = [one for one in files if not SANE_MS <= one.at_ms < before_ms]
        total = sum(one.size for one in left)
        excess = total - SHARE_LEFT * most_bytes if total > most_bytes else 0
        missing = SPARE_BYTES - self._free() - sum(one.size for one in too_old)
        too_many = _oldest(left, max(excess, missing))
        gone = _delete([*too_old, *too_many])
        self._delete_parts(now_ms)
        rest = [one for one in left[len(too_many) :] if one.at_ms >= aside_ms]
        settled = [one for one in rest if not 0 <= now_ms - one.at_ms < YOUNG_MS]
        keys = {one.key for one in settled}
        lost = keys - set(known(sorted(keys)))
        return gone + _delete([one for one in settled if one.key in lost])

    def _free(self) -> int:
        try:
            return self._free_bytes(self.path)
        except OSError:
            return SPARE_BYTES

    def _delete_parts(self, now_ms: int) -> None:
        """Delete the unfinished files that a killed program left."""
        with suppress(OSError):
            for path in self.path.glob(".*"):
                with suppress(OSError):
                    if now_ms - path.lstat().st_mtime_ns // 1_000_000 > YOUNG_MS:
                        path.unlink()

    def _cannot_write(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path}: pictures of alerts cannot be kept ({error.strerror or error}): make space or "
            "repair the disk, or set evidence.snapshots to false."
        )


def _oldest(files: Sequence[EvidenceFile], size: float) -> list[EvidenceFile]:
    """Return the oldest files, as many as have at least a size in bytes together."""
    chosen: list[EvidenceFile] = []
    for one in files:
        if size <= 0:
            break
        chosen.append(one)
        size -= one.size
    return chosen


def _delete(files: Sequence[EvidenceFile]) -> int:
    gone = 0
    for one in files:
        with suppress(OSError):
            one.path.unlink()
            gone += 1
    return gone
