"""Draw scenes at an entrance with their truth: queues, twins, posters, masks that come off, and more.

A scene is made from its kind and a seed. `Scene.write` makes a video and the lines of a truth for
`gatecam evaluate-events`. A person is judged from where a human would say so: not while the face is small,
cut by the frame, hidden behind somebody nearer, or while a mask is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps

from benchmarks.drawn_people import EYES, FACE_WIDTH, UNIT, FaceFile, Figure, Pot, pick_face
from gatecam.bench.events.truth import State
from gatecam.capture.images import read_image
from gatecam.pictures.video import VideoWriter
from gatecam.types import Floats, Image

SIZE = (640, 480)
EYES_Y = 0.36  # height of eyes in parts of the picture's height
SMALL_PX = 38  # a smaller face need not be judged
HIDDEN = 0.12  # share of a face behind somebody nearer
CHANGE_S = 0.24  # from the first move of a mask until a human says what it is
FADE_S = 0.08
PLACE_EVERY_S = 0.25
SHORTEST_S = 0.7  # a state that is seen for less is open
BLINK_S = 0.13
COLUMNS = ("clip", "person", "from_s", "to_s", "state", "never", "x", "y", "width")

STATES = {
    "bare": State.NONE,
    "right": State.CORRECT,
    "under_nose": State.INCORRECT,
    "under_chin": State.INCORRECT,
    "hand": State.NONE,
    "phone": State.NONE,
    "held": State.NONE,
}
# what a mask passes on its way from one look to another
WAYS = {("right", "bare"): ("under_nose", "under_chin"), ("bare", "right"): ("under_chin", "under_nose")}


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Where somebody is at a time: `x` in parts of the width, and the face's width in px."""

    time_s: float
    x: float
    face_px: float


@dataclass(slots=True)
class Actor:
    """A person with a way and looks, or a picture or pot. `tall` shifts the eyes, in face widths."""

    name: str
    figure: Figure | Pot
    path: list[Waypoint]
    looks: list[tuple[float, str]]
    is_picture: bool = False
    tall: float = 0.0
    sway: float = 1.0
    phase: float = 0.0
    blinks_s: list[float] = field(default_factory=list)

    def place(self, time_s: float) -> tuple[float, float] | None:
        """Where the face is, as x in parts of the width and width in px. None: not in the scene."""
        for start, end in pairwise(self.path):
            if start.time_s <= time_s < end.time_s:
                part = (time_s - start.time_s) / (end.time_s - start.time_s)
                eased = part * part * (3 - 2 * part)
                far = (1 - eased) / start.face_px + eased / end.face_px  # even in the room
                return start.x + eased * (end.x - start.x), 1 / far
        return None

    def _change(self, time_s: float) -> tuple[str, str, float]:
        """The look before the latest change, the look after it, and the time since it."""
        before, after, since = self.looks[0][1], self.looks[0][1], 99.0
        for (_, old), (at_s, new) in pairwise(self.looks):
            if time_s >= at_s:
                before, after, since = old, new, time_s - at_s
        return before, after, since

    def portrait(self, time_s: float, soft_px: float) -> Image:
        """The person as they look at a time, blurred."""
        blinks = any(at_s <= time_s < at_s + BLINK_S for at_s in self.blinks_s)
        before, after, since = self._change(time_s)
        stages = [before, *WAYS.get((before, after), ()), after]
        stage = since / FADE_S
        index = min(int(stage), len(stages) - 2)
        share = min(1.0, stage - index)
        if len(stages) < 2 or share >= 1 or before == after:
            return self.figure.portrait(after, blinks, soft_px)
        old, new = (self.figure.portrait(stages[i], blinks, soft_px) for i in (index, index + 1))
        return cv2.addWeighted(old, 1 - share, new, share, 0)

    def state(self, time_s: float) -> State:
        """What a human says of the person, if the face is well in view."""
        if self.is_picture:
            return State.PICTURE
        before, after, since = self._change(time_s)
        if since < CHANGE_S and STATES[before] is not STATES[after]:
            return State.ANY
        return STATES[after]


