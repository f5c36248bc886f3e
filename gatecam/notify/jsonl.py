"""Write events as JSON lines, a format that other programs read (DESIGN.md, "Files that others read")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

from gatecam.errors import OutputError
from gatecam.runtime.files import open_stream
from gatecam.types import Event, StoredEvent


def event_to_dict(event: Event) -> dict[str, str | int | float]:
    """Return the fields of an event's line. Time (s) and probability are rounded to 3 digits.

    Events about a camera also have `reason`, events about a person `first`, and live events `at`.

    >>> from gatecam.types import EventKind, Verdict
    >>> event_to_dict(Event(EventKind.MASK_MISSING, "gate", 3, Verdict.NONE, 1.23456, 37, 0.98765))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'kind': 'mask_missing', 'camera': 'gate', 'track_id': 3, 'time_s': 1.235, 'frame': 37,
     'verdict': 'none', 'probability': 0.988, 'first': False}
    """
    fields: dict[str, str | int | float] = {
        "kind": event.kind.value,
        "camera": event.camera,
        "track_id": event.track_id,
        "time_s": round(float(event.time_s), 3),
        "frame": event.frame,
        "verdict": event.verdict.value,
        "probability": round(float(event.probability), 3),
    }
    if event.kind.is_camera:
        fields["reason"] = event.reason
    else:
        fields["first"] = event.first
    if event.at:
        fields["at"] = event.at
    return fields


def event_to_line(event: Event) -> str:
    """Return an event as one JSON object and a line end.

    The line is ASCII with JSON escapes, so a terminal's encoding or a camera's name cannot make writing fail.
    """
    return json.dumps(event_to_dict(event)) + "\n"


def stored_to_line(stored: StoredEvent, more: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a stored event as in `event_to_line`, with its key as the first field, `id`, and `more` last.

    An event that the operator answered also has `answer`.
    """
    answer = {} if stored.answer is None else {"answer": stored.answer.value}
    return json.dumps({"id": stored.key, **event_to_dict(stored.event), **answer, **more}) + "\n"


class JsonLinesSink:
    """Writes one JSON object per event and line, and flushes after each."""

    def __init__(self, target: Path | IO[str]) -> None:
        """Open a file, replacing what it held, or take a stream such as `sys.stdout`, which stays open.

        Raises:
            OutputError: the file cannot be opened.
        """
        self._name = str(target) if isinstance(target, Path) else getattr(target, "name", "stream")
        self._owned = isinstance(target, Path)
        self._stream = open_stream(target, "ascii", "\n") if isinstance(target, Path) else target

    def send(self, event: Event) -> None:
        """Write the event's line.

        Raises:
            OutputError: the line cannot be written, for example because the disk is full.
        """
        try:
            self._stream.write(event_to_line(event))
            self._stream.flush()
        except OSError as error:
            raise cannot_write(self._name, error) from error

    def close(self) -> None:
        """Close the file. A stream that was given stays open."""
        if not self._owned:
            return
        try:
            self._stream.close()
        except OSError as error:
            raise cannot_write(self._name, error) from error


def cannot_write(name: str, error: OSError) -> OutputError:
    """Return the error for a file or stream to which no events can be written."""
    return OutputError(
        f"{name}: events cannot be written ({error.strerror or error}): "
        "choose a file in a folder that exists, is yours and has space."
    )
