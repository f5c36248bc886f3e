"""Open a recording, which is a video file or a folder of pictures, behind one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gatecam.capture.folder import ImageFolder
from gatecam.capture.video import VideoFile
from gatecam.ports import FrameSource
from gatecam.runtime.picture_files import IMAGE_SUFFIXES


class Recording(FrameSource, Protocol):
    """A `FrameSource` that ends and skips no frame. `fps` and `expected_frames` are set on entering."""

    path: Path
    camera: str
    fps: float
    expected_frames: int | None

    @property
    def loss(self) -> str | None:
        """Return a sentence about what could not be read so far, or None if nothing is missing."""
        ...


def open_recording(
    path: Path, image_fps: float, camera: str | None = None, on_gpu: bool = False
) -> Recording:
    """Return the recording at a path. It is opened when it is entered.

    Args:
        path: A video file, a folder of pictures, or a single picture.
        image_fps: How many pictures of a folder make one second.
        camera: The camera name in the frames, by default the name of the file or folder.
        on_gpu: Whether a GPU decodes a video, if it can.
    """
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES - {".gif"}:
        return ImageFolder(path, image_fps, camera)
    return VideoFile(path, camera, on_gpu)