@dataclass(slots=True)
class Scene:
    """A scene with its camera: frames a second, gain and cast of the light, and noise."""

    name: str
    actors: list[Actor]
    length_s: float
    fps: float
    light: Floats
    noise: float
    background: Image
    seed: int

    def write(self, folder: Path) -> list[tuple[object, ...]]:
        """Write the video into a folder, and return the lines of its truth."""
        lines = _Lines(f"{self.name}.mp4")
        with VideoWriter(folder / f"{self.name}.mp4", self.fps) as video:
            for index, (image, seen) in enumerate(self.frames()):
                video.write(image, index / self.fps)
                lines.add(index / self.fps, seen)
        return lines.close(self.length_s)

    def frames(self) -> Iterator[tuple[Image, dict[str, tuple[State, float, float, float]]]]:
        """Yield each picture, and for everybody in it the state and the face's x, y and width in px."""
        rng = np.random.default_rng(self.seed)
        width, height = SIZE
        grain = rng.normal(0, self.noise, (height + 32, width + 32, 3)).round().astype(np.int16)
        for index in range(round(self.length_s * self.fps)):
            time_s = index / self.fps
            picture, faces = self.background.copy(), {}
            there = [(place, actor) for actor in self.actors if (place := actor.place(time_s)) is not None]
            for place, actor in sorted(there, key=lambda one: (not one[1].is_picture, one[0][1])):
                x, y, face_px, angle = _posed(actor, place, time_s, rng)
                if actor.is_picture and isinstance(actor.figure, Figure):
                    _hang(picture, x, y, face_px)
                cover = _lay(picture, actor, time_s, x, y, face_px, angle)
                for other in faces.values():
                    other[4] = max(other[4], _hidden(cover, other))
                faces[actor.name] = [actor.state(time_s), x, y + 0.2 * face_px, face_px, 0.0]
            light = self.light * (1 + 0.01 * np.sin(2 * np.pi * 0.7 * time_s))
            picture = cv2.multiply(picture, (*light.tolist(), 0))
            dx, dy = rng.integers(0, 32, 2)
            yield (
                cv2.add(picture, grain[dy : dy + height, dx : dx + width], dtype=cv2.CV_8U),
                {
                    name: (_seen(*face), *face[1:4])
                    for name, face in faces.items()
                    if -face[3] / 2 < face[1] < width + face[3] / 2
                    and not (face[0] is State.PICTURE and face[4] > HIDDEN)
                },
            )


