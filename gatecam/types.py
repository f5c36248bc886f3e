"""The values that every room passes and returns.

All are frozen; those that carry arrays compare by identity. Boxes and landmarks are in pixels of
their frame, times in seconds of the frame's own monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Floats = NDArray[np.float32]


class Verdict(StrEnum):
    """What gatecam holds of a person's mask; `UNKNOWN` below the confidence bar."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    NONE = "none"
    UNKNOWN = "unknown"


class EventKind(StrEnum):
    """What an event tells."""

    MASK_MISSING = "mask_missing"
    MASK_INCORRECT = "mask_incorrect"
    MASK_REMINDER = "mask_reminder"
    MASK_OK = "mask_ok"
    CAMERA_BLIND = "camera_blind"
    CAMERA_OK = "camera_ok"
    TOO_SLOW = "too_slow"
    FAST_ENOUGH = "fast_enough"

    @property
    def is_alert(self) -> bool:
        """Whether the event asks a person to act."""
        return self not in (EventKind.MASK_OK, EventKind.CAMERA_OK, EventKind.FAST_ENOUGH)

    @property
    def is_camera(self) -> bool:
        """Whether the event tells of the camera itself rather than of a person."""
        return self in _CAMERA_KINDS


_CAMERA_KINDS = (
    EventKind.CAMERA_BLIND,
    EventKind.CAMERA_OK,
    EventKind.TOO_SLOW,
    EventKind.FAST_ENOUGH,
)


def _expect_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels: `x1, y1` top left, `x2, y2` bottom right; it may reach over the frame's edge."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Area in square pixels; 0 for a box turned inside out."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        """The middle, `(x, y)`."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2


HELD_PIXELS = 2 * 7680 * 4320  # of the frames that wait at one place, 200 MB: two of 8K, eight of 4K


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a camera or file: `time_s` is monotonic, `image` is (H, W, 3) uint8 RGB."""

    camera: str
    index: int
    time_s: float
    image: Image

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"image: expected shape (H, W, 3), got {self.image.shape}")

    @property
    def pixels(self) -> int:
        """How many pixels the picture has."""
        height, width = self.image.shape[:2]
        return int(height * width)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face that the detector found; `landmarks` are (5, 2): eyes, nose, mouth corners, or None."""

    box: Box
    score: float
    landmarks: Floats | None = None

    def __post_init__(self) -> None:
        if self.landmarks is not None:
            _expect_shape("landmarks", self.landmarks, (5, 2))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Calibrated probabilities in the order of `labels`: mask (3,), gender (2,), age (3,)."""

    mask: Floats
    gender: Floats
    age: Floats

    def __post_init__(self) -> None:
        _expect_shape("mask", self.mask, (3,))
        _expect_shape("gender", self.gender, (2,))
        _expect_shape("age", self.age, (3,))

    @property
    def class_id(self) -> int:
        """The likeliest of the 18 classes, 0 to 17: the product of the heads' likeliest labels."""
        return int(6 * self.mask.argmax() + 3 * self.gender.argmax() + self.age.argmax())


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detection with what the classifier says of it.

    Not `judged`: the prediction is that of the same track some frames ago, which counts but once.
    """

    detection: Detection
    prediction: Prediction
    judged: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A snapshot of one person followed over frames.

    `hits` counts the frames with a face, `age_s` the time since the first one, `missing_s` the time
    since the last (0 when seen in this frame). `probability` is the smoothed probability behind
    `verdict`; `faces` holds the face of this frame, or is empty when the track coasts.
    """

    id: int
    box: Box
    hits: int
    age_s: float
    verdict: Verdict
    faces: tuple[Face, ...] = ()
    probability: float = 0.0
    missing_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Expected:
    """Where a track's face should be in the next frame; `seen` if it had one in the last.

    `known` is what was judged of it so lately that it need not be judged again.
    """

    box: Box
    seen: bool
    known: Prediction | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling about a track or a camera.

    `frame` is the index of the frame that decided it, `at` the time of day (ISO 8601), which only live
    events have; `first` marks the first that its person was told: one a person. An event of a camera has
    `track_id` 0, the verdict `UNKNOWN`, and in `reason` a `Blindness` or a `Slowness`: what is wrong, or
    was. `reason` is empty for a track.

    The first `mask_ok` of a person who was alerted on coming has `came_s`: when that was, by the clock of
    `time_s`. No other event has it.
    """

    kind: EventKind
    camera: str
    track_id: int
    verdict: Verdict
    time_s: float
    frame: int = 0
    probability: float = 0.0
    reason: str = ""
    at: str = ""
    first: bool = field(default=False, compare=False)
    came_s: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that the store has: `id` grows from event to event, `key` is no other event's anywhere."""

    id: int
    key: str
    event: Event


@dataclass(frozen=True, slots=True)
class Presence:
    """What one camera sees now: how many people are there, and the verdict of the nearest of them.

    The verdict is None while nobody is there, or the camera does not see; then `blindness` says why.
    `slowness` says why its frames are judged too slowly, if they are.
    """

    camera: str
    people: int = 0
    verdict: Verdict | None = None
    blindness: str = ""
    slowness: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What the pipeline yields for each frame."""

    frame: Frame
    faces: tuple[Face, ...]
    tracks: tuple[Track, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One turn of the live loop: the steps of the cameras that had a new frame, and what cameras tell."""

    time_s: float
    steps: tuple[Step, ...]
    camera_events: tuple[Event, ...]

    @property
    def events(self) -> tuple[Event, ...]:
        """All events: those about people, then those about cameras."""
        return (*(event for step in self.steps for event in step.events), *self.camera_events)


class CameraCondition(StrEnum):
    """Whether a camera sees; `OPENING` only until it has given its first picture or failed to."""

    OPENING = "opening"
    OPEN = "open"
    BLIND = "blind"
    LOST = "lost"


class Blindness(StrEnum):
    """Why a camera does not see: it gives no pictures, or what hides its view."""

    LOST = "lost"
    FROZEN = "frozen"
    COVERED = "covered"
    DARK = "dark"
    BLINDED = "blinded"
    UNFOCUSED = "unfocused"
    TURNED = "turned"


class Slowness(StrEnum):
    """Why a camera's frames are judged too slowly: too few of them are, or too late."""

    FEW_FRAMES = "few_frames"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class CameraState:
    """How a camera is, since a monotonic time.

    `reason` is a sentence for the operator if the camera is lost, a `Blindness` if it is blind, and empty
    otherwise. A lost camera is lost since its last picture.
    """

    kind: CameraCondition
    reason: str
    since_s: float

    @property
    def sees(self) -> bool:
        """Whether pictures come that show something."""
        return self.kind is CameraCondition.OPEN

    @property
    def blindness(self) -> str:
        """Why the camera does not see: `lost`, or what hides its view; empty while it sees or opens."""
        if self.kind is CameraCondition.LOST:
            return Blindness.LOST
        return self.reason if self.kind is CameraCondition.BLIND else ""
