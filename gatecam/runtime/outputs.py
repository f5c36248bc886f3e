"""Check the names of output files: all different, and none the name of a file that is read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gatecam.errors import OutputError
from gatecam.runtime.files import Replacement, cannot_write, ordinary_file
from gatecam.runtime.picture_files import IMAGE_SUFFIXES


def numbered(names: Iterable[str]) -> list[str]:
    """Return the names, numbered where one repeats. Case is ignored, because some file systems ignore it.

    >>> numbered(["door", "Door", "gate", "door"])
    ['door', 'Door-2', 'gate', 'door-3']
    """
    unique: list[str] = []
    taken: set[str] = set()
    for name in names:
        free, number = name, 1
        while free.casefold() in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free.casefold())
        unique.append(free)
    return unique


def require_folder(path: Path) -> None:
    """Check before long work that the folder of an output file exists.

    Raises:
        OutputError: the folder does not exist, or the path is a folder itself.
    """
    target = _target(path) or path
    if not target.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist; make it, or choose another name.")


def require_writable(path: Path) -> None:
    """Check before long work that a file can be written, by creating and removing one beside it.

    Raises:
        OutputError: the folder does not exist, nothing can be written there, or the path is a folder itself.
    """
    require_folder(path)
    if _target(path) is not None:
        Replacement(path).discard()


def require_ordinary(path: Path) -> None:
    """Check before long work that an ordinary file can be written. Devices and pipes are rejected.

    Raises:
        OutputError: as in `require_writable`, or the path is a device or a pipe.
    """
    require_folder(path)
    Replacement(path).discard()


def require_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Check that writing `outputs` destroys none of `inputs`, even if links or spellings differ.

    Raises:
        OutputError: an output is an input or another output, or lies in a folder whose pictures are read.
    """
    read = {_identity(path) for path in inputs}
    written = set()
    for path in outputs:
        identity = _identity(path)
        if identity in read:
            raise OutputError(f"{path}: is read, so it cannot be written as well; choose another name.")
        if path.suffix.lower() in IMAGE_SUFFIXES and _identity(path.parent) in read:
            raise OutputError(f"{path}: lies in a folder whose pictures are read; choose another folder.")
        if identity in written:
            raise OutputError(f"{path}: is asked for twice; give each output a name of its own.")
        written.add(identity)


def _target(path: Path) -> Path | None:
    """Return the ordinary file behind a path's links, or None for a device or a pipe."""
    try:
        return ordinary_file(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def _identity(path: Path) -> tuple[int, int] | str:
    """Return what identifies a file: its device and inode, or its full path if it does not exist yet."""
    try:
        status = path.stat()
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino
