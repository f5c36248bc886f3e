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
    grain = rng.normal(0, noise, (392, 512, 3)).astype(np.float32)
    for index, (x, y) in enumerate(places):
        picture = np.full((360, 480, 3), 110, np.float32)
        shift = np.float32([[1, 0, x - 60], [0, 1, y - 60]])
        moved = cv2.warpAffine(head.astype(np.float32), shift, (480, 360), borderValue=(-1, -1, -1))
        picture = np.where(moved >= 0, moved, picture)
        if body is not None:
            edge = int(x - 100 + (100 + body) * min(index, len(places) - index) / (len(places) / 2))
            picture[:, max(0, edge - 150) : max(0, edge)] = 40
        picture *= 1 + light * index / len(places)
        dx, dy = rng.integers(0, 32, 2)
        yield np.clip(picture + grain[dy : dy + 360, dx : dx + 480], 0, 255).astype(np.uint8)


def pictures_of(life: Life, images: Iterator[Image], track: Track, start_s: float = 0.0) -> list[bool]:
    return [life.mark(image, [track], start_s + i / 30)[0].is_picture for i, image in enumerate(images)]


@pytest.fixture
def track(make_track, make_face, make_looks) -> Track:
    looks = make_looks((50, 20, 20))
    return replace(make_track(1, x=240, y=160, side=SIDE, looks=looks), faces=(make_face(),))


STILL = [(240.0, 160.0)] * 75


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
    ],
)
def test_a_face_that_moves_is_a_person_for_good(head, track, places, within):
    seen = pictures_of(Life(), camera(head, places), track)
    assert seen.index(False) <= within
    assert not any(seen[seen.index(False) :])


@pytest.mark.parametrize(
    ("places", "scene", "is_picture"),
    [
        pytest.param([(240 + 2 * np.sin(i / 10), 160) for i in range(75)], {}, False, id="somebody sways"),
        pytest.param(STILL, {}, True, id="a picture"),
        pytest.param(STILL, {"noise": 6.0}, True, id="noise"),
        pytest.param(STILL, {"light": -0.4}, True, id="less light"),
        pytest.param(STILL, {"body": 0}, True, id="somebody passes who covers half of it"),
    ],
)
def test_a_dark_face_without_contrast_needs_less_movement(head, track, places, scene, is_picture):
    dark = np.asarray(head // 5, np.uint8)
    assert all(pictures_of(Life(), camera(dark, places, **scene), track)) == is_picture


@pytest.mark.parametrize(
    ("boxes", "walks"),
    [
        pytest.param([(x, 160) for x in range(100, 300, 20)], True, id="somebody walks"),
        pytest.param(
            [(240 + 10 * (i % 2), 160) for i in range(10)], False, id="the box of a picture jitters"
        ),
        pytest.param([(240 + 90 * (i > 4), 160) for i in range(10)], False, id="another picture beside it"),
    ],
)
def test_who_walks_is_a_person_even_if_the_picture_hardly_changes(head, make_track, track, boxes, walks):
    """The wall behind may look like the face as far as the cells show it."""
    life, image = Life(), next(camera(head, STILL))
    tracks = [replace(track, box=make_track(1, x=x, y=y, side=SIDE).box) for x, y in boxes]
    marked = [life.mark(image, [one], i / 30)[0] for i, one in enumerate(tracks)]
    assert marked[-1].is_picture != walks


@pytest.mark.parametrize(
    ("places", "light", "is_person"),
    [
        pytest.param([900.0] * 5, 1.0, True, id="the place was empty"),
        pytest.param([240.0] * 5, 1.0, False, id="the detector found a picture late"),
        pytest.param([900.0] * 4 + [240.0], 1.0, True, id="a person was found late"),
        pytest.param([240.0] * 5, 0.02, False, id="the camera has just started and was dark"),
    ],
)
def test_a_face_that_came_lives_at_once_unless_it_was_there_before(head, track, places, light, is_person):
    life = Life()
    for index, image in enumerate(camera(head, [(x, 160.0) for x in places])):
        life.mark((image * light).astype(np.uint8), [], index / 4)
    (marked,) = life.mark(next(camera(head, [(240.0, 160.0)])), [track], 1.2)
    assert marked.is_picture != is_person


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        pytest.param([(243.0, 161.0)] * 15, False, id="it moved, so it was somebody who stood still"),
        pytest.param([(243.0, 161.0)] * 4 + STILL[:11], True, id="a shadow passed"),
        pytest.param([(900.0, 160.0)] * 15, False, id="it is gone, and something else is found there"),
    ],
)
def test_a_remembered_picture_ends_its_track_if_it_changes(head, track, change, is_kept):
    life = Life()
    for index, image in enumerate(camera(head, STILL + change)):
        (marked,) = life.mark(image, [track], index / 30)
        assert marked.is_picture, "the old track is nobody's, so that nothing of it is told"
        if index > len(STILL) and not life.pictures:
            break
    assert life.pictures == ({1} if is_kept else set())


