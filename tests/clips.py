"""Clips that the project draws itself: people made of one portrait walk up to a desk, masked or not, and go.

`draw_walk` yields the pictures of a clip; `python tests/clips.py OUT.mp4` writes the demo's. The same call
draws the same pictures every time.

The camera stands on the desk, a little below eye height, so that a face rises in the picture as it nears, and
the desk hides where the portrait ends. All lengths of the scene are pixels of a picture 480 px high; other
sizes are scaled from that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from gatecam.capture.images import read_image
from gatecam.errors import GatecamError
from gatecam.pictures.draw import FONT_PATH
from gatecam.pictures.video import VideoWriter
from gatecam.training.drawing import MAKES, Wear, draw_mask, draw_thing
from gatecam.types import Floats, Image

DATA = Path(__file__).parent / "data"
PORTRAIT = DATA / "astronaut.png"
MATTE = DATA / "astronaut-matte.png"

# What MTCNN finds in the portrait with facenet-pytorch's weights: eyes, nose, mouth corners.
LANDMARKS = np.array(
    [[205.4, 101.5], [246.9, 103.1], [225.1, 129.2], [201.2, 139.6], [245.1, 141.1]], np.float32
)
FACE_WIDTH_PX = 88.0
EYES = (226.0, 102.0)

HEIGHT = 480.0  # of the picture that the lengths below are measured in
HORIZON_Y = 290.0  # the height of the camera
EYES_ABOVE_CAMERA = 80.0  # in pixels of the portrait
DESK_Y = 400.0

FAR_FACE_PX, NEAR_FACE_PX = 30.0, 130.0
STEPS_PER_S = 1.8
CHANGE_S = 0.3  # in which one look fades into the next
NOISE = 2.0  # standard deviation of a camera's noise, of 255
MASK_SEED = 3  # a light blue surgical mask with ear loops
HAND_SEED = 4  # four fingers over the mouth

Look = Wear | Literal["bare", "hand"]


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Where a person is at a time: `x` of the face in parts of the width, and the face's width at 480 px."""

    time_s: float
    x: float
    face_px: float


@dataclass(frozen=True, slots=True)
class Person:
    """A way through the scene, from its first waypoint to its last, and what is worn from which second on."""

    path: tuple[Waypoint, ...]
    looks: tuple[tuple[float, Look], ...] = ((0.0, "bare"),)
    mask_seed: int = MASK_SEED  # of the mask's make, colour and fit

    def face_px(self, time_s: float) -> float:
        """How wide the face is at a time in a picture 480 px high; 0 while the person is not there."""
        pose = _pose(self.path, time_s)
        return 0.0 if pose is None else pose.face_px


DEMO_S = 12.0
DEMO_LOOKS: tuple[tuple[float, Look], ...] = ((0.0, "bare"), (4.5, Wear.UNDER_NOSE), (7.5, Wear.RIGHT))


def visitor(
    looks: tuple[tuple[float, Look], ...] = DEMO_LOOKS,
    x: float = 0.5,
    start_s: float = 0.0,
    end_s: float = DEMO_S,
) -> Person:
    """Someone who nears for 3 s, stands at `x`, and walks off to the right, 1.5 s, until `end_s`."""
    path = (
        Waypoint(start_s, x, FAR_FACE_PX),
        Waypoint(start_s + 3.0, x, NEAR_FACE_PX),
        Waypoint(end_s - 1.5, x, NEAR_FACE_PX),
        Waypoint(end_s, 1.6, NEAR_FACE_PX),
    )
    return Person(path, looks)


def draw_walk(
    people: Sequence[Person], length_s: float, size: tuple[int, int] = (640, 480), fps: float = 30.0
) -> Iterator[Image]:
    """The pictures of a clip, (H, W, 3) uint8 RGB; `size` is (width, height).

    The demo's clip is `draw_walk([visitor()], DEMO_S)`, an empty entrance `draw_walk([], 1.0)`.
    """
    width, height = size
    scene = _scene(width, height)
    desk_y = round(DESK_Y * height / HEIGHT)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, NOISE, (height + 32, width + 32, 3)).astype(np.float32)
    for index in range(round(length_s * fps)):
        picture = scene.copy()
        present = [(pose, person) for person in people if (pose := _pose(person.path, index / fps))]
        for pose, person in sorted(present, key=lambda item: item[0].face_px):
            picture = _with_person(picture, _portrait_at(person, index / fps), pose)
        picture[desk_y:] = scene[desk_y:]
        x, y = rng.integers(0, 32, 2)
        yield _to_image(picture + noise[y : y + height, x : x + width])


