"""Tell faces that live from pictures on walls and screens.

A track begins as a picture and becomes a person for good as soon as its place in the camera's picture changes
as only a living face changes it. `Life` remembers how that place looked in the first frame, as the mean
brightness of 12 × 12 cells of the face's box, and compares it in every frame:
  1. A change of the light scales all cells of a quarter alike, so it is fitted and taken away.
  2. In both upper quarters at least two cells must differ. Someone who passes before a picture covers it from
     one side, and hides the face before both quarters have changed.
  3. The difference must exceed the noise, which is measured in other parts of the camera's picture.
Walking, swaying, breathing and blinking all do this. Measured on the clips, people at rest pass the threshold
of 7 after 0.1 to 0.3 s. Stills with noise, compression and changing exposure stay below 5.2.

A face that has just come lives too. `Life` keeps small pictures of the whole scene from the last seconds. The
place of such a face looked different in each of them. The place of a picture looked the same in some.

Places of pictures are remembered. So a picture that was hidden for a while is known when it is free again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from gatecam.geometry import clip, iou
from gatecam.types import Box, Floats, Image, Track

CELLS = 12  # along each side of a face
LEAST_CHANGE = 7.0  # of a cell's brightness, 0 to 255
NOISE_SIGMAS = 5.0
MOST_NOISE = 4.0  # a scene that moves everywhere is no noise
SIGMA_PER_MEDIAN = 1.4826  # standard deviation / median absolute deviation of a normal distribution
LEAST_GAIN, MOST_GAIN = 0.5, 2.0  # of a change of the light
CHANGED_CELLS = 2  # in each upper quarter
CHANGED_FRAMES = 2  # in a row, so that one broken frame is no life ...
SURE_CHANGE = 3.0  # ... unless the change is this many times what noise can cause
SAME_PLACE_IOU = 0.5
PICTURE_S = 1.0  # a face without life for this long is remembered as a picture
MOST_PLACES = 32
SCENE_ROWS, SCENE_COLUMNS = 90, 160  # of the small pictures of the scene
SCENE_S, SCENES, LEAST_SCENES = 1.0, 8, 2  # time between two, how many are kept, and how many are needed
FOUND_LATE_S = 1.5  # a face may have been there this long before it was found
COME_CHANGE = 10.0  # of half of the cells, 0 to 255
FORGET_S = 600.0  # a picture's place that shows no face for this long is forgotten

_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 0.5), (1.0, 0.5))  # where the noise is measured


@dataclass(slots=True, eq=False)
class _Place:
    """Remembers how the place of a track's face, and four other places, looked in the first frame."""

    track_id: int
    box: Box
    corners: tuple[Box, ...]
    cells: Floats  # (CELLS, CELLS)
    still: tuple[Floats, ...]
    since_s: float
    seen_s: float
    changed: int = 0  # frames in a row with a change


class Life:
    """Marks the tracks of one camera that have shown no life as pictures."""

    def __init__(self) -> None:
        self._alive: set[int] = set()
        self._places: dict[int, _Place] = {}  # by track
        self._scenes: deque[tuple[float, Floats]] = deque(maxlen=SCENES)  # times and brightness
        self._pictures: list[_Place] = []  # places of tracks that ended, or are still there

    def mark(self, image: Image, tracks: Sequence[Track], time_s: float) -> tuple[Track, ...]:
        """Return the tracks of a frame, with `is_picture` set on those that have shown no life so far."""
        ids = {track.id for track in tracks}
        self._alive &= ids - {track.id for track in tracks if self._is_picture(image, track)}
        self._places = {number: place for number, place in self._places.items() if number in ids}
        for track in tracks:
            if track.looks is None:  # a fake analyzer made its faces
                self._alive.add(track.id)
            elif track.id not in self._alive and track.faces:
                self._watch(image, track, time_s)
        if not self._scenes or time_s - self._scenes[-1][0] >= SCENE_S:
            self._scenes.append((time_s, _scene(image)))
        kept = [place for place in self._pictures if time_s - place.seen_s <= FORGET_S]
        self._pictures = kept[-MOST_PLACES:]
        return tuple(
            track if track.id in self._alive else replace(track, is_picture=True) for track in tracks
        )

    def _watch(self, image: Image, track: Track, time_s: float) -> None:
        place = self._places.get(track.id)
        if place is None:
            known = self._known_picture(track.box)
            place = known or _place(image, track, time_s)
            place.changed = 0
            self._places[track.id] = place
            if known is None:
                if self._has_come(image, track, time_s):
                    self._alive.add(track.id)
                return
        change = _change_over_noise(image, place)
        place.changed = place.changed + 1 if change > 1 else 0
        if place.changed >= CHANGED_FRAMES or change > SURE_CHANGE:
            self._alive.add(track.id)
            del self._places[track.id]
            self._pictures = [one for one in self._pictures if one.track_id != track.id]
        elif not place.changed:
            place.seen_s = time_s
            if place not in self._pictures and time_s - place.since_s >= PICTURE_S:
                self._pictures.append(place)

    def _has_come(self, image: Image, track: Track, time_s: float) -> bool:
        """Check whether a new face's place looked different in each scene from before it came."""
        before = [scene for at_s, scene in self._scenes if at_s < time_s - track.age_s - FOUND_LATE_S]
        height, width = image.shape[:2]
        box = clip(track.box, width, height)
        x, y = SCENE_COLUMNS / width, SCENE_ROWS / height
        rows = slice(int(box.y1 * y), int(box.y2 * y) + 1)
        columns = slice(int(box.x1 * x), int(box.x2 * x) + 1)
        now = _scene(image)[rows, columns]
        return len(before) >= LEAST_SCENES and all(
            float(np.median(_change(scene[rows, columns], now))) > COME_CHANGE for scene in before
        )

    def _is_picture(self, image: Image, track: Track) -> bool:
        """Check whether a track is on a remembered picture that looks as it did, and not before it."""
        place = self._known_picture(track.box) if track.faces and self._pictures else None
        return place is not None and _change_over_noise(image, place) <= 1

    def _known_picture(self, box: Box) -> _Place | None:
        return next((place for place in self._pictures if iou(place.box, box) >= SAME_PLACE_IOU), None)


def _scene(image: Image) -> Floats:
    """Return the mean green values of a small picture of the scene, (SCENE_ROWS, SCENE_COLUMNS)."""
    step = max(1, image.shape[1] // (4 * SCENE_COLUMNS))
    green = cv2.extractChannel(image[::step, ::step], 1)
    small = cv2.resize(green, (SCENE_COLUMNS, SCENE_ROWS), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def _place(image: Image, track: Track, time_s: float) -> _Place:
    height, width = image.shape[:2]
    inside = clip(track.box, width, height)
    free_x, free_y = width - inside.width, height - inside.height
    corners = tuple(
        Box(x * free_x, y * free_y, x * free_x + inside.width, y * free_y + inside.height)
        for x, y in _CORNERS
    )
    still = tuple(_cells(image, corner) for corner in corners)
    return _Place(track.id, inside, corners, _cells(image, inside), still, time_s, time_s)


def _cells(image: Image, box: Box) -> Floats:
    """Return the mean green values of a box's cells, (CELLS, CELLS)."""
    x1, y1 = int(box.x1), int(box.y1)
    x2, y2 = max(x1 + 1, round(box.x2)), max(y1 + 1, round(box.y2))
    green = cv2.extractChannel(image[y1:y2, x1:x2], 1)
    return cv2.resize(green, (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(np.float32)


def _change(before: Floats, now: Floats) -> Floats:
    """Return how much each cell differs, flat, after the change of the light is taken away."""
    a, b = before - before.mean(), now - now.mean()
    spread = max(float((a * a).mean()), 1.0)
    gain = min(max(float((a * b).mean()) / spread, LEAST_GAIN), MOST_GAIN)
    return np.asarray(np.abs(b - np.float32(gain) * a), np.float32).ravel()


def _change_over_noise(image: Image, place: _Place) -> float:
    """Return the change of a face's place, as a multiple of what noise can cause."""
    now, half = _cells(image, place.box), CELLS // 2
    least = min(
        float(
            np.partition(_change(place.cells[:half, part], now[:half, part]), -CHANGED_CELLS)[-CHANGED_CELLS]
        )
        for part in (slice(half), slice(half, None))
    )
    if least <= LEAST_CHANGE:
        return least / LEAST_CHANGE
    noise = np.median(
        [
            SIGMA_PER_MEDIAN * float(np.median(_change(still, _cells(image, corner))))
            for still, corner in zip(place.still, place.corners, strict=True)
        ]
    )
    return least / max(LEAST_CHANGE, NOISE_SIGMAS * min(float(noise), MOST_NOISE))
