"""Read a folder of pictures as if it were a video."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from gatecam.capture.images import (
    images_in,
    left_out_of,
    left_out_sentence,
    name_some,
    read_frames,
    read_image,
)
from gatecam.errors import SourceError
from gatecam.types import Frame


class ImageFolder:
    """Provides the pictures of a folder as a `FrameSource`, in natural order, with `fps` pictures a second.

    A single picture counts as a folder of one. An animation plays at its own pace. Unreadable pictures are
    skipped and named in `loss`. Each leaves a gap in time, so the times of the others do not change.
    """

    def __init__(self, path: Path, fps: float, camera: str | None = None) -> None:
        self.path = path
        self.camera = camera or (path.resolve().name if path.is_dir() else path.stem)
        self.fps = fps
        self.expected_frames: int | None = None
        self._unreadable: list[Path] = []
        self._left_out: list[Path] = []
        self._broken_after = 0  # frames of an animation before its damage, 0 if undamaged

    @property
    def loss(self) -> str | None:
        """Return which pictures could not be read so far and which files are no pictures, or None."""
        parts = [left_out_sentence(self._left_out)]
        if count := len(self._unreadable):
            pictures = f"{count} picture{'' if count == 1 else 's'}"
            parts.insert(0, f"{pictures} could not be read: {name_some(self._unreadable)}")
        if self._broken_after:
            parts.append(f"the file is damaged after frame {self._broken_after}")
        return "; ".join(part for part in parts if part) or None

    def __enter__(self) -> Iterator[Frame]:
        """List the folder and read the first picture.

        Raises:
            SourceError: the folder is missing or holds no readable picture.
        """
        if not self.path.exists():
            raise SourceError(f"{self.path}: there is no such file or folder; check the path.")
        paths = images_in(self.path) if self.path.is_dir() else [self.path]
        if not paths:
            raise SourceError(f"{self.path}: the folder holds no picture; give one with pictures in it.")
        self.expected_frames = len(paths) if self.path.is_dir() else None
        self._unreadable = []
        self._left_out = left_out_of(self.path) if self.path.is_dir() else []
        frames = self._frames(paths) if self.path.is_dir() else self._animation()
        first = next(frames, None)
        if first is None:
            if not self.path.is_dir():
                read_image(self.path)  # raises an error that says what is wrong with it
            raise SourceError(f"{self.path}: no picture in it can be read; replace the damaged ones.")
        return itertools.chain((first,), frames)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: no file is held open."""

    def _animation(self) -> Iterator[Frame]:
        index, time_s = 0, 0.0
        try:
            for index, (shown_s, image) in enumerate(read_frames(self.path)):
                yield Frame(self.camera, index, time_s, image)
                time_s += shown_s or 1 / self.fps
        except SourceError:
            self._broken_after = index + 1

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
