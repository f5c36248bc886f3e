"""Find recordings that were moved since an earlier run, and copies of others, so that none counts twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gatecam.archive.sources import Source

SAMPLE_BYTES = 65_536  # at the start, in the middle and at the end of a recording


@dataclass(frozen=True, slots=True)
class Known:
    """Says what the tables hold about a recording. `is_current` says whether its results may be used now."""

    path: Path
    camera: str
    started_ms: int | None
    bytes: int
    content: str | None
    is_current: bool


@dataclass(slots=True)
class Plan:
    """Says what to do with recordings that have no results under their path.

    `waiting` must be analyzed. `moved` holds each recording with the path under which it has results.
    `replaced` has the earlier paths of waiting recordings. The results under these paths are deleted when the
    new ones are written. `copies` holds each recording that is left out, with its original.
    """

    waiting: list[Source] = field(default_factory=list)
    moved: list[tuple[Source, Path]] = field(default_factory=list)
    replaced: dict[Path, list[Path]] = field(default_factory=dict)
    copies: list[tuple[Source, Path]] = field(default_factory=list)


def plan(undone: Sequence[Source], known: Iterable[Known]) -> Plan:
    """Decide what to do with recordings. Only those that may be known are read, and only a little of each.

    A recording may have the size and content of a known one whose file is gone. Then it is the known one,
    moved or renamed. A recording with the size, camera, start and content of a file that exists is a copy.

    Args:
        undone: recordings that have no results under their path.
        known: the recordings in the tables.
    """
    made, sizes, here = Plan(), {one.bytes for one in undone}, {one.path for one in undone}
    gone: dict[int, list[Known]] = {}
    there: dict[tuple[int, str, int | None], Path] = {}
    for one in (one for one in known if one.bytes in sizes and one.path not in here):
        if not os.path.exists(one.path):
            gone.setdefault(one.bytes, []).append(one)
        elif one.is_current:
            there[one.bytes, *_place(one)] = one.path
    for source in undone:
        original = there.get((source.bytes, *_place(source))) if source.started else None
        earlier = gone.get(source.bytes, [])
        content = content_of(source.path) if original or earlier else None
        if original and content and content == content_of(original):
            made.copies.append((source, original))
            continue
        there[source.bytes, *_place(source)] = source.path
        same = [one for one in earlier if content and one.content == content]
        used = [one for one in same if one.is_current and _place(one) == _place(source)]
        if used:
            made.moved.append((source, used[0].path))
            earlier.remove(used[0])
        else:
            made.waiting.append(source)
            made.replaced[source.path] = [one.path for one in same]
    return made


def content_of(path: Path) -> str | None:
    """Return a hash of a recording's size, start, middle and end, or None if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            hasher = hashlib.sha256(str(size).encode())
            for place in (0, size // 2, max(0, size - SAMPLE_BYTES)):
                file.seek(place)
                hasher.update(file.read(SAMPLE_BYTES))
    except OSError:
        return None
    return hasher.hexdigest()[:20]


def _place(one: Known | Source) -> tuple[str, int | None]:
    """Return the camera of a recording, and its start in ms since 1970."""
    if isinstance(one, Known):
        return one.camera, one.started_ms
    return one.camera, None if one.started is None else round(one.started.timestamp() * 1000)
