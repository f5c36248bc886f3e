"""Opens what was recorded, a video file or a folder of pictures, behind one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gatecam.capture.folder import ImageFolder
from gatecam.capture.video import VideoFile
from gatecam.ports import FrameSource
from gatecam.runtime.picture_files import IMAGE_SUFFIXES


class Recording(FrameSource, Protocol):
    """A `FrameSource` that ends: every frame comes; `fps` and `expected_frames` hold once entered."""

    path: Path
    camera: str
    fps: float
    expected_frames: int | None

    @property
    def loss(self) -> str | None:
        """What could not be read so far, as a sentence; None if nothing is missing."""
        ...


def open_recording(
    path: Path, image_fps: float, camera: str | None = None, on_gpu: bool = False
) -> Recording:
    """The recording at a path; nothing is opened before it is entered.

    Args:
        path: A video file, a folder of pictures, or a single picture.
        image_fps: How many pictures of a folder stand for a second.
        camera: The name that frames carry; that of the file or folder by default.
        on_gpu: Whether a GPU decodes a video, if it can.
    """
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES - {".gif"}:
        return ImageFolder(path, image_fps, camera)
    return VideoFile(path, camera, on_gpu)