def _posed(
    actor: Actor, place: tuple[float, float], time_s: float, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Where the middle between the eyes is, the face's width, and the head's tilt, with breath and gait."""
    x, face_px = place
    width, height = SIZE
    eyes_y = EYES_Y * height - actor.tall * face_px
    if actor.is_picture:
        return x * width, eyes_y, face_px, 0.0
    t, sway = time_s + actor.phase, actor.sway
    nearby = actor.place(time_s + 0.1) or place
    walks = min(1.0, 30 * abs(nearby[0] - x) + abs(nearby[1] - face_px) / 3)
    gait = np.sin(2 * np.pi * 1.8 * t) * walks
    aside = (0.03 * np.sin(1.1 * t) + 0.015 * np.sin(2.9 * t)) * sway
    rise = (0.012 * np.sin(2 * np.pi * 0.27 * t) + 0.01 * np.sin(1.7 * t)) * sway + 0.04 * abs(gait)
    return (
        x * width + (aside + 0.02 * gait) * face_px + rng.normal(0, 0.15),
        eyes_y + rise * face_px + rng.normal(0, 0.15),
        face_px * (1 + 0.008 * sway * np.sin(0.9 * t)),
        (2.0 * np.sin(0.8 * t) + 1.0 * np.sin(2.1 * t)) * sway + 1.5 * gait,
    )


def _lay(
    picture: Image, actor: Actor, time_s: float, x: float, y: float, face_px: float, angle: float
) -> tuple[Image, int, int]:
    """Lay somebody over the picture. Return the alpha, and where it begins."""
    scale = face_px / (FACE_WIDTH * UNIT)
    soft_px = round(4 * 0.4 / scale) / 4 if scale < 0.8 else 0.0
    portrait = actor.portrait(time_s, soft_px)
    height, width = picture.shape[:2]
    left, top = round(x - EYES[0] * scale) - 6, round(y - EYES[1] * scale) - 6
    rows = 7 * UNIT if actor.is_picture else min(len(portrait), int((height - top) / scale) + 8)
    x1, y1 = max(0, left), max(0, top)
    x2 = min(width, left + round(portrait.shape[1] * scale) + 12)
    y2 = min(height, top + round(rows * scale) + 12)
    if x2 <= x1 or y2 <= y1:
        return np.zeros((0, 0), np.uint8), 0, 0
    to_frame = cv2.getRotationMatrix2D(EYES, angle, scale)
    to_frame[:, 2] += (x - EYES[0] - x1, y - EYES[1] - y1)
    laid = cv2.warpAffine(portrait[:rows], to_frame, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR)
    alpha = np.ascontiguousarray(laid[..., 3])
    around = cv2.multiply(picture[y1:y2, x1:x2], cv2.merge([255 - alpha] * 3), scale=1 / 255)
    picture[y1:y2, x1:x2] = cv2.add(around, np.ascontiguousarray(laid[..., :3]))
    return alpha, x1, y1


def _hang(picture: Image, x: float, y: float, face_px: float) -> None:
    """Paint the sheet and the frame of a poster around a face."""
    for grow, color in ((1.0, (60, 45, 30)), (0.93, (205, 214, 220))):
        x1, x2 = round(x - 1.45 * grow * face_px), round(x + 1.45 * grow * face_px)
        y1, y2 = round(y - (1.3 + 0.1 * grow) * face_px), round(y + (1.85 + 0.1 * grow) * face_px)
        cv2.rectangle(picture, (x1, y1), (x2, y2), color, -1)


def _hidden(cover: tuple[Image, int, int], face: list[float]) -> float:
    """The share of a face's box that a layer covers."""
    alpha, left, top = cover
    _, x, y, width, _ = face
    x1, x2 = (round(value) - left for value in (x - width / 2, x + width / 2))
    y1, y2 = (round(value) - top for value in (y - 0.6 * width, y + 0.6 * width))
    part = alpha[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
    return float(part.sum()) / 255 / max(1.0, (x2 - x1) * (y2 - y1))


def _seen(state: State, x: float, y: float, width: float, hidden: float) -> State:
    """The state as far as it can be seen."""
    is_cut = x - 0.55 * width < 0 or x + 0.55 * width > SIZE[0]
    if state is State.PICTURE:
        return state
    return State.ANY if is_cut or width < SMALL_PX or hidden > HIDDEN else state


class _Lines:
    """Joins what is seen in each frame to the lines of a truth."""

    def __init__(self, clip: str) -> None:
        self._clip = clip
        self._spans: dict[str, list[list[object]]] = {}

    def add(self, time_s: float, seen: dict[str, tuple[State, float, float, float]]) -> None:
        for name, (state, x, y, width) in seen.items():
            spans = self._spans.setdefault(name, [])
            last = spans[-1] if spans else None
            is_on = last is not None and last[1] is None
            if is_on and last is not None and last[2] is state and time_s - last[0] < PLACE_EVERY_S:
                continue
            if is_on and last is not None:
                last[1] = time_s
            spans.append([time_s, None, state, x, y, width])
        for name, spans in self._spans.items():
            if name not in seen and spans[-1][1] is None:
                spans[-1][1] = time_s

    def close(self, end_s: float) -> list[tuple[object, ...]]:
        lines: list[tuple[object, ...]] = [] if self._spans else [(self._clip, *[""] * 8)]
        for name, spans in self._spans.items():
            if spans[-1][1] is None:
                spans[-1][1] = end_s
            for from_s, to_s, state, x, y, width in _without_glimpses(spans):
                at = (f"{from_s:.3f}", f"{to_s:.3f}", state, "")
                lines.append((self._clip, name, *at, f"{x:.0f}", f"{y:.0f}", f"{width:.0f}"))
        return lines


def _without_glimpses(spans: list[list]) -> list[list]:
    """Leave open what is seen for a glimpse only."""
    start = 0
    for index in range(1, len(spans) + 1):
        if (
            index < len(spans)
            and spans[index][2] is spans[start][2]
            and spans[index][0] == spans[index - 1][1]
        ):
            continue
        run = spans[start:index]
        if run[-1][1] - run[0][0] < SHORTEST_S and run[0][2] is not State.PICTURE:
            for span in run:
                span[2] = State.ANY
        start = index
    return spans


class Stage:
    """Makes scenes with people from a collection of faces."""

    def __init__(self, faces: list[FaceFile], seed: int, backgrounds: Sequence[Path] = ()) -> None:
        self._faces, self._seed, self._backgrounds = faces, seed, backgrounds

    def name(self, number: int) -> str:
        """The name of the scene with a number. Kinds take turns."""
        return f"{list(KINDS)[number % len(KINDS)]}-{self._seed}-{number:03}"

    def scene(self, number: int) -> Scene:
        """The scene with a number."""
        kind = list(KINDS)[number % len(KINDS)]
        rng = np.random.default_rng((self._seed, number))
        actors, length_s = KINDS[kind](self, rng)
        for actor in actors:
            actor.tall, actor.phase = rng.uniform(-0.25, 0.25), rng.uniform(0, 20)
            if not actor.is_picture:
                actor.blinks_s = list(np.cumsum(rng.uniform(1.2, 5, 20)))
        return Scene(
            self.name(number),
            actors,
            length_s,
            float(rng.choice([10, 12, 15, 20])),
            (rng.uniform(0.55, 1.15) * rng.uniform(0.94, 1.06, 3)).astype(np.float32),
            rng.uniform(1, 6),
            self._background(rng),
            int(rng.integers(2**31)),
        )

    def _background(self, rng: np.random.Generator) -> Image:
        if not self._backgrounds:
            return _wall(rng)
        picture = PIL.Image.fromarray(read_image(self._backgrounds[rng.integers(len(self._backgrounds))]))
        return np.asarray(PIL.ImageOps.fit(picture, SIZE))

    def figure(self, rng: np.random.Generator) -> Figure:
        """Somebody new."""
        return Figure(pick_face(self._faces, rng), int(rng.integers(2**31)))


def _wall(rng: np.random.Generator) -> Image:
    """An entrance (H, W, 3) without people: a wall, a door, panels, a floor and uneven light."""
    width, height = SIZE
    tone = rng.uniform(90, 215) * rng.uniform(0.9, 1.1, 3)
    wall = np.ones((height, width, 3), np.float32) * tone.astype(np.float32)
    for _ in range(rng.integers(2, 7)):
        x1, y1 = rng.integers(0, width), rng.integers(0, height)
        x2, y2 = x1 + rng.integers(20, 260), y1 + rng.integers(20, 300)
        color = (tone * rng.uniform(0.5, 1.3) + rng.normal(0, 18, 3)).tolist()
        cv2.rectangle(wall, (int(x1), int(y1)), (int(x2), int(y2)), color, -1 if rng.random() < 0.6 else 2)
    floor = round(height * rng.uniform(0.75, 0.95))
    wall[floor:] = tone * rng.uniform(0.4, 0.9)
    uneven = cv2.resize(
        rng.uniform(0.82, 1.12, (4, 5)).astype(np.float32), SIZE, interpolation=cv2.INTER_CUBIC
    )
    wall = cv2.GaussianBlur(wall * uneven[..., None], (0, 0), rng.uniform(0.6, 3))
    fine = cv2.GaussianBlur(rng.normal(0, 5, wall.shape[:2]).astype(np.float32), (0, 0), 0.8)
    return np.clip(wall + fine[..., None], 0, 255).astype(np.uint8)


# Kinds of scenes: each returns the actors and the length ---------------------------------------

Cast = tuple[list[Actor], float]


def _size(rng: np.random.Generator) -> float:
    return float(rng.uniform(55, 115))


def _stands(
    rng: np.random.Generator, from_s: float, to_s: float, x: float, near: float, side: float | None = None
) -> list[Waypoint]:
    """Come from a side, stand, and leave to the other side."""
    came = side if side is not None else float(rng.choice([-0.25, 1.25]))
    move_s = rng.uniform(0.5, 1.0)
    return [
        Waypoint(from_s, came, near * 0.9),
        Waypoint(from_s + move_s, x, near),
        Waypoint(to_s - move_s, x, near),
        Waypoint(to_s, 1 - came, near * 0.95),
    ]


def _queue(stage: Stage, rng: np.random.Generator) -> Cast:
    """People one after the other on one spot. The next comes 1.2 s after one has left."""
    near, x, start, actors = _size(rng), rng.uniform(0.35, 0.65), 0.3, []
    move_s, came, left = {0: (0.0, x, x), 1: (0.6, -0.25, -0.25), 2: (0.6, -0.25, 1.25)}[int(rng.integers(3))]
    for index in range(4):
        leaves = start + move_s + rng.uniform(1.4, 2.6)
        path = [Waypoint(start + move_s, x, near), Waypoint(leaves, x, near)]
        if move_s:
            path = [Waypoint(start, came, near), *path, Waypoint(leaves + move_s, left, near)]
        look = "bare" if rng.random() < 0.75 else "right"
        actors.append(Actor(f"{index + 1}", stage.figure(rng), path, [(0, look)]))
        start = leaves + move_s + 1.2
    return actors, start


def _return(stage: Stage, rng: np.random.Generator) -> Cast:
    near, x = _size(rng), rng.uniform(0.35, 0.65)
    away = rng.uniform(0.9, 2.2)
    look = "bare" if rng.random() < 0.8 else "right"
    path = [
        Waypoint(0.3, -0.25, near),
        Waypoint(1.0, x, near),
        Waypoint(3.0, x, near),
        Waypoint(3.5, -0.2, near),
        Waypoint(3.5 + away, -0.2, near),
        Waypoint(4.0 + away, x, near),
        Waypoint(6.5 + away, x, near),
    ]
    return [Actor("1", stage.figure(rng), path, [(0, look)])], 6.5 + away


def _twins(stage: Stage, rng: np.random.Generator) -> Cast:
    near, who = _size(rng), stage.figure(rng)
    paths = [
        [Waypoint(0.3, -0.25, near), Waypoint(1.2, 0.3, near), Waypoint(3.5, 0.3, near)],
        [Waypoint(0.8, 1.25, near), Waypoint(1.7, 0.7, near), Waypoint(3.5, 0.7, near)],
    ]
    for path, goal, deep in zip(paths, (0.7, 0.3), (1.1, 0.9), strict=True):
        path += [Waypoint(4.2, 0.5, near * deep), Waypoint(4.9, goal, near), Waypoint(7.5, goal, near)]
    return [Actor(str(i + 1), who, path, [(0, "bare")]) for i, path in enumerate(paths)], 7.5


def _crossing(stage: Stage, rng: np.random.Generator) -> Cast:
    near, walk = _size(rng), rng.uniform(4.0, 6.5)
    looks = rng.permutation(["bare", str(rng.choice(["bare", "right"]))])
    paths = [
        [Waypoint(0.3, -0.25, near), Waypoint(0.3 + walk, 1.25, near)],
        [Waypoint(0.5, 1.25, near * 0.72), Waypoint(0.5 + walk, -0.25, near * 0.72)],
    ]
    actors = [
        Actor(str(i + 1), stage.figure(rng), path, [(0, str(look))])
        for i, (path, look) in enumerate(zip(paths, looks, strict=True))
    ]
    return actors, walk + 1


def _poster(stage: Stage, rng: np.random.Generator, look: str, length_s: float) -> Actor:
    x, near = float(rng.choice([0.16, 0.82])), rng.uniform(45, 85)
    path = [Waypoint(-1, x, near), Waypoint(length_s + 1, x, near)]
    return Actor("poster", stage.figure(rng), path, [(0, look)], is_picture=True)


def _poster_alone(stage: Stage, rng: np.random.Generator) -> Cast:
    return [_poster(stage, rng, "bare", 14)], 14.0


def _poster_masked(stage: Stage, rng: np.random.Generator) -> Cast:
    """A masked poster, and somebody bare who comes beside it."""
    poster = _poster(stage, rng, "right", 9)
    x = 0.55 if poster.path[0].x < 0.5 else 0.45
    visitor = Actor("1", stage.figure(rng), _stands(rng, 3, 8.5, x, _size(rng)), [(0, "bare")])
    return [poster, visitor], 9.0


def _poster_passed(stage: Stage, rng: np.random.Generator) -> Cast:
    """A poster, and people who pass before it or stand beside and before it."""
    poster = _poster(stage, rng, str(rng.choice(["bare", "right"])), 12)
    spots = (poster.path[0].x, 0.5)
    visitors = [
        Actor(
            str(i + 1),
            stage.figure(rng),
            _stands(rng, 1 + 5 * i, 5.5 + 5 * i, x, rng.uniform(80, 115)),
            [(0, str(rng.choice(["bare", "bare", "right"])))],
        )
        for i, x in enumerate(spots)
    ]
    return [poster, *visitors], 12.0


def _changing(*looks: str) -> Callable[[Stage, np.random.Generator], Cast]:
    """Somebody who comes with one look and changes to others."""

    def cast(stage: Stage, rng: np.random.Generator) -> Cast:
        at_s, worn = 0.0, []
        for look in looks:
            worn.append((at_s, look))
            at_s += rng.uniform(3.2, 4.6) if at_s == 0 else rng.uniform(1.6, 3)
        end_s = at_s + 2.5
        path = _stands(rng, 0.3, end_s, rng.uniform(0.3, 0.7), _size(rng))
        return [Actor("1", stage.figure(rng), path, worn)], end_s

    return cast


def _held(stage: Stage, rng: np.random.Generator) -> Cast:
    """Somebody bare who holds a mask before the face for a moment."""
    at_s, held_s = rng.uniform(3.2, 4.6), rng.uniform(0.4, 0.9)
    end_s = at_s + 4
    looks = [(0.0, "bare"), (at_s, "held"), (at_s + held_s, "bare")]
    path = _stands(rng, 0.3, end_s, rng.uniform(0.3, 0.7), _size(rng))
    return [Actor("1", stage.figure(rng), path, looks)], end_s


def _shelf(stage: Stage, rng: np.random.Generator) -> Cast:
    """Pots on a shelf, and somebody who passes before them, stands beside them and leaves."""
    left, near = bool(rng.random() < 0.5), rng.uniform(40, 70)
    pots = []
    for index in range(rng.integers(1, 4)):
        x = 0.1 + index * 1.6 * near / SIZE[0]
        path = [Waypoint(-1, x if left else 1 - x, near), Waypoint(12, x if left else 1 - x, near)]
        pot = Pot(int(rng.integers(2**31)))
        pots.append(Actor(f"pot {index + 1}", pot, path, [(0, "bare")], is_picture=True))
    look = str(rng.choice(["bare", "right"]))
    path = _stands(rng, 3, 9, 0.6 if left else 0.4, rng.uniform(75, 115), side=-0.25 if left else 1.25)
    return [*pots, Actor("1", stage.figure(rng), path, [(0, look)])], 10.0


def _crowd(stage: Stage, rng: np.random.Generator) -> Cast:
    actors = []
    spots = rng.permutation([0.12, 0.32, 0.5, 0.69, 0.88])
    is_masked = rng.random() < 0.4  # everybody wears a mask
    for index, x in enumerate(spots[: rng.integers(4, 6)]):
        look = "right" if is_masked else str(rng.choice(["right", "right", "bare", "under_nose"]))
        start = rng.uniform(0.2, 2.5)
        path = [
            Waypoint(start, x, 30),
            Waypoint(start + 1.5, x + rng.normal(0, 0.01), rng.uniform(50, 80)),
            Waypoint(8, x, rng.uniform(50, 80)),
        ]
        actors.append(Actor(str(index + 1), stage.figure(rng), path, [(0, look)]))
    return actors, 8.0


def _still(stage: Stage, rng: np.random.Generator) -> Cast:
    """Somebody who stands as still as people can."""
    path = _stands(rng, 0.3, 14, rng.uniform(0.3, 0.7), _size(rng))
    return [Actor("1", stage.figure(rng), path, [(0, "bare")], sway=0.35)], 14.0


KINDS: dict[str, Callable[[Stage, np.random.Generator], Cast]] = {
    "queue": _queue,
    "return": _return,
    "twins": _twins,
    "crossing": _crossing,
    "poster": _poster_alone,
    "poster_masked": _poster_masked,
    "poster_passed": _poster_passed,
    "mask_off": _changing("right", "bare"),
    "mask_on": _changing("bare", "right"),
    "under_nose": _changing("right", "under_nose"),
    "hand": _changing("bare", "hand", "bare"),
    "phone": _changing("bare", "phone", "bare"),
    "held": _held,
    "shelf": _shelf,
    "crowd": _crowd,
    "still": _still,
}
