"""Define the interfaces between the packages. Each replaceable part implements one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import Protocol

from gatecam.settings.schema import Config, DetectorConfig, PolicyConfig, TrackerConfig
from gatecam.types import Box, Event, Expected, Face, Frame, Image, Prediction, StoredEvent, Track


class FrameSource(Protocol):
    """Provides frames from a camera or recording.

    Entering the context opens the device and returns an iterator of frames. Leaving it frees the device.
    """

    def __enter__(self) -> Iterator[Frame]: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FaceAnalyzer(Protocol):
    """Detects and classifies the faces in a batch of images. The images may have different sizes."""

    def analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        cameras: Sequence[str] | None = None,
        expected: Sequence[Sequence[Expected]] | None = None,
    ) -> list[list[Face]]:
        """Return one list of faces for each image. The list is empty if the image has no face.

        Args:
            images: the images to search.
            hints: for each image the only boxes to search, or None to search the whole image.
            cameras: for each image the name of its camera, whose door and region settings then apply.
            expected: for each image the tracks that its camera expects. A face on a track with a `known`
                prediction takes that prediction and is not classified again.
        """
        ...

    @property
    def device(self) -> str:
        """Return the name of the device that runs the networks now."""
        ...

    @property
    def reason(self) -> str:
        """Return the reason for the choice of device, in words for a user."""
        ...

    def apply(self, config: Config) -> None:
        """Apply new settings from the next batch on. Settings that need a restart are ignored here."""
        ...


class FaceFinder(Protocol):
    """Finds everything that may be a face, so that it can be blurred."""

    def find(self, image: Image, largest_px: int | None = None) -> list[Box]:
        """Return the boxes that may hold a face. An image wider than `largest_px` is scaled to that width."""
        ...


class CropClassifier(Protocol):
    """Classifies images that already are cropped faces."""

    def classify_crops(self, images: Sequence[Image]) -> list[Prediction]:
        """Return one prediction for each image. Each image shows one face with a margin of any size."""
        ...


class Tracker(Protocol):
    """Joins the faces of one camera's frames into tracks, and smooths their verdicts."""

    def update(self, faces: Sequence[Face], time_s: float) -> Sequence[Track]:
        """Add the faces of a frame and return the confirmed tracks. `time_s` must not go back."""
        ...

    def expected(self, time_s: float) -> Sequence[Expected]:
        """Predict where the face of every living track is at `time_s`, the last frame's time or later."""
        ...

    def note_pictures(self, pictures: Collection[int]) -> None:
        """Note the ids of the tracks that follow pictures on walls.

        A track that is no longer among them ends, and a new one begins at its face.
        """
        ...

    def apply(self, config: TrackerConfig) -> None:
        """Apply new settings without losing a track."""
        ...


class SearchPlanner(Protocol):
    """Decides where one camera's frames are searched. Each frame is planned, searched, then reviewed."""

    def plan(self, frame: Frame, expected: Sequence[Expected]) -> Sequence[Box] | None:
        """Return the boxes to search in a frame, or None to search the whole frame."""
        ...

    def review(self, faces: Sequence[Face]) -> bool:
        """Check whether the planned frame must be searched whole after all.

        Args:
            faces: the faces that the last search of this frame found.
        """
        ...

    def apply(self, config: DetectorConfig) -> None:
        """Apply new settings."""
        ...


class Policy(Protocol):
    """Decides which events one camera's tracks cause."""

    def decide(self, tracks: Sequence[Track], time_s: float, frame: int) -> Sequence[Event]:
        """Return the events of the frame with the index `frame`. The verdict `unknown` causes none."""
        ...

    def apply(self, config: PolicyConfig) -> None:
        """Apply new settings. The change repeats no event."""
        ...


class Sink(Protocol):
    """Takes events in this process, such as the log or the store."""

    def send(self, event: Event) -> None:
        """Deliver one event. The call may block or fail, so callers must not hold up frames for it."""
        ...

    def close(self) -> None:
        """Deliver the remaining events and free all resources."""
        ...


class Output(Protocol):
    """Delivers the store's events to another system, each at least once and in order."""

    @property
    def name(self) -> str:
        """Return the output's name in messages, in counters and in the store."""
        ...

    @property
    def batch(self) -> int:
        """Return the largest number of events that `deliver` takes at once."""
        ...

    @property
    def trouble(self) -> str | None:
        """Return why a delivery would fail now, or None if no reason is known."""
        ...

    def wants(self, stored: StoredEvent) -> bool:
        """Check whether the output sends such an event. All others count as delivered."""
        ...

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Deliver events in order and return how many of them have safely arrived.

        The others are delivered again later. The call may block for as long as the output's own time-out.

        Raises:
            OutputError: no event has arrived.
        """
        ...

    def close(self) -> None:
        """Free all resources. A `deliver` that blocks in another thread ends soon."""
        ...
