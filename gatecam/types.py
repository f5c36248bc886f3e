"""Define the values that the packages pass to each other.

All of them are frozen. Those that carry arrays compare by identity. Boxes and landmarks are in pixels of
their frame. Times are in seconds of the frame's own monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Floats = NDArray[np.float32]


class Verdict(StrEnum):
    """Says how a person wears a mask. It is `UNKNOWN` below the minimum confidence."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    NONE = "none"
    UNKNOWN = "unknown"


class EventKind(StrEnum):
    """Says what an event reports."""

    MASK_MISSING = "mask_missing"
    MASK_INCORRECT = "mask_incorrect"
    MASK_REMINDER = "mask_reminder"
    MASK_OK = "mask_ok"
    CAMERA_BLIND = "camera_blind"
    CAMERA_OK = "camera_ok"
    TOO_SLOW = "too_slow"
    FAST_ENOUGH = "fast_enough"
    DOOR_SILENT = "door_silent"
    DOOR_BACK = "door_back"
    DOORS_SILENT = "doors_silent"
    DOORS_BACK = "doors_back"

    @property
    def is_alert(self) -> bool:
        """Return whether the event asks somebody to act."""
        return self not in (
            EventKind.MASK_OK,
            EventKind.CAMERA_OK,
            EventKind.FAST_ENOUGH,
            EventKind.DOOR_BACK,
            EventKind.DOORS_BACK,
        )

    @property
    def is_camera(self) -> bool:
        """Return whether the event is about a camera, or a whole door, rather than a person."""
        return self in _CAMERA_KINDS


_CAMERA_KINDS = (
    EventKind.CAMERA_BLIND,
    EventKind.CAMERA_OK,
    EventKind.TOO_SLOW,
    EventKind.FAST_ENOUGH,
    EventKind.DOOR_SILENT,
    EventKind.DOOR_BACK,
    EventKind.DOORS_SILENT,
    EventKind.DOORS_BACK,
)


TEST = "test"  # the reason of an event that only tests an output
TOGETHER = "together"  # the reason of an event that no output gets, because another one sums it up


def _expect_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, from `x1, y1` (top left) to `x2, y2` (bottom right).

    A box may extend beyond the edges of its frame.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """Return the width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Return the height in pixels."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Return the area in square pixels. It is 0 if the width or height is negative."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        """Return the center as `(x, y)`."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2


