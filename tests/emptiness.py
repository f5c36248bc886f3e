"""Pictures without a face that the project draws itself: rooms, walls, cloth, plants, hands, posters.

They are there to be mistaken: skin-coloured hands and balls, dark knobs in pairs over a bar, grilles, coats
without a wearer. No picture shows two eyes and a mouth in an oval: every face found in one is a false alarm.
The same generator draws the same pictures every time.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from gatecam.types import Image

Colour = tuple[int, int, int]
Area = tuple[int, int, int, int]  # x, y, width, height

SIZES = ((480, 360), (640, 360), (640, 480), (800, 600), (960, 540), (1280, 720))  # width, height
SKIN = ((96, 62, 46), (141, 95, 70), (188, 138, 108), (224, 178, 148), (241, 204, 178))
LETTERS = "ABCDEFGHIJKLMNOPRSTUVWXYZ0123456789"


def draw_empty(rng: Generator) -> Image:
    """A picture without a face, (H, W, 3) uint8 RGB, of one of `SIZES`, lit unevenly and noisy."""
    width, height = SIZES[rng.integers(len(SIZES))]
    walls = (_fade, _texture, _bricks, _stripes, _cloth, _foliage)
    canvas = walls[rng.integers(len(walls))](height, width, rng)
    for thing in rng.permutation(len(THINGS))[: rng.integers(3, 9)]:
        for _ in range(rng.integers(1, 3)):
            THINGS[thing](canvas, rng)
    return _photograph(canvas, rng)


def _photograph(canvas: Image, rng: Generator) -> Image:
    """The picture with light from one side, a lens's blur and a sensor's noise."""
    height, width = canvas.shape[:2]
    if (blur := rng.uniform(0, 1.6)) > 0.4:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), blur), np.uint8)
    light = cv2.resize(rng.uniform(0.55, 1.2, (3, 4)).astype(np.float32), (width, height))
    noise = rng.standard_normal((height, width), dtype=np.float32) * rng.uniform(0.5, 8)
    return np.asarray(np.clip(canvas * light[..., None] + noise[..., None], 0, 255), np.uint8)


# Colours and places ----------------------------------------------------------------------------


def _colour(rng: Generator, low: int = 20, high: int = 240) -> Colour:
    """A colour of a room: most are nearly grey, some bright."""
    hue = rng.uniform(-1, 1, 3) * rng.choice([5, 20, 60])
    red, green, blue = (int(c) for c in np.clip(rng.integers(low, high) + hue, 0, 255))
    return red, green, blue


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, max(0, round(c * factor))) for c in colour)
    return red, green, blue


def _area(canvas: Image, rng: Generator, low: float, high: float, ratio: float = 1.0) -> Area:
    """A place for a thing: its height `low` to `high` of the picture's, its width `ratio` of that."""
    height, width = canvas.shape[:2]
    tall = max(12, int(rng.uniform(low, high) * height))
    wide = max(12, int(tall * ratio * rng.uniform(0.8, 1.25)))
    x = int(rng.integers(-wide // 4, max(1, width - 3 * wide // 4)))
    return x, int(rng.integers(-tall // 4, max(1, height - 3 * tall // 4))), wide, tall


def _box(canvas: Image, area: Area, colour: Colour, edge: int = -1) -> None:
    x, y, wide, tall = area
    cv2.rectangle(canvas, (x, y), (x + wide, y + tall), colour, edge, cv2.LINE_AA)


def _oval(canvas: Image, centre: tuple[float, float], radii: tuple[float, float], colour: Colour) -> None:
    at = (round(centre[0]), round(centre[1]))
    size = (max(1, round(radii[0])), max(1, round(radii[1])))
    cv2.ellipse(canvas, at, size, 0, 0, 360, colour, -1, cv2.LINE_AA)


# Walls: each a picture (H, W, 3) ---------------------------------------------------------------


def _fade(height: int, width: int, rng: Generator) -> Image:
    corners = rng.integers(30, 245) + rng.integers(-35, 36, (2, 2, 3))
    return np.asarray(cv2.resize(np.clip(corners, 0, 255).astype(np.uint8), (width, height)), np.uint8)


def _texture(height: int, width: int, rng: Generator) -> Image:
    """Plaster, stone, cloud or wood: noise of many scales."""
    stretch = rng.choice([1, 1, 6])
    plane = np.zeros((height, width), np.float32)
    for cells in (3, 6, 12, 24, 48, 96):
        grid = rng.uniform(-1, 1, (cells, max(2, cells // stretch))).astype(np.float32)
        plane += (
            cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * rng.uniform(5, 60) / cells**0.5
        )
    return np.asarray(np.clip(np.array(_colour(rng, 60, 210)) + plane[..., None], 0, 255), np.uint8)


def _bricks(height: int, width: int, rng: Generator) -> Image:
    canvas = np.full((height, width, 3), _colour(rng), np.uint8)
    tall = int(rng.integers(14, 70))
    wide, brick = int(tall * rng.uniform(1, 3)), _colour(rng)
    for row, y in enumerate(range(0, height, tall)):
        for x in range(-(row % 2) * wide // 2, width, wide):
            _box(canvas, (x, y, wide - 3, tall - 3), _shade(brick, rng.uniform(0.8, 1.2)))
    return canvas


def _stripes(height: int, width: int, rng: Generator) -> Image:
    """Blinds, panels, a corridor's seams: bars down or across."""
    period = int(rng.integers(6, 120))
    bars = np.array([_colour(rng), _colour(rng)], np.uint8)[np.arange(max(height, width)) // period % 2]
    canvas = np.broadcast_to(bars[:width], (height, width, 3))
    return np.ascontiguousarray(canvas if rng.random() < 0.5 else bars[:height, None].repeat(width, 1))


def _cloth(height: int, width: int, rng: Generator) -> Image:
    """Dots, checks or flowers, in folds."""
    period = int(rng.integers(16, 90))
    tile = np.full((period, period, 3), _colour(rng), np.uint8)
    for _ in range(rng.integers(1, 5)):
        if rng.random() < 0.6:
            _oval(tile, tuple(rng.uniform(0, period, 2)), tuple(rng.uniform(2, period / 3, 2)), _colour(rng))
        else:
            x, y, wide, tall = (int(v) for v in rng.integers(0, period, 4))
            _box(tile, (x, y, wide, tall), _colour(rng))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    fold = np.sin(x / rng.uniform(20, 120) + y / rng.uniform(80, 400))
    rows, columns = (y + 6 * fold).astype(int) % period, (x + 10 * fold).astype(int) % period
    return np.asarray(tile[rows, columns] * (0.8 + 0.2 * fold[..., None]), np.uint8)


def _foliage(height: int, width: int, rng: Generator) -> Image:
    canvas = np.full((height, width, 3), _colour(rng, 20, 80), np.uint8)
    for _ in range(rng.integers(150, 400)):
        _leaf(canvas, rng, rng.uniform(0, width), rng.uniform(0, height), height / 12)
    return canvas


# Things: each is drawn into the picture --------------------------------------------------------


def _leaf(canvas: Image, rng: Generator, x: float, y: float, length: float) -> None:
    green = int(rng.integers(60, 200))
    size = (max(2, round(length * rng.uniform(0.3, 1))), max(1, round(length * rng.uniform(0.08, 0.3))))
    colour = (green // 2, green, green // 3)
    cv2.ellipse(canvas, (round(x), round(y)), size, rng.uniform(0, 360), 0, 360, colour, -1, cv2.LINE_AA)


def _plant(canvas: Image, rng: Generator) -> None:
    x, y, wide, tall = _area(canvas, rng, 0.25, 0.7, 0.6)
    pot = [(x + wide // 4, y + tall * 2 // 3), (x + wide * 3 // 4, y + tall * 2 // 3)]
    pot += [(x + wide * 2 // 3, y + tall), (x + wide // 3, y + tall)]
    cv2.fillPoly(canvas, [np.array(pot)], _colour(rng), cv2.LINE_AA)
    for _ in range(rng.integers(20, 60)):
        _leaf(canvas, rng, x + wide * rng.uniform(0, 1), y + tall * rng.uniform(0, 0.7), tall / 5)


def _door(canvas: Image, rng: Generator) -> None:
    x, y, wide, tall = _area(canvas, rng, 0.6, 1.1, 0.45)
    colour = _colour(rng)
    _box(canvas, (x - wide // 12, y - wide // 12, wide * 7 // 6, tall + wide // 6), _shade(colour, 0.6))
    _box(canvas, (x, y, wide, tall), colour)
    for row in range(rows := int(rng.integers(1, 4))):
        panel = (
            x + wide // 6,
            y + (2 * row + 1) * tall // (2 * rows + 1),
            wide * 2 // 3,
            tall // (2 * rows + 1),
        )
        _box(canvas, panel, _shade(colour, rng.uniform(0.6, 1.3)), int(rng.choice([-1, 2, 4])))
    _oval(canvas, (x + wide * 0.9, y + tall * 0.55), (wide / 20, wide / 20), _colour(rng))


def _window(canvas: Image, rng: Generator) -> None:
    x, y, wide, tall = _area(canvas, rng, 0.2, 0.7)
    frame, columns, rows = _colour(rng), int(rng.integers(1, 5)), int(rng.integers(1, 5))
    _box(canvas, (x, y, wide, tall), frame)
    for column in range(columns):
        for row in range(rows):
            pane = (x + column * wide // columns + 4, y + row * tall // rows + 4)
            _box(canvas, (*pane, wide // columns - 8, tall // rows - 8), _colour(rng, 120, 225))


def _poster(canvas: Image, rng: Generator) -> None:
    """Lines of words, and a picture of nothing."""
    x, y, wide, tall = _area(canvas, rng, 0.2, 0.7, 0.75)
    _box(canvas, (x, y, wide, tall), _colour(rng, 150, 225))
    line = max(8, tall // int(rng.integers(4, 14)))
    for top in range(y + line, y + tall, line):
        words = "".join(rng.choice(list(LETTERS + "   "), max(1, int(wide / line * 1.4))))
        cv2.putText(
            canvas, words, (x + 4, top), 0, line / 32, _colour(rng, 20, 120), max(1, line // 14), cv2.LINE_AA
        )
    if rng.random() < 0.5:
        _box(canvas, (x + wide // 6, y + tall // 3, wide * 2 // 3, tall // 3), _colour(rng))


def _knobs(canvas: Image, rng: Generator) -> None:
    """A drawer, a socket, an oven, a radio: a plate with dark dots in a row, and a bar across or aside."""
    x, y, wide, tall = _area(canvas, rng, 0.06, 0.4, 1.2)
    plate = _colour(rng, 110, 225)
    _box(canvas, (x, y, wide, tall), plate)
    _box(canvas, (x, y, wide, tall), _shade(plate, 0.6), 2)
    count, dark = int(rng.choice([2, 2, 3, 4])), _shade(plate, rng.uniform(0.1, 0.5))
    row, bar = rng.permutation([0.25, 0.5, 0.75])[:2]
    for knob in range(count):
        _oval(canvas, (x + wide * (knob + 1) / (count + 1), y + tall * row), (wide / 14, wide / 14), dark)
    start = rng.choice([0.0, 0.55])  # not under the middle of two dots, as a mouth would be
    _box(
        canvas, (x + round(wide * start), y + round(tall * bar), round(wide * (1 - start)), tall // 14), dark
    )


def _ball(canvas: Image, rng: Generator) -> None:
    """A ball, a balloon, a lamp, a plate: a round thing, shaded, at times in the colour of skin."""
    x, y, wide, tall = _area(canvas, rng, 0.08, 0.5, 0.85)
    colour = SKIN[rng.integers(len(SKIN))] if rng.random() < 0.5 else _colour(rng)
    for part in np.linspace(1, 0.2, 12):
        centre = (x + wide * (0.5 - 0.12 * (1 - part)), y + tall * (0.5 - 0.15 * (1 - part)))
        _oval(canvas, centre, (wide / 2 * part, tall / 2 * part), _shade(colour, 1.15 - 0.45 * part))
    if rng.random() < 0.3:
        cv2.line(
            canvas, (x, y + tall // 2), (x + wide, y + tall // 2), _shade(colour, 0.4), max(1, wide // 30)
        )


def _hand(canvas: Image, rng: Generator) -> None:
    """A palm with fingers and an arm, in the colour of skin."""
    x, y, wide, _ = _area(canvas, rng, 0.12, 0.4)
    skin, turn = SKIN[rng.integers(len(SKIN))], rng.uniform(0, 2 * np.pi)
    middle = np.array((x + wide / 2, y + wide / 2))

    def limb(angle: float, start: float, end: float, thick: float, colour: Colour) -> None:
        way = np.array((np.cos(turn + angle), np.sin(turn + angle))) * wide
        points = [tuple(int(v) for v in middle + way * far) for far in (start, end)]
        cv2.line(canvas, points[0], points[1], colour, max(2, round(thick * wide)), cv2.LINE_AA)

    limb(np.pi, 0.1, rng.uniform(0.8, 2.5), 0.36, _shade(skin, 0.9))
    _oval(canvas, (middle[0], middle[1]), (wide * 0.27, wide * 0.27), skin)
    for finger, length in enumerate(rng.uniform(0.3, 0.7, 4)):
        limb(0.32 * (finger - 1.5), 0.2, length + 0.02, 0.13, _shade(skin, 0.7))
        limb(0.32 * (finger - 1.5), 0.2, length, 0.11, skin)
    limb(1.1, 0.15, 0.45, 0.13, skin)


def _coat(canvas: Image, rng: Generator) -> None:
    """A coat on a hook, buttoned; nobody in it."""
    x, y, wide, tall = _area(canvas, rng, 0.4, 0.9, 0.6)
    colour = _colour(rng)
    parts = ((0.5, 0.0), (0.65, 0.06), (0.95, 0.2), (1.0, 0.75), (0.85, 0.76), (0.82, 0.4), (0.85, 1.0))
    right = [(x + round(wide * px), y + round(tall * py)) for px, py in parts]
    left = [(2 * x + wide - px, py) for px, py in reversed(right)]
    cv2.fillPoly(canvas, [np.array(right + left)], colour, cv2.LINE_AA)
    cv2.line(canvas, (x + wide // 2, y), (x + wide // 2, y + tall), _shade(colour, 0.6), 2, cv2.LINE_AA)
    for button in np.linspace(0.25, 0.85, rng.integers(3, 7)):
        _oval(canvas, (x + wide * 0.55, y + tall * button), (wide / 50, wide / 50), _shade(colour, 0.3))


def _shelf(canvas: Image, rng: Generator) -> None:
    """Books, boxes and bottles in rows."""
    x, y, wide, tall = _area(canvas, rng, 0.3, 0.9, 1.1)
    _box(canvas, (x, y, wide, tall), _colour(rng, 20, 90))
    step = tall // int(rng.integers(2, 6))
    for floor in range(y + step, y + tall + 1, step):
        at = x
        while at < x + wide:
            broad, high = int(rng.uniform(0.1, 0.6) * step), int(rng.uniform(0.4, 0.95) * step)
            _box(canvas, (at, floor - high, min(broad, x + wide - at), high), _colour(rng))
            at += broad + 3
        _box(canvas, (x, floor - 2, wide, 4), _colour(rng))


def _grille(canvas: Image, rng: Generator) -> None:
    """A fan or a loudspeaker: rings and holes in rows."""
    x, y, wide, _ = _area(canvas, rng, 0.15, 0.5)
    colour, holes = _colour(rng), int(rng.integers(3, 9))
    _box(canvas, (x, y, wide, wide), colour)
    for row in range(holes):
        for column in range(holes):
            at = (x + wide * (column + 0.5) / holes, y + wide * (row + 0.5) / holes)
            _oval(canvas, at, (wide / holes / 4, wide / holes / 4), _shade(colour, 0.3))


def _ripples(canvas: Image, rng: Generator) -> None:
    """A drain, a target, a knot in wood: rings in one another."""
    x, y, wide, tall = _area(canvas, rng, 0.1, 0.5)
    colours = (_colour(rng), _colour(rng))
    for ring, part in enumerate(np.linspace(1, 0.05, rng.integers(3, 9))):
        _oval(canvas, (x + wide / 2, y + tall / 2), (wide / 2 * part, tall / 2 * part), colours[ring % 2])


def _drape(canvas: Image, rng: Generator) -> None:
    """A curtain, a scarf, a bag: patterned cloth over a part of the picture."""
    x, y, wide, tall = _area(canvas, rng, 0.2, 0.8, 0.7)
    part = canvas[max(0, y) : y + tall, max(0, x) : x + wide]
    part[:] = _cloth(part.shape[0], part.shape[1], rng)


THINGS: tuple[Callable[[Image, Generator], None], ...] = (
    _plant,
    _door,
    _window,
    _poster,
    _knobs,
    _ball,
    _hand,
    _coat,
    _shelf,
    _grille,
    _ripples,
    _drape,
)
