"""Find the recordings of an archive, and read from their names which camera made them and when."""

from __future__ import annotations

import codecs
import glob
import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import av
from av.error import FFmpegError

from gatecam.capture.containers import ANY_METADATA, FILM_FORMATS
from gatecam.capture.formats import is_system_file
from gatecam.errors import SourceError
from gatecam.runtime.logs import say

_NAMES = "3gp asf avi dav flv h264 h265 hevc m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts webm wmv"
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
LISTS = frozenset((".txt", ".lst", ".list"))
# Such as 2026-11-24T08-00-00, 20261124_080000, 20261124080000 or 2026-11-24 08.00
_TIME = re.compile(
    r"(?<!\d)(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)[-_.T ]{0,3}(\d\d)[-_.:h]?(\d\d)(?:[-_.:m]?(\d\d))?(?!\d)(Z?)"
)
_DAY = re.compile(r"\d{4}([-_.]?)\d\d\1\d\d")  # folders that recorders make for each day
NAMED = 3  # of what is left out, in a warning
_SEPARATORS = " -_.,()[]"


@dataclass(frozen=True, slots=True)
class Source:
    """Describes one recording. `started` is when it began, in UTC, or None if that is not known."""

    path: Path
    camera: str
    started: datetime | None
    bytes: int
    modified_ns: int


def find_sources(given: Iterable[str], camera: str | None, zone: tzinfo | None) -> list[Source]:
    """Return all recordings that paths, folders, patterns and lists name, each once, sorted by path.

    Names in a list that no longer exist, links that lead nowhere, and files and folders that may not be read,
    are left out with a warning.

    Args:
        given: paths of recordings, folders that are searched with all folders below them, patterns such as
            `/nas/*/2026-11-*.mp4`, and text files with one of these on each line.
        camera: the camera of all recordings, or None to read it from their names.
        zone: the time zone of the times in names. None is the time zone of this machine.

    Raises:
        SourceError: a given path does not exist, a list names itself, or nothing was found.
    """
    missing: list[str] = []
    paths = sorted({path.resolve() for text in given for path in _paths(text, missing)})
    if missing:
        some = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
        say(
            f"left out, because they do not exist or may not be read: {len(missing)} ({some}).",
            level=logging.WARNING,
        )
    found = [source for path in paths if (source := _source(path, camera, zone)) is not None]
    if not found:
        raise SourceError("no recording was found; give files, folders, patterns or a list of them.")
    return found


def _paths(
    text: str, missing: list[str], above: Path = Path(), lists: tuple[Path, ...] = ()
) -> Iterable[Path]:
    """Return the recordings that a path, folder, pattern or list names.

    `missing` collects the names that do not exist. `above` is the folder from which relative paths begin.
    `lists` are the lists that led here.
    """
    # macOS stores letters such as 가 in decomposed form (NFD)
    spelt = dict.fromkeys((text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))))
    path = next((above / one for one in spelt if os.path.exists(above / one)), above / text)
    if os.path.isdir(path):
        return _below(path, missing)
    if path.suffix.lower() in LISTS and os.path.isfile(path):
        if path.resolve() in lists:
            raise SourceError(f"{path}: the list names itself; remove that line.")
        lines = _text(path).splitlines()
        wanted = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        lists = (*lists, path.resolve())
        return [one for line in wanted for one in _paths(line, missing, path.parent, lists)]
    if os.path.exists(path):
        return [path]
    names = {name for one in spelt for name in glob.glob(one, root_dir=above, recursive=True)}
    if names and glob.has_magic(text):
        found = [_matched(above / name, Path(text).suffix, missing, lists) for name in sorted(names)]
        return [one for some in found for one in some]
    if lists:  # perhaps a recorder has deleted it since the list was written
        missing.append(str(path))
        return []
    raise SourceError(f"{text}: there is no such file or folder; check the path.")


def _text(path: Path) -> str:
    """Return the text of a list. Windows may write it as UTF-16. Else it has the bytes of the names in it."""
    content = path.read_bytes()
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return (
        content.decode("utf-16", "replace") if is_utf_16 else content.decode("utf-8-sig", "surrogateescape")
    )


def _matched(path: Path, suffix: str, missing: list[str], lists: tuple[Path, ...]) -> Iterable[Path]:
    """Return the recordings of a path that a pattern matches.

    A pattern that ends in a whole `suffix`, such as `.dvr` or `.txt`, says itself which files it means.
    Others, such as `*`, match more than recordings.
    """
    if os.path.isdir(path):
        return _below(path, missing)
    is_named = path.suffix == suffix and os.path.isfile(path) and not is_system_file(path.name)
    return _paths(path.name, missing, path.parent, lists) if is_named else _recordings(path, missing)


def _recordings(path: Path, missing: list[str]) -> list[Path]:
    """Return a file that was found, if it is a recording. `missing` gets one that may not be read."""
    if path.suffix.lower() not in SUFFIXES or is_system_file(path.name):
        return []
    if not os.path.exists(path):
        missing.append(str(path))
    return [path] if os.path.isfile(path) else []


def _below(folder: Path, missing: list[str]) -> Iterator[Path]:
    """Yield the recordings in a folder and in all folders below it, also in linked ones."""
    seen: set[str] = set()
    walk = os.walk(folder, onerror=lambda error: missing.append(error.filename), followlinks=True)
    for name, folders, files in walk:
        real = os.path.realpath(name)
        if real in seen:  # a link leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [one for one in folders if not is_system_file(one)]  # such as the snapshots of a NAS
        for file in files:
            yield from _recordings(Path(name, file), missing)


def _source(path: Path, camera: str | None, zone: tzinfo | None) -> Source | None:
    """Return a recording, or None if it was deleted since its name was read, or its drive fails."""
    try:
        status = path.stat()
    except OSError:
        return None
    named, started = _read_name(path, zone)
    name = unicodedata.normalize("NFC", camera or named)  # macOS stores 가 as NFD
    return Source(path, name, started or _metadata_time(path), status.st_size, status.st_mtime_ns)


def _read_name(path: Path, zone: tzinfo | None) -> tuple[str, datetime | None]:
    """Return the camera and the start of a recording from its name.

    The camera is the text before the time in the name. If there is none, it is the name of the lowest folder
    that is not for a day. In a name without a time, the camera is the whole name, as in a replay.

    >>> _read_name(Path("/nas/north/20261124_080000.mp4"), UTC)
    ('north', datetime.datetime(2026, 11, 24, 8, 0, tzinfo=datetime.timezone.utc))
    """
    found = _TIME.search(path.stem)
    if found is None:
        return path.stem, None
    parts = [int(part or 0) for part in found.groups()[:6]]
    try:
        moment = datetime(*parts, tzinfo=UTC if found[7] else zone)  # type: ignore[arg-type, misc]
        started = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # only looks like a time
        return path.stem, None
    folders = [one.name for one in path.parents if not _DAY.fullmatch(one.name)]
    return path.stem[: found.start()].strip(_SEPARATORS) or folders[0] or path.parent.name, started


def _metadata_time(path: Path) -> datetime | None:
    """Return the time in the file's metadata at which it was made, or None if there is none."""
    with (
        suppress(FFmpegError, ValueError, OSError, KeyError),
        av.open(
            f"file:{path}",
            options={"protocol_whitelist": "file", "format_whitelist": FILM_FORMATS},
            **ANY_METADATA,
        ) as file,
    ):
        moment = datetime.fromisoformat(file.metadata["creation_time"])
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)  # as the tables keep it
        return moment.astimezone(UTC) if moment.year > 1971 else None  # 1904 and 1970 stand for no time
    return None