HELD_PIXELS = 2 * 7680 * 4320  # limit for frames that wait in one queue: two of 8K or eight of 4K, 200 MB


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Holds one picture of a camera or file. `time_s` is monotonic and `image` is (H, W, 3) uint8 RGB."""

    camera: str
    index: int
    time_s: float
    image: Image

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"image: expected shape (H, W, 3), got {self.image.shape}")

    @property
    def pixels(self) -> int:
        """Return the number of pixels in the picture."""
        height, width = self.image.shape[:2]
        return int(height * width)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face that the detector found.

    `landmarks` is None or a (5, 2) array with the points of the eyes, the nose and the mouth corners.
    """

    box: Box
    score: float
    landmarks: Floats | None = None

    def __post_init__(self) -> None:
        if self.landmarks is not None:
            _expect_shape("landmarks", self.landmarks, (5, 2))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Holds calibrated probabilities: mask (3,), gender (2,) and age (3,), in the order of `labels`."""

    mask: Floats
    gender: Floats
    age: Floats

    def __post_init__(self) -> None:
        _expect_shape("mask", self.mask, (3,))
        _expect_shape("gender", self.gender, (2,))
        _expect_shape("age", self.age, (3,))

    @property
    def class_id(self) -> int:
        """Return the most likely of the 18 classes, 0 to 17, from each head's most likely label."""
        return int(6 * self.mask.argmax() + 3 * self.gender.argmax() + self.age.argmax())


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Holds a coarse layout of the colors around a face: hair, neck, shoulders and clothes.

    `colors` is (rows, columns, 3) in CIE Lab. `weights` is (rows, columns), and 0 where a cell lies outside
    the picture. The cells of the face itself are empty, so this is no face template. It stays in memory for
    seconds and is never stored.
    """

    colors: Floats
    weights: Floats

    def __post_init__(self) -> None:
        _expect_shape("weights", self.weights, self.colors.shape[:2])


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detection with the classifier's prediction.

    If `judged` is False, the prediction is an older one of the same track, which must not count again.
    `looks` is None if it is not known.
    """

    detection: Detection
    prediction: Prediction
    judged: bool = True
    looks: Looks | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A snapshot of one person who is followed over frames.

    `hits` counts the frames with a face. `age_s` is the time since the first of them. `missing_s` is the time
    since the last, 0 if the face is in this frame. `probability` is the smoothed probability of `verdict`.
    `faces` holds the face of this frame, or is empty while the track continues without one. `is_picture` is
    True until the face has moved, so pictures on walls and screens keep it. Such a track causes no event, is
    not counted and is never the nearest person. `looks` is the mean of the person's recent faces, if known.
    """

    id: int
    box: Box
    hits: int
    age_s: float
    verdict: Verdict
    faces: tuple[Face, ...] = ()
    probability: float = 0.0
    missing_s: float = 0.0
    is_picture: bool = False
    looks: Looks | None = None

    @property
    def in_view(self) -> bool:
        """Return whether this is a person whose face is in this frame."""
        return self.missing_s == 0 and not self.is_picture


@dataclass(frozen=True, slots=True)
class Expected:
    """Predicts where a track's face is in the next frame.

    `seen` says whether the track had a face in the last frame. `known` is a prediction recent enough that the
    face need not be classified again, or None. `missing_s` is the time since the last face. `is_picture` says
    that the track follows a picture on a wall, which stays in its place.
    """

    box: Box
    seen: bool
    known: Prediction | None = None
    missing_s: float = 0.0
    is_picture: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Reports something about a track or a camera.

    `frame` is the index of the frame that caused the event. `at` is the date and time (ISO 8601), which only
    live events have. `first` marks the first event of a person, so each person has one.

    An event about a door that is silent or back has the name of the door in `camera`. If many are so at once,
    one event sums them up, with their number and first names in `reason`.

    An event about a camera has `track_id` 0 and the verdict `UNKNOWN`. Its `reason` is the `Blindness` or
    `Slowness` that began or ended, or `TEST`. `reason` is empty for a track.

    `came_s` is set only on the first `mask_ok` of a person who had an earlier event. It is the time of that
    person's first event, on the clock of `time_s`.

    `key` is globally unique. Only live events have one, and the store gives one to each of the others.
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
    key: str = field(default="", compare=False)


class Answer(StrEnum):
    """Says what the operator answered about an event: that it is right, or what the camera really showed."""

    RIGHT = "right"
    NOT_PERSON = "not_person"
    CORRECT = "correct"
    INCORRECT = "incorrect"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event from the store. `id` increases from event to event, and `key` is globally unique.

    `answer` is what the operator said about it. `ended_ms` is the time at which what it reports ended, in ms
    since 1970. `said` lists what was played aloud, such as `tone, ko, en`.
    """

    id: int
    key: str
    event: Event
    answer: Answer | None = None
    ended_ms: int | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Presence:
    """Describes what one camera sees now: the number of people, and the verdict of the person to speak to.

    The verdict is None while nobody is there or the camera is blind. `blindness` is the reason if the camera
    is blind, and `slowness` the reason if its frames are judged too slowly. Otherwise they are empty.
    `track_id` and `box` are those of the person to speak to. `box` is only where that person was when
    something else changed, because a step by itself is no news.
    """

    camera: str
    people: int = 0
    verdict: Verdict | None = None
    blindness: str = ""
    slowness: str = ""
    track_id: int = 0
    box: Box | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Holds the pipeline's result for one frame.

    `addressed` is the track of the person whom the screen speaks to, or None if nobody is there.
    """

    frame: Frame
    faces: tuple[Face, ...]
    tracks: tuple[Track, ...]
    events: tuple[Event, ...]
    addressed: Track | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """Holds the result of one turn of the live loop.

    `steps` has a step for each camera with a new frame. `camera_events` are the events about cameras.
    """

    time_s: float
    steps: tuple[Step, ...]
    camera_events: tuple[Event, ...]

    @property
    def events(self) -> tuple[Event, ...]:
        """Return all events, first those about people, then those about cameras."""
        return (*(event for step in self.steps for event in step.events), *self.camera_events)

    def without(self, camera: str) -> Round:
        """Return the round without the steps of a camera."""
        return replace(self, steps=tuple(step for step in self.steps if step.frame.camera != camera))


class CameraCondition(StrEnum):
    """Says whether a camera sees. It is `OPENING` until the first picture comes or opening fails."""

    OPENING = "opening"
    OPEN = "open"
    BLIND = "blind"
    LOST = "lost"


class Blindness(StrEnum):
    """Says why a camera is blind: it gives no pictures, or its pictures are unusable."""

    LOST = "lost"
    FROZEN = "frozen"
    COVERED = "covered"
    DARK = "dark"
    BLINDED = "blinded"
    UNFOCUSED = "unfocused"
    TURNED = "turned"


class Slowness(StrEnum):
    """Says why a camera is too slow: too few of its frames are judged, or they are judged too late."""

    FEW_FRAMES = "few_frames"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class CameraState:
    """Describes the condition of a camera since the monotonic time `since_s`.

    `reason` is a sentence for the operator if the camera is lost, a `Blindness` if it is blind, and empty
    otherwise. For a lost camera, `since_s` is the time of its last picture.
    """

    kind: CameraCondition
    reason: str
    since_s: float

    @property
    def sees(self) -> bool:
        """Return whether the camera delivers usable pictures."""
        return self.kind is CameraCondition.OPEN

    @property
    def blindness(self) -> str:
        """Return the reason why the camera is blind. It is empty while the camera sees or opens."""
        if self.kind is CameraCondition.LOST:
            return Blindness.LOST
        return self.reason if self.kind is CameraCondition.BLIND else ""