def test_a_picture_stays_one_while_the_daylight_changes_its_colors(head, track):
    life, image = Life(), next(camera(head, STILL)).astype(np.float32)
    for second in range(120):
        shadow = np.linspace(1, 1 - second / 300, 480, dtype=np.float32)[:, None]
        (marked,) = life.mark((image * shadow).astype(np.uint8), [track], float(second))
        assert marked.is_picture


def test_somebody_who_then_stands_still_stays_a_person(head, track):
    places = [(200.0 + 4 * i, 160.0) for i in range(10)] + STILL * 2
    assert not any(pictures_of(Life(), camera(head, places), track)[10:])


def test_a_picture_that_was_hidden_is_known_again(head, track):
    life = Life()
    assert all(pictures_of(life, camera(head, STILL), track))
    again = replace(track, id=2)
    passing = list(camera(head, STILL, body=0))  # the new track begins while a body leaves
    assert all(pictures_of(life, iter(passing[30:]), again, 10.0))


def test_somebody_before_a_picture_is_a_person_at_once_and_the_picture_is_none_later(head, track, make_looks):
    life = Life()
    pictures_of(life, camera(head, STILL), track)
    visitor = replace(track, id=2, looks=make_looks((50, 0, -40)))
    assert not any(pictures_of(life, camera(head[:, ::-1] // 2, STILL), visitor, 10.0)[2:])
    assert all(pictures_of(life, camera(head, STILL), replace(track, id=3), 20.0))
    assert all(pictures_of(life, camera(head, STILL), visitor, 30.0)), "the track fell back to the picture"


def test_the_track_of_somebody_right_before_a_picture_is_not_ended(head, track, make_looks):
    """The tracker ends tracks that were in `pictures` and no longer are, again and again."""
    life = Life()
    pictures_of(life, camera(head, STILL), track)
    visitor = replace(track, id=2, looks=make_looks((50, 0, -40)))
    for index, image in enumerate(camera(head[:, ::-1] // 2, STILL[:5])):
        life.mark(image, [visitor], 10 + index / 30)
        assert visitor.id not in life.pictures


def test_who_stood_still_and_moved_may_stand_so_again(head, track):
    life = Life()
    pictures_of(life, camera(head, STILL), track)
    again = replace(track, id=2)
    assert not any(pictures_of(life, camera(head[:, ::-1] // 2, STILL[:10]), again, 10.0)[2:])
    assert not any(pictures_of(life, camera(head, STILL), again, 12.0))


def test_a_camera_that_starts_again_with_a_smaller_picture_begins_anew(head, track):
    life = Life()
    pictures_of(life, camera(head, STILL), track)
    smaller = (255 - image[:300, :400] for image in camera(head, STILL))
    assert all(pictures_of(life, smaller, replace(track, id=2), 10.0))


def test_a_portrait_that_hangs_elsewhere_after_an_outage_has_not_come(head, track):
    """The camera was turned while it gave no pictures, so everything looks different."""
    life = Life()
    for index, image in enumerate(camera(head, [(900.0, 160.0)] * 5)):
        life.mark(image, [], index / 4)
    assert all(pictures_of(life, camera(head, STILL), replace(track, age_s=0.0), 60.0))
