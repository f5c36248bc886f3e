"""The seams between the rooms, on one screen. Each part stands behind one of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol

from gatecam.settings.config import Config, DetectorConfig, PolicyConfig, TrackerConfig
from gatecam.types import Box, Event, Expected, Face, Frame, Image, Prediction, StoredEvent, Track


class FrameSource(Protocol):
    """Where frames come from: a context manager over an iterator; leaving it frees the device."""

    def __enter__(self) -> Iterator[Frame]: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FaceAnalyzer(Protocol):
    """Finds and judges the faces of a batch of images (unlike sizes allowed)."""

    def analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        cameras: Sequence[str] | None = None,
        expected: Sequence[Sequence[Expected]] | None = None,
    ) -> list[list[Face]]:
        """One list of faces an image, empty where there are none.

        `hints` hold for each image the boxes to look at and nowhere else, or None to search it whole;
        `cameras` the name of the camera that it is of, whose door and region then count; `expected` the
        tracks of that camera, of which those that are known lend their faces what was judged of them.
        """
        ...

    @property
    def device(self) -> str:
        """Where the networks run now."""
        ...

    @property
    def reason(self) -> str:
        """Why there, as words for a user."""
        ...

    def apply(self, config: Config) -> None:
        """From the next batch on go by other settings, in all that can change while it runs."""
        ...


class FaceFinder(Protocol):
    """Finds all that may be a face, to blur it."""

    def find(self, image: Image, largest_px: int | None = None) -> list[Box]:
        """Where faces may be; a picture wider than `largest_px` is searched at that width."""
        ...


class CropClassifier(Protocol):
    """Judges pictures that are faces already."""

    def classify_crops(self, images: Sequence[Image]) -> list[Prediction]:
        """Return one prediction an image, each one face with whatever margin around it."""
        ...


class Tracker(Protocol):
    """Joins the faces of one camera's frames into tracks, and smooths their verdicts."""

    def update(self, faces: Sequence[Face], time_s: float) -> Sequence[Track]:
        """The confirmed tracks after a frame's faces; `time_s` must not go back."""
        ...

    def expected(self, time_s: float) -> Sequence[Expected]:
        """Where the face of every living track should be at a time from the last frame's on."""
        ...

    def apply(self, config: TrackerConfig) -> None:
        """Go on by other settings; no track is lost."""
        ...


class SearchPlanner(Protocol):
    """Decides where one camera's frames are searched; each frame is planned, searched, then reviewed."""

    def plan(self, frame: Frame, expected: Sequence[Expected]) -> Sequence[Box] | None:
        """The boxes to look at in a frame, or None to search it whole."""
        ...

    def review(self, faces: Sequence[Face]) -> bool:
        """Whether that frame is to be searched whole after all; `faces` are what its last search found."""
        ...

    def apply(self, config: DetectorConfig) -> None:
        """Go on by other settings."""
        ...


class Policy(Protocol):
    """Decides what is worth telling about one camera's tracks."""

    def decide(self, tracks: Sequence[Track], time_s: float) -> Sequence[Event]:
        """The events of this frame; none for a verdict that is `unknown`."""
        ...

    def apply(self, config: PolicyConfig) -> None:
        """Go on by other settings; nobody is told anything twice for it."""
        ...


class Sink(Protocol):
    """Where events go."""

    def send(self, event: Event) -> None:
        """Deliver one event; may block or fail, the caller sees to it that frames do not wait."""
        ...

    def close(self) -> None:
        """Deliver what is left and free what is held."""
        ...


class Output(Protocol):
    """Another system that every event is delivered to, from the store: at least once, and in order."""

    @property
    def name(self) -> str:
        """Says in messages and counts, and to the store, which output it is."""
        ...

    @property
    def batch(self) -> int:
        """How many events it takes at once, at most."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why an event would not be taken now, where that is known before there is one."""
        ...

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Deliver events, in order; how many of the first ones have safely arrived, the others come again.

        May block for as long as the output's own time-out.

        Raises:
            OutputError: none has arrived.
        """
        ...

    def close(self) -> None:
        """Free what is held; a `deliver` that blocks in another thread ends soon."""
        ...
