"""Floor 3: events as JSON lines, the file format that others read (DESIGN.md, "Files that others read")."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO

from gatecam.errors import OutputError
from gatecam.types import Event


def event_to_dict(event: Event) -> dict[str, str | int | float]:
    """The fields of an event's line; time (s) and probability are rounded to 3 digits.

    >>> from gatecam.types import EventKind, Verdict
    >>> event_to_dict(Event(EventKind.MASK_MISSING, "gate", 3, Verdict.NONE, 1.23456, 37, 0.98765))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'kind': 'mask_missing', 'camera': 'gate', 'track_id': 3, 'time_s': 1.235, 'frame': 37,
     'verdict': 'none', 'probability': 0.988}
    """
    return {
        "kind": event.kind.value,
        "camera": event.camera,
        "track_id": event.track_id,
        "time_s": round(float(event.time_s), 3),
        "frame": event.frame,
        "verdict": event.verdict.value,
        "probability": round(float(event.probability), 3),
    }


class JsonLinesSink:
    """Writes one JSON object a line and event, each handed to the system at once.

    A program that is killed loses no line it has sent. Lines are ASCII with JSON's escapes, so that
    neither a terminal's encoding nor a camera's name can make one fail.
    """

    def __init__(
        self, target: Path | IO[str], *, append: bool = False, stamp: Callable[[], str] | None = None
    ) -> None:
        """Write to a file, which is replaced unless `append`, or to a stream, which stays open.

        Args:
            target: a file's path, or a stream such as `sys.stdout`.
            append: add to the file; a last line that a kill cut off is ended first.
            stamp: gives the wall-clock time of each line, which then has the field `at`.

        Raises:
            OutputError: the file cannot be opened.
        """
        self._name = str(target) if isinstance(target, Path) else getattr(target, "name", "stream")
        self._owned = isinstance(target, Path)
        self._stamp = stamp
        try:
            self._stream = _open(target, append) if isinstance(target, Path) else target
        except OSError as error:
            raise self._cannot_write(error) from error

    def send(self, event: Event) -> None:
        """Write the event's line.

        Raises:
            OutputError: it cannot be written, for example because the disk is full.
        """
        fields = event_to_dict(event)
        if self._stamp is not None:
            fields["at"] = self._stamp()
        try:
            self._stream.write(json.dumps(fields) + "\n")
            self._stream.flush()
        except OSError as error:
            raise self._cannot_write(error) from error

    def close(self) -> None:
        """Close the file; a stream that was given is left open."""
        if not self._owned:
            return
        try:
            self._stream.close()
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._name}: events cannot be written ({error.strerror or error}): "
            "choose a file in a folder that exists, is yours and has space."
        )


def _open(path: Path, append: bool) -> IO[str]:
    stream = path.open("a" if append else "w", encoding="ascii", newline="\n")
    if append and _ends_within_a_line(path):
        stream.write("\n")
    return stream


def _ends_within_a_line(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) != b"\n"
