"""Write the files that users name: replace ordinary files whole, and write to devices and pipes."""

from __future__ import annotations

import csv
import errno
import io
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gatecam.errors import OutputError

if TYPE_CHECKING:
    from typing_extensions import Buffer


def write_output(path: Path, data: str | bytes, keeps: bool = False) -> None:
    """Write a whole file. An ordinary file is replaced, a device or a pipe is written to.

    With `keeps`, the file holds the old or the new content after a power cut, and never none.

    Raises:
        OutputError: the file cannot be written.
    """
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    try:
        if ordinary_file(path) is None:
            with open(path, "wb", opener=_open_in_place) as file:
                file.write(raw)
        else:
            with replacing(path) as part, part.open("wb") as file:
                file.write(raw)
                if keeps:
                    file.flush()
                    os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(path, error) from error


def write_table(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV, as `write_output` does."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_output(path, text.getvalue())


def open_stream(path: Path, encoding: str = "utf-8", newline: str | None = None) -> IO[str]:
    """Open a file that is written line by line. An ordinary file is emptied first.

    Raises:
        OutputError: the file cannot be opened.
    """
    try:
        ordinary_file(path)
        file = _NamedFile(path, "w", opener=_open_in_place)
    except OSError as error:
        raise cannot_write(path, error) from error
    return io.TextIOWrapper(io.BufferedWriter(file), encoding, newline=newline, line_buffering=file.isatty())


class _NamedFile(io.FileIO):
    """Names the file in the error of a write that fails, for example because the disk is full."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = os.fspath(self.name)
            raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of an empty file that replaces `path` at the end of the block, unless that fails.

    Raises:
        OutputError: `path` is no ordinary file, or the new file cannot be created or renamed.
    """
    new = Replacement(path)
    try:
        yield new.part
        new.finish()
    except BaseException:
        new.discard()
        raise


class Replacement:
    """Creates a new file beside an ordinary one, and replaces that one when it is finished.

    If the path is a link, the file that it points to is replaced. Other hard links keep the old content. The
    new file has the mode and group of the old one, and its owner if root writes it.
    """

    def __init__(self, path: Path) -> None:
        """Create the new, empty file.

        Raises:
            OutputError: `path` is no ordinary file, or the new file cannot be created.
        """
        self._path = path
        try:
            target = ordinary_file(path)
            if target is None:
                raise OutputError(f"{path}: is a device or a pipe; give the name of an ordinary file.")
            self._target = target
            self.part = target.with_name(f".{target.stem[:40]}-{secrets.token_hex(4)}{target.suffix}")
            open(self.part, "xb").close()  # "x": never use an existing file, or one that a link points to
            if target.exists():
                status = target.stat()
                with suppress(OSError):  # root keeps the owner, others only a group of their own
                    os.chown(self.part, status.st_uid if os.geteuid() == 0 else -1, status.st_gid)
                self.part.chmod(stat.S_IMODE(status.st_mode))
        except OSError as error:
            raise cannot_write(path, error) from error

    def finish(self) -> None:
        """Rename the new file to `path`.

        Raises:
            OutputError: the file cannot be renamed.
        """
        try:
            os.replace(self.part, self._target)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def discard(self) -> None:
        """Remove the new file if it exists."""
        with suppress(OSError):
            self.part.unlink()


def ordinary_file(path: Path) -> Path | None:
    """Return the ordinary file behind a path's links, whether it exists or not. None for a device or a pipe.

    This program's own output, such as `/dev/stdout`, counts as a device even if it goes to a file.

    Raises:
        OutputError: `path` is a folder, a disk or a socket.
        OSError: the path cannot be resolved, for example because its links form a circle.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{path}: is a folder; give the name of a file.")
    if _own_stream(path) is not None or stat.S_ISCHR(status.st_mode) or stat.S_ISFIFO(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{path}: is a disk or a socket; give the name of a file.")
    return Path(os.path.realpath(path))


def cannot_write(path: Path | str, error: OSError) -> OutputError:
    """Return the error that says why a file cannot be written and what to do about it."""
    if error.errno == errno.ENXIO:
        return OutputError(f"{path}: nobody reads from this pipe; start its reader first.")
    return OutputError(
        f"{path}: cannot be written ({error.strerror or error}); choose a folder that exists, is yours and "
        "has space."
    )


def _own_stream(path: Path) -> IO[str] | None:
    """Return standard output or standard error if `path` is the file that it writes to."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # there is no stream, or it has no descriptor
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
    return None


def _open_in_place(path: str, flags: int) -> int:
    """Open a file without waiting for a pipe's reader. Append if it is this program's own output."""
    if (stream := _own_stream(Path(path))) is not None:
        stream.flush()
        return os.dup(stream.fileno())
    fd = os.open(path, flags | os.O_NONBLOCK, 0o666)
    os.set_blocking(fd, True)
    return fd
