"""What lives and what is a picture, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from gatecam.people.life import Life
from gatecam.types import Image, Track

SIDE = 80


@pytest.fixture
def head(astronaut: Image) -> Image:
    return np.asarray(cv2.resize(astronaut[60:180, 160:280], (120, 120), interpolation=cv2.INTER_AREA))


def camera(
    head: Image,
    places: list[tuple[float, float]],
    noise: float = 3.0,
    light: float = 0.0,
    body: int | None = None,
) -> Iterator[Image]:
    """Yield noisy pictures of a head at each place (its middle), with light that grows by a share in all.

    With `body`, a gray body passes from the left to the right, as far as `body` px beyond the middle.
    """
    rng = np.random.default_rng(3)
    for index, (x, y) in enumerate(places):
        picture = np.full((360, 480, 3), 110, np.float32)
        shift = np.float32([[1, 0, x - 60], [0, 1, y - 60]])
        moved = cv2.warpAffine(head.astype(np.float32), shift, (480, 360), borderValue=(-1, -1, -1))
        picture = np.where(moved >= 0, moved, picture)
        if body is not None:
            edge = int(x - 100 + (100 + body) * min(index, len(places) - index) / (len(places) / 2))
            picture[:, max(0, edge - 150) : max(0, edge)] = 40
        picture *= 1 + light * index / len(places)
        yield np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def pictures_of(life: Life, images: Iterator[Image], track: Track, start_s: float = 0.0) -> list[bool]:
    return [life.mark(image, [track], start_s + i / 30)[0].is_picture for i, image in enumerate(images)]


@pytest.fixture
def track(make_track, make_face, make_looks) -> Track:
    looks = make_looks((50, 20, 20))
    return replace(make_track(1, x=240, y=160, side=SIDE, looks=looks), faces=(make_face(),))


STILL = [(240.0, 160.0)] * 45


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param({"noise": 6.0}, id="noise"),
        pytest.param({"light": 0.1}, id="more light"),
        pytest.param({"light": -0.4}, id="less light"),
        pytest.param({"body": 0}, id="somebody passes who covers half of it"),
    ],
)
def test_a_face_that_only_the_camera_changes_is_a_picture(head, track, scene):
    assert all(pictures_of(Life(), camera(head, STILL, **scene), track))


@pytest.mark.parametrize(
    ("places", "within"),
    [
        pytest.param([(240 + 3.0 * i, 160) for i in range(30)], 3, id="somebody walks"),
        pytest.param([(240 + 2 * np.sin(i / 10), 160) for i in range(45)], 25, id="somebody sways by 2 px"),
        pytest.param([*STILL, *[(243.0, 161.0)] * 10], 48, id="somebody moves after a while"),
    ],
)
def test_a_face_that_moves_is_a_person_for_good(head, track, places, within):
    seen = pictures_of(Life(), camera(head, places), track)
    assert seen.index(False) <= within
    assert not any(seen[seen.index(False) :])


@pytest.mark.parametrize("was_there", [False, True])
def test_a_face_that_came_lives_at_once_unless_it_was_there_before(head, track, was_there):
    """The detector may find a picture only after seconds, but the picture was there."""
    life, there = Life(), [(240.0, 160.0)]
    before = (there if was_there else [(900.0, 160.0)]) * 4
    for second, image in enumerate(camera(head, before)):
        life.mark(image, [], float(second))
    (marked,) = life.mark(next(camera(head, there)), [track], 4.2)
    assert marked.is_picture == was_there


def test_somebody_who_then_stands_still_stays_a_person(head, track):
    places = [(200.0 + 4 * i, 160.0) for i in range(10)] + STILL * 2
    assert not any(pictures_of(Life(), camera(head, places), track)[10:])


def test_a_picture_that_was_hidden_is_known_again(head, track):
    life = Life()
    assert all(pictures_of(life, camera(head, STILL), track))
    again = replace(track, id=2)
    passing = list(camera(head, STILL, body=0))  # the new track begins while a body leaves
    assert all(pictures_of(life, iter(passing[30:]), again, 10.0))


def test_somebody_before_a_picture_is_a_person_at_once_and_the_picture_is_none_later(head, track):
    life = Life()
    pictures_of(life, camera(head, STILL), track)
    visitor = replace(track, id=2)
    assert not any(pictures_of(life, camera(head[:, ::-1] // 2, STILL), visitor, 10.0)[2:])
    assert all(pictures_of(life, camera(head, STILL), replace(track, id=3), 20.0))
    assert all(pictures_of(life, camera(head, STILL), visitor, 30.0)), "the track fell back to the picture"
