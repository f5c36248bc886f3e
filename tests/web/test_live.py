"""Live pictures: drawn once, only while somebody looks, blurred before a face is shown; states at once."""

from __future__ import annotations

import asyncio
import io
import json
import threading

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("fastapi")

from gatecam.settings.schema import TRIAL, CameraConfig, Config, PrivacyConfig, WebConfig
from gatecam.types import Box, Frame, Presence, Step, Track, Verdict
from gatecam.web.live import (
    Hub,
    LivePictures,
    Viewer,
    state_message,
    still_message,
    still_places,
)
from gatecam.web.painting import LocalPainter, Painter, draw, encode
from gatecam.web.tokens import Role
from tests.cli.conftest import picture
from tests.finder import FakeFinder

WAIT_S = 10
FPS = 8  # of which the delay of the pictures is three and a bit: a picture is shown four frames later
LATER = 4
CONFIG = Config(camera=CameraConfig(name="gate"), web=WebConfig(fps=FPS))


class Desk:
    """A hub whose loop is whatever thread calls; keeps what was shown."""

    def __init__(self, config: Config | None = None, painter: Painter | None = None) -> None:
        self.hub = Hub(["gate"])
        self.shown: list[tuple[Role, bytes]] = []
        self.came = threading.Semaphore(0)
        self.finder = FakeFinder()
        self.pictures = LivePictures(
            config or CONFIG, self.hub, painter or LocalPainter(lambda: self.finder), self.call
        )
        show = self.hub.show

        def note(camera, role, jpeg):
            self.shown.append((role, jpeg))
            show(camera, role, jpeg)
            self.came.release()

        self.hub.show = note

    def call(self, function) -> None:
        function()


def step(index: int, faces=(), tracks=()) -> Step:
    return Step(Frame("gate", index, index / FPS, picture()), tuple(faces), tuple(tracks), ())


def image_of(jpeg: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(jpeg))).astype(int)


def test_nothing_is_drawn_while_nobody_looks():
    desk = Desk()
    with desk.pictures:
        for index in range(20):
            desk.pictures.note([step(index)])
        desk.hub.join(Viewer(Role.DOOR, ("gate",)))
        for index in range(20, 30):
            desk.pictures.note([step(index)])
        assert desk.came.acquire(timeout=WAIT_S)
    assert {role for role, _ in desk.shown} == {Role.DOOR}
    assert len(desk.shown) <= 6


def test_ten_viewers_cost_one_picture():
    desk = Desk()
    for _ in range(10):
        desk.hub.join(Viewer(Role.DOOR, ("gate",)))
    with desk.pictures:
        for index in range(5):
            desk.pictures.note([step(index)])
        assert desk.came.acquire(timeout=WAIT_S)
        assert not desk.came.acquire(timeout=0.1)


@pytest.mark.parametrize("role", [Role.DOOR, Role.OPERATOR])
@pytest.mark.parametrize("blurred", [True, False])
def test_a_face_is_blurred_also_before_it_was_found_and_after(make_face, role, blurred):
    privacy = PrivacyConfig(blur_door=blurred, blur_operator=blurred)
    desk = Desk(CONFIG.model_copy(update={"privacy": privacy}))
    desk.hub.join(Viewer(role, ("gate",)))
    face = make_face(x=64, y=48, side=40)
    with desk.pictures:
        for index in range(30):
            desk.pictures.note([step(index, [face] if index == 8 else [])])
            if index >= LATER:
                assert desk.came.acquire(timeout=WAIT_S)
    true = picture().astype(int)[34:62, 50:78]
    errors = [np.abs(image_of(jpeg)[34:62, 50:78] - true).mean() for _, jpeg in desk.shown]
    is_read = [error < 12 for error in errors]
    if not blurred:
        assert all(is_read)
    else:
        assert is_read == [not 4 <= index <= 16 for index in range(26)]


def test_a_viewer_that_is_slow_gets_the_newest_picture_and_none_twice():
    hub = Hub(["gate", "yard"])
    viewer = Viewer(Role.OPERATOR, ("gate", "yard"))
    hub.join(viewer)
    assert hub.next_pictures(viewer) == []
    for number in range(5):
        hub.show("yard", Role.OPERATOR, b"yard%d" % number)
    hub.show("yard", Role.DOOR, b"for the door")
    assert hub.next_pictures(viewer) == [b"\x01yard4"]
    assert hub.next_pictures(viewer) == []
    assert hub.picture("yard") == b"yard4"


def test_who_watches_all_cameras_connects_again_when_one_is_added_but_not_for_a_trial():
    hub = Hub(["gate", "yard"])
    every, one = Viewer(Role.OPERATOR, ("gate", "yard"), is_of_all=True), Viewer(Role.OPERATOR, ("gate",))
    for viewer in (every, one):
        hub.join(viewer)
    hub.watch(["gate", "yard", TRIAL])
    assert not every.is_over
    hub.watch(["gate", "yard", "hall"])
    assert (every.is_over, one.is_over) == (True, False)
    hub.watch(["yard", "hall"])
    assert one.is_over


