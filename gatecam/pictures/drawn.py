"""Draw the steps of recordings into annotated videos and a contact sheet."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from gatecam.pictures.blur import Cover
from gatecam.pictures.draw import MAX_MOMENTS, annotate, contact_sheet, save_image, thumbnail
from gatecam.pictures.messages import BannerText
from gatecam.pictures.video import VideoWriter
from gatecam.ports import FaceFinder
from gatecam.settings.schema import Geometry
from gatecam.types import Box, Image, Step

Known = tuple[Step, BannerText | None, tuple[Box, ...]]


class ContactSheet:
    """Collects the frames of all events, and writes them as one picture when its context ends.

    An empty sheet is written at first, so that a wrong name is reported before the work starts.
    """

    def __init__(self, path: Path, several: bool) -> None:
        """Start without frames. With `several` recordings, each frame is captioned with its camera."""
        self._path, self._several = path, several
        self._moments: list[tuple[str, Image]] = []

    def __enter__(self) -> Self:
        self._save()
        return self

    def __exit__(self, *error: object) -> None:
        self._save()

    def wants(self, step: Step) -> bool:
        """Check whether the sheet has space for a frame with events."""
        return bool(step.events) and len(self._moments) < MAX_MOMENTS

    def add(self, step: Step, picture: Image) -> None:
        """Add a step's picture once for each of its events, with what happened, to whom and when."""
        for event in step.events:
            where = f"{event.camera}  " if self._several else ""
            caption = f"{where}{event.kind}  person {event.track_id}  {event.time_s:.2f} s"
            self._moments.append((caption, thumbnail(picture)))

    def _save(self) -> None:
        save_image(self._path, contact_sheet(self._moments))


class DrawnSteps:
    """Draws the steps of one recording for its video and for the contact sheet. Faces are blurred.

    Args:
        video: the annotated video to write, or None.
        fps: the frame rate of the recording.
        sheet: the contact sheet, or None.
        finder: finds the faces to blur. None leaves all faces readable.
        geometry: the camera's settings, whose region and ignored places are outlined.
    """

    def __init__(
        self,
        video: Path | None,
        fps: float,
        sheet: ContactSheet | None,
        finder: FaceFinder | None,
        geometry: Geometry,
    ) -> None:
        self._video = None if video is None else VideoWriter(video, fps)
        self._sheet, self._geometry = sheet, geometry
        self._cover = Cover[BannerText | None](finder)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._video is not None:
            self._stack.enter_context(self._video)
        self._stack.callback(lambda: self._write(self._cover.rest()))  # also after Ctrl-C
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, step: Step, banner: BannerText | None) -> None:
        """Draw a step as soon as it is known where its faces are."""
        self._write(self._cover.add(step, banner))

    def _write(self, known: Iterable[Known]) -> None:
        for step, banner, blur in known:
            is_wanted = self._sheet is not None and self._sheet.wants(step)
            if self._video is None and not is_wanted:
                continue
            picture = annotate(step, banner=banner, blur=blur, geometry=self._geometry)
            if self._video is not None:
                self._video.write(picture, step.frame.time_s)
            if self._sheet is not None and is_wanted:
                self._sheet.add(step, picture)
