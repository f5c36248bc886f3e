"""Names of what is written: each its own, and none that of something read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gatecam.errors import OutputError
from gatecam.runtime.files import Replacement, cannot_write, ordinary_file
from gatecam.runtime.picture_files import IMAGE_SUFFIXES


def numbered(names: Iterable[str]) -> list[str]:
    """The names, with a number to those that came before; case is ignored, as some disks do.

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
    """Make sure before long work that a file can be written after it.

    Raises:
        OutputError: there is no folder for it, or it is a folder itself.
    """
    target = _target(path) or path
    if not target.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist; make it, or choose another name.")


def require_writable(path: Path) -> None:
    """Make sure before long work that a file can be written after it, by making one that is gone at once.

    Raises:
        OutputError: there is no folder for it, or nothing can be written there, or it is a folder itself.
    """
    require_folder(path)
    if _target(path) is not None:
        Replacement(path).discard()


def require_ordinary(path: Path) -> None:
    """Make sure before long work that a file can be written after it that no device or pipe can stand for.

    Raises:
        OutputError: as `require_writable`, or for a device or a pipe.
    """
    require_folder(path)
    Replacement(path).discard()


def require_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Make sure that writing `outputs` destroys none of `inputs`, whatever links and spellings name them.

    Raises:
        OutputError: an output is an input or another output, or is a picture in a folder that is read.
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
    """Return the ordinary file behind a path's links, None for a device or a pipe."""
    try:
        return ordinary_file(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def _identity(path: Path) -> tuple[int, int] | str:
    """What tells files apart: their place on the disk, or before they exist their full path."""
    try:
        status = path.stat()
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino
