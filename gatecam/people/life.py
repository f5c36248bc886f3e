"""Tell faces that live from pictures on walls and screens.

A track begins as a picture and becomes a person as soon as one of these is true:
  1. It walks: in three frames in a row it moves on in one direction, out of its first place.
  2. Its place in the camera's picture changes as only a living face changes it. `Life` remembers how the
     place looked in the first frame, as the mean brightness of 12 × 12 cells of the face's box.
  3. It has just come. `Life` keeps small pictures of the whole scene from the last seconds. The place of such
     a face looked different in each of them. The place of a picture looked the same in some.

For the second rule, `Life` compares the place with its first frame in every frame. A change of the light
scales all cells of a quarter alike, so it is fitted and removed. In both upper quarters at least two cells
must differ, because someone who passes before a picture covers it from one side, and hides the face before
both quarters have changed. The difference must exceed the noise, which is measured in other parts of the
camera's picture. Swaying, breathing and blinking all do this. Measured on the clips, people at rest pass the
threshold of 7 after 0.1 to 0.3 s. Stills with noise, compression and changing exposure stay below 5.2. A face
in the dark has little contrast. The same movement changes it less, so its threshold is lower.

A face without life for a second is a picture, and its place is remembered. So a picture that was hidden for a
while is recognized when it is visible again. If the place of such a picture changes, something else is there
now, or it was somebody who stood still. `FaceTracker` then begins a new track, which inherits nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from gatecam.geometry import clip, iou
from gatecam.people.keyframes import SIGMA_PER_MEDIAN
from gatecam.people.looks import UNLIKE, unlikeness
from gatecam.types import Box, Floats, Image, Looks, Track

CELLS = 12  # along each side of a face
# A cell's brightness, 0 to 255, has changed if it differs by `LEAST_CHANGE`. In a face with little contrast
# `CHANGE_SHARE` of the standard deviation of its cells is enough, but never less than `LEAST_DARK`.
LEAST_CHANGE, CHANGE_SHARE, LEAST_DARK = 7.0, 0.25, 3.5
NOISE_SIGMAS = 5.0
MOST_NOISE = 4.0  # limit, because movement in the whole scene is not noise
LEAST_GAIN, MOST_GAIN = 0.5, 2.0  # of a change of the light
CHANGED_CELLS = 2  # in each upper quarter
CHANGED_FRAMES = 2  # in a row, so that one broken frame does not count as life
SURE_CHANGE = 3.0  # a change of this many times what noise can cause counts in a single frame
PLACE_IOU = 0.5  # a face is in a place if it overlaps the place's box this much
# A face walks if it moves in one direction for `WALK_STEPS` frames in a row. It must move at least `STEP` in
# each frame and `WALK` in all, in sides of the face.
WALK_STEPS, STEP, WALK = 3, 0.1, 0.6
PICTURE_S = 1.0  # a face without life for this long is remembered as a picture
PICTURE_CHANGED_S = 0.4  # a remembered picture must stay changed this long, because hands and shadows pass
OTHER_CHANGE = 10.0  # if half of its cells change by this much, 0 to 255, something else is there already
MOST_PATTERNS = 3  # of a picture, which looks different in shadows. A living face soon differs from all three
ADAPT_S = 20.0  # time constant with which a remembered picture follows the daylight
MOST_PLACES = 32
SCENE_ROWS, SCENE_COLUMNS = 90, 160  # of the small pictures of the scene
SCENE_S, SCENES = 0.25, 32  # time between two, and how many are kept
OUTAGE_S = 2.0  # after a longer time without a frame, the camera may have been turned
SAME_LIKENESS = 0.6  # two pictures of a place show the same if their correlation is at least this
FOUND_LATE_S = 0.15  # a face may have been there this long before it was found
FORGET_S = 600.0  # a picture's place that shows no face for this long is forgotten

_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 0.5), (1.0, 0.5))  # where the noise is measured


@dataclass(slots=True, eq=False)
class _Place:
    """Remembers how the place of a track's face, and four other places, looked in the first frame.

    `patterns` holds the brightness of the place's cells, (CELLS, CELLS) each. A picture that has changed has
    several patterns. `corners` are the boxes of the four other places, and `still` holds the brightness of
    their cells. `looks` are those of the track.
    """

    track_id: int
    box: Box
    corners: tuple[Box, ...]
    patterns: list[Floats]
    still: tuple[Floats, ...]
    looks: Looks | None
    since_s: float
    seen_s: float
    changed: int = 0  # frames in a row with a change
    changed_s: float = 0.0  # time of the first of these frames
    others: int = 0  # frames in a row in which something else is there

    def note(self, image: Image, time_s: float) -> None:
        """Compare the place with its patterns. If it is unchanged, let them follow the daylight."""
        now = _cells(image, self.box)
        changes = [_life_in(one, now) for one in self.patterns]
        change = min(changes) / self.bar(image) if min(changes) > self.least else 0.0
        if change <= 1:
            if time_s - self.since_s >= PICTURE_S:
                share = np.float32(1 - math.exp((self.seen_s - time_s) / ADAPT_S))
                pattern = self.patterns[changes.index(min(changes))]
                pattern += share * (now - pattern)
            self.changed, self.others, self.seen_s = 0, 0, time_s
            return
        if not self.changed:
            self.changed_s = time_s
        self.changed = CHANGED_FRAMES if change > SURE_CHANGE else self.changed + 1
        is_other = all(float(np.median(_change(one, now))) > OTHER_CHANGE for one in self.patterns)
        self.others = self.others + 1 if is_other else 0

    def is_unchanged(self, image: Image) -> bool:
        """Check whether the place looks as it did."""
        now = _cells(image, self.box)
        change = min(_life_in(one, now) for one in self.patterns)
        return change <= self.least or change <= self.bar(image)

    @property
    def least(self) -> float:
        """Return the smallest change that shows life without noise."""
        contrast = float(self.patterns[0].std())
        return min(max(CHANGE_SHARE * contrast, LEAST_DARK), LEAST_CHANGE)

    def bar(self, image: Image) -> float:
        """Return the smallest change that noise cannot cause. The noise is measured at four other places."""
        noises = [
            SIGMA_PER_MEDIAN * float(np.median(_change(still, _cells(image, corner))))
            for still, corner in zip(self.still, self.corners, strict=True)
        ]
        return max(self.least, NOISE_SIGMAS * min(float(np.median(noises)), MOST_NOISE))


@dataclass(slots=True)
class _Walk:
    """Counts a track's steps in one direction from `start`. `last` is the track's last center, in px."""

    start: tuple[float, float]
    last: tuple[float, float]
    steps: int = 0

    def note(self, box: Box) -> bool:
        """Add the box of a frame. Return whether the track walks."""
        side, (x, y) = math.sqrt(max(box.area, 1.0)), box.center
        step = math.hypot(x - self.last[0], y - self.last[1])
        before, now = (math.hypot(at[0] - self.start[0], at[1] - self.start[1]) for at in (self.last, (x, y)))
        if step >= STEP * side and now - before >= step / 2:
            self.steps += 1
        else:
            self.start, self.steps, now = (x, y), 0, 0.0
        self.last = (x, y)
        return self.steps >= WALK_STEPS and now >= WALK * side


class Life:
    """Marks the tracks of one camera that have shown no life as pictures."""

    def __init__(self) -> None:
        self._alive: set[int] = set()
        self._places: dict[int, _Place] = {}  # by track
        self._walks: dict[int, _Walk] = {}  # by track
        self._scenes: deque[tuple[float, Floats]] = deque(maxlen=SCENES)  # times and brightness
        self._pictures: list[_Place] = []  # places of tracks that ended, or are still there
        self._shape: tuple[int, ...] = ()  # of the images that are remembered

    @property
    def pictures(self) -> set[int]:
        """Return the ids of the tracks that follow remembered pictures.

        A picture that has changed is left out. So is a new track at the picture's place while the place looks
        changed.
        """
        return {
            number
            for number, place in self._places.items()
            if place in self._pictures and place.track_id == number
        }

    def mark(self, image: Image, tracks: Sequence[Track], time_s: float) -> tuple[Track, ...]:
        """Return the tracks of a frame, with `is_picture` set on those that have shown no life so far.

        Places are forgotten if the size of the image changes, as when a camera starts again with another one.
        """
        if self._scenes and time_s - self._scenes[-1][0] > OUTAGE_S:
            self._scenes.clear()
        if image.shape != self._shape:
            self._shape = image.shape
            self._places, self._walks, self._pictures = {}, {}, []
            self._scenes.clear()
        ids = {track.id for track in tracks}
        self._alive &= ids - {track.id for track in tracks if self._is_picture(image, track)}
        self._places = {number: place for number, place in self._places.items() if number in ids}
        self._walks = {number: walk for number, walk in self._walks.items() if number in ids}
        for track in tracks:
            if track.looks is None:  # a fake analyzer made its faces
                self._alive.add(track.id)
            elif track.id not in self._alive and track.faces:
                self._watch(image, track, time_s)
        # The clock's quarter seconds, so that replays that began at different frames keep the same scenes
        if not self._scenes or time_s // SCENE_S != self._scenes[-1][0] // SCENE_S:
            self._scenes.append((time_s, _scene(image)))
        kept = [place for place in self._pictures if time_s - place.seen_s <= FORGET_S]
        self._pictures = kept[-MOST_PLACES:]
        return tuple(
            track if track.id in self._alive else replace(track, is_picture=True) for track in tracks
        )

    def _watch(self, image: Image, track: Track, time_s: float) -> None:
        place, center = self._places.get(track.id), track.box.center
        if self._walks.setdefault(track.id, _Walk(center, center)).note(track.box):
            self._wake(track, place)
        elif place is None or iou(place.box, track.box) < PLACE_IOU:
            found = self._known_picture(track.box) or _place(image, track, time_s)
            found.changed = found.others = 0
            self._places[track.id] = found
            if place is None and found not in self._pictures and self._has_come(image, track, time_s):
                self._wake(track, found)
        else:
            place.note(image, time_s)
            self._watch_place(image, track, place, time_s)

    def _watch_place(self, image: Image, track: Track, place: _Place, time_s: float) -> None:
        if not place.changed:
            place.track_id = track.id
        is_own = place.track_id == track.id
        if place not in self._pictures:
            if place.changed >= CHANGED_FRAMES:
                self._wake(track, place)
            elif not place.changed and time_s - place.since_s >= PICTURE_S:
                self._pictures.append(place)
        elif place.others >= CHANGED_FRAMES:
            self._wake(track, place)
        elif place.changed and time_s - place.changed_s >= PICTURE_CHANGED_S:
            if is_own and len(place.patterns) < MOST_PATTERNS:
                self._wake(track, place)
                place.patterns.append(_cells(image, place.box))
            else:
                self._pictures.remove(place)
                self._wake(track, place)

    def _wake(self, track: Track, place: _Place | None) -> None:
        """Mark a track as a person. If it was on a remembered picture, the tracker begins a new one."""
        if place is None or place not in self._pictures or place.track_id != track.id:
            self._alive.add(track.id)
        self._places.pop(track.id, None)
        self._walks.pop(track.id, None)

    def _has_come(self, image: Image, track: Track, time_s: float) -> bool:
        """Check whether a new face's place looked different in each scene from before it came.

        Scenes that were much darker or brighter, as before a lamp was switched on, are left out.
        """
        now = _scene(image)
        brightness, first_s = max(float(now.mean()), 1.0), time_s - track.age_s - FOUND_LATE_S
        before = [
            scene
            for at_s, scene in self._scenes
            if at_s < first_s and LEAST_GAIN < float(scene.mean()) / brightness < MOST_GAIN
        ]
        height, width = image.shape[:2]
        box = clip(track.box, width, height)
        x, y = SCENE_COLUMNS / width, SCENE_ROWS / height
        rows = slice(int(box.y1 * y), int(box.y2 * y) + 1)
        columns = slice(int(box.x1 * x), int(box.x2 * x) + 1)
        return bool(before) and all(
            _likeness(scene[rows, columns], now[rows, columns]) < SAME_LIKENESS for scene in before
        )

    def _is_picture(self, image: Image, track: Track) -> bool:
        """Check whether a person's track has passed to a remembered picture that has not changed.

        Somebody who stood still was also remembered as a picture, and may stand in the same place again. The
        colors of clothes and hair tell the two apart.
        """
        place = self._known_picture(track.box) if track.faces and self._pictures else None
        if place is None or not place.is_unchanged(image):
            return False
        unlike = unlikeness(place.looks, track.looks, same_place=True)
        return unlike is None or unlike > UNLIKE

    def _known_picture(self, box: Box) -> _Place | None:
        return next((place for place in self._pictures if iou(place.box, box) >= PLACE_IOU), None)


def _likeness(a: Floats, b: Floats) -> float:
    """Return the correlation of two pictures of one size. The light changes it little."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(math.sqrt(float((a * a).sum()) * float((b * b).sum())), 1.0))


def _scene(image: Image) -> Floats:
    """Return the mean green values of a small picture of the scene, (SCENE_ROWS, SCENE_COLUMNS)."""
    step = max(1, image.shape[1] // (4 * SCENE_COLUMNS))
    green = np.ascontiguousarray(image[::step, ::step, 1])
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
    return _Place(track.id, inside, corners, [_cells(image, inside)], still, track.looks, time_s, time_s)


def _cells(image: Image, box: Box) -> Floats:
    """Return the mean green values of a box's cells, (CELLS, CELLS)."""
    x1, y1 = int(box.x1), int(box.y1)
    x2, y2 = max(x1 + 1, round(box.x2)), max(y1 + 1, round(box.y2))
    green = cv2.extractChannel(image[y1:y2, x1:x2], 1)
    return cv2.resize(green, (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(np.float32)


def _change(before: Floats, now: Floats) -> Floats:
    """Return how much each cell differs, flat, after the change of the light has been removed."""
    a, b = before - before.mean(), now - now.mean()
    spread = max(float((a * a).mean()), 1.0)
    gain = min(max(float((a * b).mean()) / spread, LEAST_GAIN), MOST_GAIN)
    return np.asarray(np.abs(b - np.float32(gain) * a), np.float32).ravel()


def _life_in(before: Floats, now: Floats) -> float:
    """Return how much the upper half of a face's place has changed in a way that shows life.

    This is the change that `CHANGED_CELLS` cells reach in each upper quarter, (CELLS, CELLS) each.
    """
    half = CELLS // 2
    return min(
        float(np.partition(_change(before[:half, part], now[:half, part]), -CHANGED_CELLS)[-CHANGED_CELLS])
        for part in (slice(half), slice(half, None))
    )