# People ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pose:
    x: float
    face_px: float
    shift: tuple[float, float]  # of the body from where the path says, in face widths
    tilt_deg: float


def _pose(path: Sequence[Waypoint], time_s: float) -> _Pose | None:
    """Where a person is, with gait or sway; None before the first waypoint and after the last."""
    for start, end in pairwise(path):
        if start.time_s <= time_s < end.time_s:
            break
    else:
        return None
    part = (time_s - start.time_s) / (end.time_s - start.time_s)
    eased = part * part * (3 - 2 * part)
    # A walk is even in the room, not in the picture: distance goes with one over the face's width.
    distance = (1 - eased) / start.face_px + eased / end.face_px
    aside = (1 - eased) * (start.x - 0.5) / start.face_px + eased * (end.x - 0.5) / end.face_px
    walks = (start.x, start.face_px) != (end.x, end.face_px)
    life = min(1.0, 10 * part * (1 - part))  # so that gait begins and ends at rest
    beat = np.pi * (STEPS_PER_S if walks else 0.5) * time_s
    shift = (
        0.05 * life * np.sin(beat),
        0.05 * life * (abs(np.sin(beat)) if walks else 0.3 * np.sin(1.3 * beat)),
    )
    return _Pose(0.5 + aside / distance, 1 / distance, shift, 1.5 * life * np.sin(beat + 0.6))


def _portrait_at(person: Person, time_s: float) -> Floats:
    """The cut-out portrait (512, 512, 4) as it looks at a time."""
    seed = person.mask_seed
    portrait = _portrait(person.looks[0][1], seed)
    for (_, before), (since_s, after) in pairwise(person.looks):
        share = min(1.0, max(0.0, (time_s - since_s) / CHANGE_S))
        if share > 0:
            portrait = _portrait(after, seed) * share + _portrait(before, seed) * (1 - share)
    return portrait


@lru_cache(maxsize=16)
def _portrait(look: Look, mask_seed: int) -> Floats:
    """The cut-out portrait (512, 512, 4) with a look: RGB times alpha, and alpha, 0 to 255."""
    image = read_image(PORTRAIT)
    if isinstance(look, Wear):
        image = draw_mask(image, LANDMARKS, MAKES[0], look, np.random.default_rng(mask_seed)).image
    elif look == "hand":
        image = draw_thing(image, LANDMARKS, "hand", np.random.default_rng(HAND_SEED)).image
    matte = read_image(MATTE)[..., :1].astype(np.float32)
    return np.concatenate([image * (matte / 255), matte], axis=2)


