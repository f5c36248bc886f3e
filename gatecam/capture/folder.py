"""Reads a folder of pictures as if it were a video."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from gatecam.capture.images import images_in, read_image
from gatecam.errors import SourceError
from gatecam.types import Frame

NAMED = 3  # unreadable pictures named in `loss`; more are only counted


class ImageFolder:
    """The pictures of a folder, in natural order, `fps` of them a second, as a `FrameSource`.

    A single picture is a folder of one. Unreadable pictures are skipped and named in `loss`; they
    leave a gap in time, so that the others keep theirs.
    """

    def __init__(self, path: Path, fps: float, camera: str | None = None) -> None:
        self.path = path
        self.camera = camera or (path.resolve().name if path.is_dir() else path.stem)
        self.fps = fps
        self.expected_frames: int | None = None
        self._unreadable: list[Path] = []

    @property
    def loss(self) -> str | None:
        """Which pictures could not be read so far, as a sentence; None if all could."""
        if not self._unreadable:
            return None
        count = len(self._unreadable)
        names = ", ".join(path.name for path in self._unreadable[:NAMED])
        more = f" and {count - NAMED} more" if count > NAMED else ""
        return f"{count} picture{'' if count == 1 else 's'} could not be read: {names}{more}"

    def __enter__(self) -> Iterator[Frame]:
        """List the folder and read its first picture.

        Raises:
            SourceError: if the folder is missing or holds no picture that can be read.
        """
        if not self.path.exists():
            raise SourceError(f"{self.path}: there is no such file or folder; check the path.")
        paths = images_in(self.path) if self.path.is_dir() else [self.path]
        if not paths:
            raise SourceError(f"{self.path}: the folder holds no picture; give one with pictures in it.")
        self.expected_frames = len(paths)
        self._unreadable = []
        frames = self._frames(paths)
        first = next(frames, None)
        if first is None:
            if self.path.is_file():
                read_image(self.path)  # tells what is wrong with it
            raise SourceError(f"{self.path}: no picture in it can be read; replace the damaged ones.")
        return itertools.chain((first,), frames)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    def _frames(self, paths: list[Path]) -> Iterator[Frame]:
        index = 0
        for position, path in enumerate(paths):
            try:
                image = read_image(path)
            except SourceError:
                self._unreadable.append(path)
                continue
            yield Frame(self.camera, index, position / self.fps, image)
            index += 1
