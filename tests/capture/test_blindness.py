"""A camera that does not see is noticed in time, and one that sees is never taken for blind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from gatecam.capture.blindness import ADOPT_S, Sight
from gatecam.types import Blindness, Image
from tests.clips import DEMO_S, Person, Waypoint, draw_walk, visitor
from tests.emptiness import draw_empty

FPS = 10
LEARN_S = 30
SIZE = (320, 240)
Draw = Callable[[int], Image]


@pytest.fixture(scope="module")
def hallway() -> Image:
    """An entrance without noise."""
    frames = np.stack(list(draw_walk([], 2.0, SIZE, fps=16)))
    return np.asarray(np.median(frames, axis=0), np.uint8)


class Sensor:
    """Adds the noise of photons and of reading, of a field that is never twice in one place."""

    def __init__(self, shape: tuple[int, ...], read: float = 1.5, photon: float = 0.03) -> None:
        self._rng = np.random.default_rng(1)
        self._read, self._photon = read, photon
        height, width = shape[:2]
        self._field = self._rng.standard_normal((height + 64, width + 64, 3)).astype(np.float32)

    def __call__(self, image: Image) -> Image:
        height, width = image.shape[:2]
        x, y = self._rng.integers(0, 64, 2)
        noise = self._field[y : y + height, x : x + width] * self._rng.choice([-1, 1])
        level = image.astype(np.float32)
        return np.asarray(
            np.clip(level + noise * np.sqrt(self._read**2 + self._photon * level) + 0.5, 0, 255), np.uint8
        )


def said(frames: Iterator[Image], fps: float = FPS) -> list[tuple[float, str]]:
    """What was said of the frames: each change, and when."""
    sight, changes, last = Sight(), [], ""
    for index, frame in enumerate(frames):
        if (now := sight.look(frame, 1000 + index / fps)) != last:
            changes.append((index / fps, now))
            last = now
    return changes


def fault(hallway: Image, draw: Draw, seconds: float = 22) -> list[tuple[float, str]]:
    """What is said of a fault after a while of seeing, counted from its begin."""
    sensor = Sensor(hallway.shape)

    def frames() -> Iterator[Image]:
        for _ in range(LEARN_S * FPS):
            yield sensor(hallway)
        for index in range(round(seconds * FPS)):
            yield draw(index)
        for _ in range(4 * FPS):
            yield sensor(hallway)

    return [(time_s - LEARN_S, text) for time_s, text in said(frames())]


def blurred(image: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


def moved(image: Image, x: float, y: float) -> Image:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return np.asarray(cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT))


NOISE = Sensor((240, 320))
FAULTS: list[tuple[str, Callable[[Image], Draw], float]] = [
    (Blindness.DARK, lambda image: lambda i: NOISE(image // 25), 4.0),
    (Blindness.DARK, lambda image: lambda i: NOISE(image * 0), 4.0),
    (Blindness.BLINDED, lambda image: lambda i: NOISE(image * 0 + 255), 4.0),
    (Blindness.COVERED, lambda image: lambda i: NOISE(np.full_like(image, (120, 70, 55))), 6.0),
    (Blindness.COVERED, lambda image: lambda i: NOISE(np.full_like(image, 215)), 6.0),
    (Blindness.UNFOCUSED, lambda image: lambda i: NOISE(blurred(image, 4)), 12.0),
    (Blindness.TURNED, lambda image: lambda i: NOISE(moved(image, 100, 30)), 20.0),
]


@pytest.mark.parametrize(("reason", "make", "limit_s"), FAULTS)
def test_a_fault_is_noticed_in_time_and_cleared_by_itself(hallway, reason, make, limit_s):
    (began_s, first), *_, (ended_s, last) = changes = fault(hallway, make(hallway))
    assert (first, last, len(changes)) == (reason, "", 2)
    assert 1 < began_s <= limit_s
    assert 22 < ended_s <= 25


def test_a_frozen_picture_is_noticed_within_10_s_and_cleared_at_once(hallway):
    last = Sensor(hallway.shape)(hallway)
    (began_s, first), (ended_s, then) = fault(hallway, lambda i: last)
    assert (first, then) == (Blindness.FROZEN, "")
    assert 5 < began_s < 10
    assert 22 <= ended_s < 22.5


@pytest.mark.parametrize("more_s", [0, 30])
def test_each_of_several_freezes_is_noticed_within_10_s(hallway, more_s):
    sight, now_s = Sight(), itertools.count(0, 0.1)
    sensor = Sensor(hallway.shape)
    last = sensor(hallway)
    for _ in range(3):
        for _ in range(15 * 10):
            sight.look(sensor(hallway), next(now_s))
        waits = itertools.count()
        while sight.look(last, next(now_s)) != Blindness.FROZEN:
            assert next(waits) < 100
        for _ in range(more_s * 10):
            sight.look(last, next(now_s))


def test_a_picture_frozen_from_the_start_is_noticed_within_10_s(hallway):
    ((began_s, first),) = said(hallway for _ in range(12 * FPS))
    assert (first, began_s < 10) == (Blindness.FROZEN, True)


def test_a_few_pictures_again_and_again_are_a_frozen_one(hallway):
    sensor = Sensor(hallway.shape)
    cycle = [sensor(hallway) for _ in range(12)]  # as a coder makes of one picture
    (began_s, first), _ = fault(hallway, lambda i: cycle[i % 12])
    assert (first, began_s < 10) == (Blindness.FROZEN, True)


def test_a_film_that_is_played_in_a_loop_is_not_frozen(hallway):
    film = list(draw_walk([visitor()], DEMO_S, SIZE, FPS))
    assert said(film[index % len(film)] for index in range(240 * FPS)) == []


@pytest.mark.parametrize("loops", [4, 20])
def test_a_film_in_a_loop_that_freezes_is_noticed_and_goes_on(loops):
    film = list(draw_walk([visitor()], DEMO_S, SIZE, FPS))
    pictures = [*film * loops, *film[:1] * 20 * FPS, *film]
    (began_s, first), (ended_s, then) = said(iter(pictures))
    assert (first, then) == (Blindness.FROZEN, "")
    assert began_s - loops * DEMO_S < 14
    assert ended_s - (loops * DEMO_S + 20) < 3


def test_a_clock_in_a_frozen_picture_does_not_hide_that(hallway):
    frozen = Sensor(hallway.shape)(hallway)

    def clocked(index: int) -> Image:
        image = frozen.copy()
        cv2.putText(image, f"{index / FPS:.1f}", (8, 24), cv2.FONT_HERSHEY_PLAIN, 1.2, (255, 255, 255))
        return image

    (began_s, first), _ = fault(hallway, clocked)
    assert (first, began_s < 10) == (Blindness.FROZEN, True)


@pytest.mark.parametrize(("read", "photon"), [(0.6, 0.01), (1.5, 0.03), (6.0, 0.1)])
def test_a_still_and_empty_hallway_is_seen_for_ten_minutes(hallway, read, photon):
    sensor = Sensor(hallway.shape, read, photon)
    assert said((sensor(hallway) for _ in range(600 * 3)), fps=3) == []


@pytest.mark.parametrize("seed", range(3))
def test_plain_and_busy_places_are_seen(seed):
    image = cv2.resize(draw_empty(np.random.default_rng(seed)), SIZE, interpolation=cv2.INTER_AREA)
    sensor = Sensor(image.shape)
    assert said(sensor(image) for _ in range(60 * FPS)) == []


def test_people_light_and_a_little_shaking_are_no_faults(hallway):
    """Somebody walks up and leaves; the light goes down by two thirds and up again; the camera shakes."""
    rng = np.random.default_rng(0)
    sensor = Sensor(hallway.shape)

    def frames() -> Iterator[Image]:
        for _ in range(LEARN_S * FPS):
            yield sensor(hallway)
        yield from draw_walk([visitor()], DEMO_S, SIZE, FPS)
        for _ in range(30 * FPS):
            yield sensor(hallway // 3)
        for _ in range(30 * FPS):
            yield sensor(moved(hallway, *rng.normal(0, 0.3, 2)))

    assert said(frames()) == []


def test_somebody_who_fills_the_picture_for_half_a_minute_is_no_fault(hallway):
    sensor = Sensor(hallway.shape)
    close = Person((Waypoint(0, 0.5, 420), Waypoint(30, 0.52, 420)))

    def frames() -> Iterator[Image]:
        for _ in range(LEARN_S * FPS):
            yield sensor(hallway)
        yield from draw_walk([close], 30, SIZE, FPS)

    assert said(frames()) == []


def test_a_view_that_stays_turned_is_the_new_one_after_half_an_hour(hallway):
    sensor = Sensor(hallway.shape)
    new = moved(hallway, 100, 30)

    def frames() -> Iterator[Image]:
        for _ in range(2 * LEARN_S):
            yield sensor(hallway)
        for _ in range(2 * round(ADOPT_S) + 120):
            yield sensor(new)

    (began_s, first), (ended_s, then) = said(frames(), fps=2)
    assert (first, then) == (Blindness.TURNED, "")
    assert ADOPT_S - 30 < ended_s - began_s < ADOPT_S + 30


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 400), (1080, 1920)])
def test_pictures_of_any_size_and_of_changing_sizes_can_be_looked_at(size):
    sight = Sight()
    for index in range(30):
        image = np.full((*size, 3), index % 200 + 40, np.uint8)
        sight.look(image, index * 0.2)
        sight.look(np.full((64, 48, 3), index % 200 + 40, np.uint8), index * 0.2 + 0.1)


def test_a_pause_between_pictures_counts_for_nothing(hallway):
    sight = Sight()
    assert [sight.look(hallway, 100.0 * index) for index in range(5)] == [""] * 5
