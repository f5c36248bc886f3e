"""The board: what `gatecam status` and the pages are told of the running program."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np

from gatecam.live.board import Board
from gatecam.settings.schema import TRIAL, CameraConfig
from gatecam.types import Box, CameraCondition, CameraState, Frame, Round, Step, Track, Verdict


def board_of(cameras: list, names: list[str], refused: dict[str, str], folder) -> Board:
    live = SimpleNamespace(
        cameras=SimpleNamespace(cameras=cameras),
        alerts=SimpleNamespace(slow={}),
        names=names,
        refused=refused,
    )
    return Board(live, SimpleNamespace(device="cpu"), SimpleNamespace(queues=()), lambda: (), folder)


def camera_of(name: str, state: CameraState, **settings) -> SimpleNamespace:
    return SimpleNamespace(name=name, state=state, dropped=0, restarts=0, config=CameraConfig(**settings))


def test_a_camera_that_another_gatecam_uses_is_lost_and_keeps_its_place(tmp_path):
    state = CameraState(CameraCondition.OPEN, "", 0.0)
    opened = [camera_of(name, state) for name in ("back", "yard", TRIAL)]
    said = "camera gate is used by another gatecam."
    board = board_of(opened, ["back", "gate", "hall", "yard", TRIAL], {"gate": said}, tmp_path)
    cameras = board.health().cameras
    assert [one.name for one in cameras] == ["back", "gate", "hall", "yard"]
    assert (cameras[2].sees, cameras[2].state) == (False, "opening"), "it is opened with other settings"
    assert (cameras[1].sees, cameras[1].state, cameras[1].reason) == (False, "lost", said)


def test_pictures_and_faces_out_of_sight_do_not_count_as_faces(tmp_path):
    state = CameraState(CameraCondition.OPEN, "", 0.0)
    camera = camera_of("gate", state)
    board = board_of([camera], ["gate"], {}, tmp_path)
    box = Box(0, 0, 9, 9)
    tracks = (
        Track(1, box, 3, 5.0, Verdict.NONE),
        Track(2, box, 3, 5.0, Verdict.NONE, missing_s=0.5),
        Track(3, box, 3, 5.0, Verdict.NONE, is_picture=True),
    )
    now_s = board._started_s
    frame = Frame("gate", 0, now_s, np.zeros((9, 9, 3), np.uint8))
    board.note(Round(now_s, (Step(frame, (), tracks, ()),), ()))
    assert board.health().cameras[0].faces == 1


def test_a_camera_that_gives_a_picture_a_minute_sees_as_long_as_its_time_out_says(tmp_path):
    state = CameraState(CameraCondition.OPEN, "", 0.0)
    cameras = [camera_of("gate", state, read_timeout_s=90), camera_of("yard", state)]
    board = board_of(cameras, ["gate", "yard"], {}, tmp_path)
    for name in ("gate", "yard"):
        frame = Frame(name, 0, time.monotonic() - 60, np.zeros((9, 9, 3), np.uint8))
        board.note(Round(frame.time_s, (Step(frame, (), (), ()),), ()))
    assert [one.sees for one in board.health().cameras] == [True, False]