def _with_person(picture: Floats, portrait: Floats, pose: _Pose) -> Floats:
    """The picture with a portrait laid over it."""
    height, width = picture.shape[:2]
    unit = height / HEIGHT
    zoom = pose.face_px / FACE_WIDTH_PX
    if zoom * unit < 0.8:
        blurred = cv2.GaussianBlur(portrait, (0, 0), 0.35 / (zoom * unit))  # else fine detail flickers
        portrait = np.asarray(blurred, np.float32)
    to_frame = cv2.getRotationMatrix2D(EYES, pose.tilt_deg, zoom * unit)
    shift_x, shift_y = pose.shift
    to_frame[0, 2] += pose.x * width + shift_x * pose.face_px * unit - EYES[0]
    to_frame[1, 2] += (HORIZON_Y - EYES_ABOVE_CAMERA * zoom + shift_y * pose.face_px) * unit - EYES[1]
    laid = cv2.warpAffine(portrait, to_frame, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(picture * (1 - laid[..., 3:] / 255) + laid[..., :3], np.float32)


# The entrance ----------------------------------------------------------------------------------


def _scene(width: int, height: int) -> Floats:
    """The empty entrance (H, W, 3), 0 to 255: a wall, a glass door with daylight behind it, a desk."""
    unit = height / HEIGHT
    middle = width / 2

    def area(x1: float, y1: float, x2: float, y2: float) -> tuple[slice, slice]:
        """The pixels of a rectangle; x counts from the middle of the picture."""
        rows = slice(round(y1 * unit), round(y2 * unit))
        return rows, slice(max(0, round(middle + x1 * unit)), max(0, round(middle + x2 * unit)))

    scene = np.empty((height, width, 3), np.float32)
    scene[:] = _fade((214, 209, 200), (176, 169, 160), height)
    scene *= 1 - 0.22 * np.linspace(-1, 1, width)[:, None] ** 2
    for x in (-430, -262, 262, 430):  # seams between wall panels
        scene[area(x - 1, 0, x + 1, 480)] *= 0.88
    scene[area(-188, 96, 188, 480)] = (74, 80, 86)
    for left, right in ((-178, -4), (4, 178)):
        _fill_glass(scene[area(left, 106, right, 480)])
    for x in (-22, 16):  # handles
        scene[area(x, 235, x + 6, 345)] = (205, 208, 210)
        scene[area(x + 4, 235, x + 6, 345)] = (120, 124, 128)
    _fill_sign(scene[area(-90, 48, 90, 82)])
    desk_y = round(DESK_Y * unit)
    scene[desk_y - round(3 * unit) : desk_y] *= 0.75
    desk = scene[desk_y:]
    desk[:] = _fade((150, 112, 78), (104, 74, 50), len(desk))
    desk[: round(4 * unit)] = (190, 152, 114)
    return scene


def _fade(top: tuple[int, int, int], bottom: tuple[int, int, int], rows: int) -> Floats:
    """(rows, 1, 3) from one colour to another."""
    return np.linspace(top, bottom, rows, dtype=np.float32)[:, None]


def _fill_glass(pane: Floats) -> None:
    """Paint a pane (h, w, 3): out-of-focus sky, trees and pavement, and a reflection across."""
    rows, columns = pane.shape[:2]
    rng = np.random.default_rng(1)
    trees = cv2.resize(
        rng.uniform(0.7, 1.15, (5, 4)).astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC
    )
    sky, wood, ground = (225, 236, 244), (150, 172, 140), (188, 188, 182)
    levels = np.array([sky, sky, wood, wood, ground, ground], np.float32)
    at = [0.0, 0.1, 0.3, 0.48, 0.56, 1.0]
    down = np.linspace(0, 1, rows)
    pane[:] = np.stack([np.interp(down, at, levels[:, c]) for c in range(3)], 1)[:, None]
    foliage = np.interp(down, [0.1, 0.3, 0.48, 0.56], [0, 1, 1, 0]).astype(np.float32)[:, None]
    pane *= (1 + foliage * (trees - 1))[..., None]
    y, x = np.mgrid[:rows, :columns].astype(np.float32) / rows
    shine = np.clip(1 - np.abs(x + 0.35 * y - 0.35) / 0.07, 0, 1)[..., None]
    pane += (255 - pane) * 0.18 * shine


def _fill_sign(board: Floats) -> None:
    """Paint a board (h, w, 3): white words on green."""
    rows, columns = board.shape[:2]
    words = PIL.Image.new("L", (columns, rows))
    font = ImageFont.truetype(FONT_PATH, max(1.0, 0.56 * rows))
    ImageDraw.Draw(words).text((columns / 2, rows / 2), "출입구 ENTRANCE", 255, font, anchor="mm")
    ink = np.asarray(words, np.float32)[..., None] / 255
    board[:] = np.array((28, 122, 78)) * (1 - ink) + np.array((235, 245, 238)) * ink


def _to_image(picture: Floats) -> Image:
    return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def write_demo(path: Path) -> None:
    """Write the demo's clip, H.264, 640 × 480 px, 30 frames/s."""
    fps = 30.0
    with VideoWriter(path, fps) as video:
        for index, image in enumerate(draw_walk([visitor()], DEMO_S, fps=fps)):
            video.write(image, index / fps)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/clips.py OUT.mp4")
    try:
        write_demo(Path(sys.argv[1]))
    except GatecamError as error:
        sys.exit(str(error))
