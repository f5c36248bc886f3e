"""Cameras are added, tried out, changed and removed by the pages, and no password comes back."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from gatecam.errors import ConfigError, ConflictError
from gatecam.kiosk.notify_socket import Notifier
from gatecam.live.camera_setup import CameraSetup, with_login
from gatecam.live.control import SavingProblem
from gatecam.live.reload import TRIAL_S, Reloading
from gatecam.live.reports import Troubles, pace_of
from gatecam.live.sight import Sights
from gatecam.settings.loading import load
from gatecam.settings.schema import TRIAL, Config
from gatecam.types import Box, CameraCondition, CameraState, Frame, Round, Step, Track, Verdict

TWO = """\
cameras:
  - name: north  # in the hall
    source: '0'
  - name: south
    source: rtsp://admin:s3cret@10.0.0.5/live
"""


class FakeLive:
    """Keeps what is applied. No camera has a state."""

    def __init__(self) -> None:
        self.applied: list[Config] = []
        self.cameras = SimpleNamespace(cameras=())
        self.refused: dict[str, str] = {}

    def apply(self, config: Config) -> None:
        self.applied.append(config)


class Desk:
    """A set-up over a settings file."""

    def __init__(self, path, text: str, source: str | None = None) -> None:
        self.file, self.live = path / "config.yaml", FakeLive()
        self.file.write_text(text)
        self.troubles = Troubles()
        self.reloading = Reloading(load(self.file, {}), source, self.live, None, Notifier({}), self.troubles)
        self.setup = CameraSetup(self.reloading, self.live)

    def watched(self) -> list[str]:
        self.reloading.poll(0.0)
        return [f"{one.camera.name} {one.camera.source}" for one in self.live.applied[-1].watched]

    def saved(self) -> list[str]:
        return [f"{one.camera.name} {one.camera.source}" for one in load(self.file, {}).config.watched]


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path, TWO)


def test_a_camera_is_added_beside_the_others_at_once_and_for_good(desk):
    saving = desk.setup.put(
        None, {"name": "side", "source": "rtsp://10.0.0.6/x", "user": "me", "password": "p@ss"}
    )
    assert saving.problem is SavingProblem.NONE
    wanted = ["north 0", "south rtsp://admin:s3cret@10.0.0.5/live", "side rtsp://me:p%40ss@10.0.0.6/x"]
    assert desk.watched() == desk.saved() == wanted
    assert "p@ss" not in str(saving)
    assert "p%40ss" not in str(saving)
    assert "# in the hall" in desk.file.read_text()


def test_the_second_camera_does_not_inherit_the_zones_and_the_door_of_the_first(tmp_path):
    zones = "detector: {region: [0, 0, 0.5, 1], ignore: [[0, 0, 1, 0.1]]}\n"
    text = f"camera: {{name: a, source: '0', width: 800}}\n{zones}"
    desk = Desk(tmp_path, text)
    desk.setup.put(None, {"name": "b", "source": "1"})
    first, second = load(desk.file, {}).config.watched
    assert (first.camera.name, first.detector.region, first.camera.width) == ("a", (0, 0, 0.5, 1), 800)
    assert (second.camera.name, second.detector.region, second.detector.ignore) == ("b", None, ())


def test_a_camera_is_renamed_and_moved_and_keeps_its_password_unless_told_otherwise(desk):
    desk.setup.put("south", {"name": "back", "source": "", "password": ""})
    assert desk.saved()[1] == "back rtsp://admin:s3cret@10.0.0.5/live"
    desk.setup.put("back", {"user": "op", "password": "new"})
    assert desk.watched()[1] == desk.saved()[1] == "back rtsp://op:new@10.0.0.5/live"


def test_a_camera_is_removed_with_its_troubles_but_never_the_last(desk):
    desk.troubles.note(pace_of("north"), "camera north is too slow.")
    desk.setup.remove("north")
    assert desk.watched() == desk.saved() == ["south rtsp://admin:s3cret@10.0.0.5/live"]
    assert desk.troubles.sentences() == ()
    with pytest.raises(ConfigError, match="This is the only camera"):
        desk.setup.remove("south")


def test_a_camera_is_tried_out_beside_the_others_until_nobody_asks(desk):
    desk.setup.attempt(None, {"source": "2"})
    now_s = 1000.0
    assert desk.reloading.trial(now_s).watched[-1].camera.source == "2"
    desk.reloading.poll(now_s)
    assert [one.camera.name for one in desk.live.applied[-1].watched] == ["north", "south", TRIAL]
    desk.reloading.poll(now_s + TRIAL_S + 1)
    assert [one.camera.name for one in desk.live.applied[-1].watched] == ["north", "south"]
    assert desk.setup.trial() is None
    assert desk.saved() == ["north 0", "south rtsp://admin:s3cret@10.0.0.5/live"]


def test_a_trial_goes_on_while_somebody_else_adds_a_camera_and_ends_with_its_own(tmp_path):
    desk = Desk(tmp_path, "camera: {source: '0'}\n")
    desk.setup.attempt(None, {"name": "x", "source": "rtsp://10.0.0.7/x"})
    desk.setup.put(None, {"name": "yard", "source": "rtsp://10.0.0.8/y"})
    told = desk.setup.trial()
    assert told is not None
    assert told["source"] == "rtsp://10.0.0.7/x"
    assert desk.watched() == ["entrance 0", "yard rtsp://10.0.0.8/y", "? rtsp://10.0.0.7/x"]
    desk.setup.put(None, {"name": "x", "source": "rtsp://10.0.0.7/x"})
    assert desk.setup.trial() is None
    assert desk.watched() == ["entrance 0", "yard rtsp://10.0.0.8/y", "x rtsp://10.0.0.7/x"]


def test_a_form_that_repeats_what_holds_writes_nothing(desk):
    desk.setup.put("north", {"name": "north", "width": 640, "height": 720})
    assert "640" not in desk.file.read_text()
    assert load(desk.file, {}).config.cameras[0].height == 720


def test_a_camera_that_is_tried_out_is_then_added(desk):
    desk.setup.attempt(None, {"source": "2"})
    desk.reloading.trial(0.0)
    desk.reloading.poll(0.0)
    desk.setup.put(None, {"name": "side", "source": "2"})
    assert desk.watched()[2:] == ["side 2"]


@pytest.mark.parametrize(
    ("camera", "values", "said"),
    [
        (None, {"name": "north", "source": "2"}, "there is a camera north already"),
        (None, {"name": "side", "source": "0"}, "camera north has this address"),
        (None, {"name": "side"}, "source: expected the camera's source"),
        (None, {"source": "2"}, "name: expected the camera's name"),
        (None, {"name": TRIAL, "source": "2"}, "expected another name"),
        (None, {"name": "side", "source": "ftp://x"}, "expected an index"),
        (None, {"name": "side", "source": "2", "user": "me"}, "expected an address such as"),
        (None, {"name": "side", "source": "2", "width": 3}, "width: expected 64 to 7680, got 3"),
        ("moon", {"name": "side"}, "'moon': expected one of the cameras north, south"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(desk, camera, values, said):
    with pytest.raises(ConfigError) as caught:
        desk.setup.put(camera, values)
    assert said in str(caught.value)
    assert desk.file.read_text() == TWO


def test_a_camera_that_is_watched_is_not_opened_twice(desk):
    with pytest.raises(ConfigError, match="camera north has this address"):
        desk.setup.attempt(None, {"source": "/dev/video0"})
    for camera, source, whose in (
        (None, "/dev/video0", "north"),
        (None, "rtsp://me:other@10.0.0.5/live", "south"),
        ("south", "0", "north"),
        ("north", "rtsp://10.0.0.5/live", "south"),
    ):
        with pytest.raises(ConfigError, match=f"camera {whose} has this address, and is watched already"):
            desk.setup.put(camera, {"name": "side", "source": source})
    desk.setup.put("south", {"password": "other"})


def test_a_camera_of_the_command_line_is_not_changed_here(tmp_path):
    desk = Desk(tmp_path, TWO, source="7")
    for change in (
        lambda: desk.setup.put(None, {"name": "a", "source": "1"}),
        lambda: desk.setup.remove("entrance"),
    ):
        with pytest.raises(ConfigError, match="start gatecam without it"):
            change()


def test_what_was_changed_since_a_person_saw_it_is_refused(desk):
    zones = {"region": None, "ignore": []}
    desk.setup.draw("north", (0.0, 0.0, 0.5, 1.0), (), zones)
    camera = {"name": "north", "source": desk.setup.cameras()[0]["source"], "width": 640}
    desk.setup.put("north", {"width": 800}, camera)
    limits = {"policy.remind_s": desk.reloading.running.policy.remind_s}
    desk.reloading.change({"policy.remind_s": 33}, limits)
    for change in (
        lambda: desk.setup.draw("north", None, (), zones),
        lambda: desk.setup.put("north", {"width": 640}, camera),
        lambda: desk.reloading.change({"policy.remind_s": 44}, limits),
    ):
        with pytest.raises(ConflictError, match="Somebody else changed this meanwhile"):
            change()
    assert desk.reloading.running.policy.remind_s == 33


def test_zones_are_drawn_for_one_camera_and_saved(desk):
    place = (0.1, 0.2, 0.3, 0.4)
    saving = desk.setup.draw("north", (0.0, 0.0, 0.5, 1.0), (place,))
    assert [one.name for one in saving.changed] == ["cameras.north.region", "cameras.north.ignore"]
    assert desk.setup.draw("north", (0.0, 0.0, 0.5, 1.0), (place,)).changed == ()
    desk.reloading.poll(0.0)
    for config in (desk.live.applied[-1], load(desk.file, {}).config):
        north, south = config.watched
        assert (north.detector.region, north.detector.ignore) == ((0.0, 0.0, 0.5, 1.0), (place,))
        assert (south.detector.region, south.detector.ignore) == (None, ())
    assert "# in the hall" in desk.file.read_text()
    with pytest.raises(ConfigError, match="expected x2 at least"):
        desk.setup.draw("north", (0.0, 0.0, 0.01, 1.0), ())


def test_no_password_is_told(desk):
    told = desk.setup.cameras()
    assert told[1]["source"] == "rtsp://***@10.0.0.5/live"
    assert "s3cret" not in str(told)


@pytest.mark.parametrize(
    ("source", "saved"),
    [
        ("rtsp://10.0.0.5:554/sub", "rtsp://admin:s3cret@10.0.0.5:554/sub"),
        ("rtsp://kim@10.0.0.5/sub", "rtsp://kim@10.0.0.5/sub"),
        ("rtsp://10.0.0.6/live", "rtsp://10.0.0.6/live"),
        ("/dev/video2", "/dev/video2"),
    ],
)
def test_another_address_keeps_the_login_on_the_same_host_alone(desk, source, saved):
    desk.setup.put("south", {"name": "south", "source": source})
    assert desk.saved()[1] == f"south {saved}"


@pytest.mark.parametrize(
    ("user", "password", "login"),
    [("kim", "new", "kim:new"), ("", "new", "old:new"), ("kim", "", "kim:x%2Fy")],
)
def test_a_new_user_or_password_replaces_that_in_the_address_and_keeps_the_other(user, password, login):
    assert with_login("rtsp://old:x%2Fy@h:5/a?b#c", user, password) == f"rtsp://{login}@h:5/a?b#c"


def turn(time_s: float, level: int, *widths: float) -> Round:
    frame = Frame("door", 0, time_s, np.full((480, 640, 3), level, np.uint8))
    tracks = tuple(Track(i, Box(0, 0, width, width), 9, 1.0, Verdict.NONE) for i, width in enumerate(widths))
    return Round(time_s, (Step(frame, (), tracks, ()),), ())


@pytest.mark.parametrize(
    ("level", "widths", "period_s", "advice"),
    [
        (120, (64, 20), 0.04, ["good"]),
        (120, (24,), 0.04, ["small"]),
        (120, (), 0.04, ["nobody"]),
        (10, (64,), 0.04, ["dark"]),
        (240, (64,), 0.04, ["bright"]),
        (10, (24,), 0.5, ["dark", "few", "small"]),
    ],
)
def test_the_advice_says_what_keeps_faces_from_being_judged_well(level, widths, period_s, advice):
    sights = Sights()
    for number in range(20):
        sights.note(turn(number * period_s, level, *widths))
    sight = sights.of("door", 19 * period_s)
    assert (sight.width, sight.height, sight.fps) == (640, 480, 1 / period_s)
    assert sight.face_px == (max(widths) if widths else None)
    assert sight.brightness == pytest.approx(level / 255, abs=0.01)
    assert sight.advice() == advice
    assert sights.of("door", 19 * period_s + 11) is None
    sights.apply(Config())
    assert sights.of("door", 19 * period_s) is None


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        (CameraState(CameraCondition.OPEN, "", 0.0), ["few", "nobody"]),
        (CameraState(CameraCondition.BLIND, "unfocused", 0.0), []),
        (CameraState(CameraCondition.LOST, "camera north gives no picture.", 0.0), []),
    ],
)
def test_a_camera_that_does_not_see_has_its_reason_and_no_advice_about_faces(desk, state, advice):
    desk.live.cameras.cameras = [SimpleNamespace(name="north", state=state)]
    frame = Frame("north", 0, time.monotonic(), np.full((480, 640, 3), 120, np.uint8))
    desk.setup.note(Round(frame.time_s, (Step(frame, (), (), ()),), ()))
    told = desk.setup.cameras()[0]
    assert (told["reason"], told["advice"], told["sight"]["width"]) == (state.reason, advice, 640)


def test_a_camera_that_another_gatecam_uses_says_so_instead_of_opening(desk):
    desk.live.refused["north"] = said = "camera north is used by another gatecam."
    assert [one["reason"] for one in desk.setup.cameras()] == [said, ""]
