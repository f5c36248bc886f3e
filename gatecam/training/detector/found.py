"""Keep what teachers found in each picture until all are done, so that a stopped labelling continues."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from gatecam.runtime.files import cannot_write, write_output
from gatecam.types import Box, Detection


class Found:
    """Appends the faces of each picture to a file, and reads those of a run that was stopped."""

    def __init__(self, path: Path, stamp: str) -> None:
        """Read the file, or begin a new one if it is missing or has another stamp.

        Args:
            path: the file.
            stamp: a hash of the pictures and teachers, on one line.

        Raises:
            OutputError: the file cannot be written.
        """
        self._path = path
        self._faces = _read(path, stamp)
        lines = [_line(index, faces) for index, faces in self._faces.items()]
        write_output(path, "".join([f"{stamp}\n", *lines]))
        self._file = path.open("ab", buffering=0)

    def faces(self, index: int, search: Callable[[], list[Detection]]) -> list[Detection]:
        """Return the faces of a picture. Search for them, and keep them, if an earlier run did not.

        Raises:
            OutputError: the file cannot be written.
        """
        if index in self._faces:
            return self._faces[index]
        faces = search()
        try:
            self._file.write(_line(index, faces).encode("ascii"))
        except OSError as error:
            raise cannot_write(self._path, error) from error
        return faces

    def close(self) -> None:
        """Close the file and leave it for the next run."""
        self._file.close()

    def remove(self) -> None:
        """Close the file and remove it."""
        self.close()
        self._path.unlink(missing_ok=True)


def _read(path: Path, stamp: str) -> dict[int, list[Detection]]:
    """Return the faces in a file that begins with the stamp, up to a line that a kill or a full disk cut."""
    known: dict[int, list[Detection]] = {}
    with suppress(OSError, ValueError):
        first, *lines = path.read_text("ascii").splitlines()
        for line in lines if first == stamp else ():
            index, *faces = json.loads(line)
            known[index] = list(map(_detection, faces))
    return known


def _line(index: int, faces: Sequence[Detection]) -> str:
    return json.dumps([index, *map(_plain, faces)]) + "\n"


def _plain(face: Detection) -> list[Any]:
    box, points = face.box, face.landmarks
    numbers = map(float, (box.x1, box.y1, box.x2, box.y2, face.score))
    return [*numbers, None if points is None else points.tolist()]


def _detection(values: Sequence[Any]) -> Detection:
    *corners, score, points = values
    return Detection(Box(*corners), score, None if points is None else np.array(points, np.float32))