def test_states_wake_their_viewers_at_once_and_who_joins_knows_what_holds():
    async def go():
        hub = Hub(["gate", "yard"])
        door = Viewer(Role.DOOR, ("gate",))
        hub.join(door)
        door.wake.clear()
        door.states.clear()
        hub.tell_state(Presence("yard", 1, Verdict.NONE))
        assert not door.wake.is_set()
        hub.tell_state(Presence("gate", 1, Verdict.NONE))
        assert door.wake.is_set()
        assert door.states == {"gate": Presence("gate", 1, Verdict.NONE)}
        later = Viewer(Role.DOOR, ("gate",))
        hub.join(later)
        assert later.states == {"gate": Presence("gate", 1, Verdict.NONE)}
        hub.leave(later)
        hub.leave(door)
        assert hub.watched == frozenset()

    asyncio.run(go())


def test_a_picture_that_cannot_be_drawn_does_not_end_the_others(monkeypatch, caplog):
    desk = Desk()
    desk.hub.join(Viewer(Role.DOOR, ("gate",)))
    faults = [ValueError("odd")]

    def flaky(image):
        if faults:
            raise faults.pop()
        return encode(image)

    monkeypatch.setattr("gatecam.web.painting.encode", flaky)
    with desk.pictures:
        for index in range(200):
            desk.pictures.note([step(index)])
            if desk.came.acquire(timeout=WAIT_S / 200):
                break
    assert "could not be drawn" in caplog.text
    assert len(desk.shown) == 1


def test_a_large_picture_is_made_smaller():
    assert image_of(encode(np.zeros((1080, 1920, 3), np.uint8))).shape == (480, 854, 3)


def test_gender_and_age_are_in_no_message():
    said = state_message("gate", Presence("gate", 2, Verdict.NONE))
    assert said == '{"camera": "gate", "people": 2, "verdict": "none", "blindness": ""}'


def test_before_a_frame_was_judged_nobody_says_that_nobody_is_there():
    viewer = Viewer(Role.DOOR, ("gate",))
    hub = Hub(["gate"])
    hub.join(viewer)
    assert viewer.states == {"gate": None}
    assert state_message("gate", None) == (
        '{"camera": "gate", "people": null, "verdict": null, "blindness": ""}'
    )


def test_no_picture_outlasts_those_who_looked_or_the_cameras_sight():
    hub = Hub(["gate"])
    first, second = Viewer(Role.OPERATOR, ("gate",)), Viewer(Role.OPERATOR, ("gate",))
    hub.join(first)
    hub.join(second)
    hub.show("gate", Role.OPERATOR, b"who stood there")
    hub.leave(first)
    assert hub.next_pictures(second) == [b"\x00who stood there"]
    hub.leave(second)
    hub.show("gate", Role.OPERATOR, b"that was being drawn")
    later = Viewer(Role.OPERATOR, ("gate",))
    hub.join(later)
    assert (hub.next_pictures(later), hub.picture("gate")) == ([], None)
    hub.show("gate", Role.OPERATOR, b"before it was covered")
    hub.tell_state(Presence("gate", blindness="covered"))
    assert (hub.next_pictures(later), hub.picture("gate")) == ([], None)


def test_operators_learn_where_faces_never_moved_until_the_camera_is_blind():
    hub = Hub(["gate"])
    operator, door = Viewer(Role.OPERATOR, ("gate",)), Viewer(Role.DOOR, ("gate",))
    hub.join(operator)
    hub.join(door)
    hub.tell_still("gate", ((0.1, 0.2, 0.3, 0.4),))
    assert (operator.still, door.still) == ({"gate": ((0.1, 0.2, 0.3, 0.4),)}, {})
    operator.still.clear()
    hub.tell_still("gate", ((0.1, 0.2, 0.3, 0.4),))
    assert operator.still == {}
    late = Viewer(Role.OPERATOR, ("gate",))
    hub.join(late)
    assert late.still == {"gate": ((0.1, 0.2, 0.3, 0.4),)}
    hub.tell_state(Presence("gate", blindness="dark"))
    assert operator.still == {"gate": ()}


def test_places_of_pictures_are_whole_hundredths_around_the_faces():
    frame = Frame("gate", 0, 0.0, np.zeros((480, 640, 3), np.uint8))
    tracks = (
        Track(1, Box(66, 50, 130, 120), 90, 5.0, Verdict.NONE, is_picture=True),
        Track(2, Box(66, 50, 130, 120), 90, 5.0, Verdict.NONE),
        Track(3, Box(66, 50, 130, 120), 3, 0.2, Verdict.NONE, is_picture=True),  # may be about to move
        Track(4, Box(600, 400, 700, 500), 90, 5.0, Verdict.NONE, is_picture=True),
        Track(5, Box(700, 400, 800, 500), 90, 5.0, Verdict.NONE, is_picture=True),  # has left the picture
    )
    places = still_places(Step(frame, (), tracks, ()))
    assert places == ((0.1, 0.1, 0.21, 0.25), (0.93, 0.83, 1.0, 1.0))
    assert json.loads(still_message("gate", places)) == {
        "camera": "gate",
        "still": [list(one) for one in places],
    }


def test_the_picture_of_the_door_marks_the_addressed_person_without_words():
    track = Track(1, Box(40, 60, 80, 100), 90, 5.0, Verdict.NONE)
    plain = step(0, tracks=[track])
    meant = Step(plain.frame, (), plain.tracks, (), track)
    red = np.abs(image_of(draw(meant, (), Role.DOOR)) - (206, 32, 48)).max(axis=2) < 60
    assert red.sum() > 100
    assert not (np.abs(image_of(draw(plain, (), Role.DOOR)) - (206, 32, 48)).max(axis=2) < 60).sum() > 20
