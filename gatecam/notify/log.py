"""Write the event log, and acknowledge an event only when it is safe on the disk.

event ─► queue ─► LogFile (write, fsync) ─► the sink that acknowledges it, such as standard output
                     └─ fails: events are kept and written later, in order, each once
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from gatecam.errors import OutputError
from gatecam.notify.jsonl import cannot_write, event_to_line
from gatecam.notify.queue import QueuedSink
from gatecam.ports import Sink
from gatecam.runtime.backoff import Pauses
from gatecam.runtime.folders import close_to_others
from gatecam.runtime.locks import lock_open_file
from gatecam.runtime.telemetry import Telemetry
from gatecam.types import Event

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
TAIL_BYTES = 64 * 1024  # far longer than a line
LINE_START = b'{"kind": "'
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

log = logging.getLogger(__name__)


class LogFile:
    """Appends whole lines to a file, syncs them to disk, and locks out other programs.

    A half-written line that a killed process left is cut off when the file is opened. Its event was never
    acknowledged. If the file is moved away, as log rotation does, a new one is created. The mode is 600,
    because the file shows when people came and went. Devices and pipes are not locked, repaired or synced.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or create it.

        A full disk raises no error here, because it may be why the program was restarted.

        Raises:
            OutputError: the file cannot be opened, or another program writes to it.
        """
        self._path = path
        self._fd: int | None = None
        self._is_file = True
        self._whole_bytes: int | None = None  # size before a write that failed
        try:
            self._open()
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise cannot_write(str(path), error) from error

    def send(self, event: Event) -> None:
        """Write one event, as `append` does."""
        self.append([event])

    def append(self, events: Sequence[Event]) -> None:
        """Write the events' lines to the disk. After an error none of them is in the file.

        Raises:
            OutputError: the lines cannot be written, for example because the disk is full.
        """
        lines = "".join(map(event_to_line, events)).encode("ascii")
        try:
            fd = self._ready()
            if self._is_file:
                self._whole_bytes = os.fstat(fd).st_size
            _write_all(fd, lines)
            if self._is_file:
                os.fsync(fd)
        except OSError as error:
            self._cut_off(quietly=True)
            raise OutputError(
                f"{self._path}: events cannot be written ({error.strerror or error}): make space or repair "
                "the disk. The events wait until then."
            ) from error
        self._whole_bytes = None

    def close(self) -> None:
        """Close the file, so that another program can take it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _ready(self) -> int:
        """Return the open file after removing what a failed write left in it."""
        if self._fd is not None and not self._is_current(self._fd):
            self.close()
        if self._fd is None:
            return self._open()
        self._cut_off()
        return self._fd

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND
        try:
            fd = os.open(self._path, flags)
        except FileNotFoundError:
            fd = os.open(self._path, flags | os.O_CREAT, 0o600)
            _sync_folder(self._path.parent)
        try:
            self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
            if self._is_file:
                if (holder := lock_open_file(fd)) is not None:
                    raise OutputError(
                        f"{self._path} is written by {holder}: end that program first, or choose another "
                        "file as notify.log."
                    )
                if not self._path.is_symlink():  # /dev/stdout and users' own links are symlinks
                    close_to_others(self._path)
                _mend_end(fd, self._path)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._whole_bytes = fd, None
        return fd

    def _is_current(self, fd: int) -> bool:
        """Return whether the path still names the open file."""
        if not self._is_file:
            return True
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(fd))

    def _cut_off(self, quietly: bool = False) -> None:
        """Remove what a failed write added. If this fails too, it is repeated before the next write."""
        if self._fd is None or self._whole_bytes is None:
            return
        try:
            if os.fstat(self._fd).st_size > self._whole_bytes:
                os.ftruncate(self._fd, self._whole_bytes)
        except OSError:
            if not quietly:
                raise
        else:
            self._whole_bytes = None


class EventLog(Sink, Protocol):
    """Keeps events for good, such as a `LogFile` or the store."""

    def append(self, events: Sequence[Event], /) -> None:
        """Write the events to the disk. After an error they are written again.

        Raises:
            OutputError: the events cannot be kept.
        """
        ...


class DurableSink(QueuedSink):
    """Writes each event to the log first and then passes it to the sink `then`.

    While the log cannot be written, up to `size` events wait. Further events are dropped and counted. The
    write is repeated after pauses that grow from 0.5 s to 30 s. All waiting events are written at once, so a
    slow disk needs one sync for many events.
    """

    batch = 256

    def __init__(
        self,
        file: EventLog,
        then: Sink,
        size: int,
        name: str,
        telemetry: Telemetry | None = None,
        on_trouble: Callable[[str | None], None] = lambda text: None,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """Start the thread, as `QueuedSink` does.

        Args:
            file: keeps the events.
            then: gets the events that are on the disk, in order. It must not block. This sink closes it.
            size: how many events may wait.
            name: names this sink in counters and messages.
            telemetry: counts the events.
            on_trouble: called by the sink's thread with a message when the log cannot be written, and with
                None when it can be written again.
            first_pause_s: the pause after the first failure.
        """
        self._file = file
        self._then = then
        self._on_trouble = on_trouble
        self._pauses = Pauses(first_pause_s, LONGEST_PAUSE_S)
        self._trouble: str | None = None
        self._dropped_before = 0
        super().__init__(file, size, name, telemetry)

    def close(self, timeout_s: float = 2.0) -> None:
        """Try once more to write the waiting events, for at most `timeout_s`, and close `then`."""
        super().close(timeout_s)
        self._then.close()

    def _deliver(self, events: Sequence[Event]) -> int:
        is_last_try = self._closing
        try:
            self._file.append(events)
        except OutputError as error:
            self._tell_trouble(str(error))
            if is_last_try:
                self._give_up()
            else:
                self._pause()
            return 0
        self._tell_end(len(events))
        for event in events:
            self._then.send(event)
        return len(events)

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing, self._pauses.next())

    def _give_up(self) -> None:
        with self._changed:
            left = self._drop_all()
        if left:
            log.warning("%s was closed before it could be written: %d events are lost.", self.name, left)

    def _tell_trouble(self, text: str) -> None:
        if self._trouble is None:
            self._dropped_before = self.dropped
        if text != self._trouble:
            self._trouble = text
            log.warning("%s", text)
            self._on_trouble(text)

    def _tell_end(self, written: int) -> None:
        self._pauses.reset()
        if self._trouble is None:
            return
        self._trouble = None
        lost = self.dropped - self._dropped_before
        log.warning("Events are written again: %d that waited are safe, %d are lost.", written, lost)
        self._on_trouble(None)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _sync_folder(folder: Path) -> None:
    """Sync a folder, so that the name of a new file is on the disk too (fsync(2)), if the system allows."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _mend_end(fd: int, path: Path) -> None:
    """Make the file end with a whole line: cut off half an event, end any other text with a line end."""
    size = os.fstat(fd).st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - TAIL_BYTES))
        rest = stream.read().rpartition(b"\n")[2]
    if not rest:
        return
    if _is_half_event(rest.strip(b"\0")):
        os.ftruncate(fd, size - len(rest))
    else:
        _write_all(fd, b"\n")
    os.fsync(fd)


def _is_half_event(text: bytes) -> bool:
    """Return whether the last line is an event that was cut off.

    After a machine's crash the line may be empty here, because only zeros were left of it.
    """
    if not (text.startswith(LINE_START) or LINE_START.startswith(text)):
        return False
    try:
        json.loads(text)
    except ValueError:
        return True
    return False
