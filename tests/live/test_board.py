"""The board: what `gatecam status` and the pages are told of the running program."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from gatecam.live.board import Board
from gatecam.types import Box, CameraCondition, CameraState, Frame, Round, Step, Track, Verdict


def test_pictures_and_faces_out_of_sight_do_not_count_as_faces(tmp_path):
    state = CameraState(CameraCondition.OPEN, "", 0.0)
    camera = SimpleNamespace(name="gate", state=state, dropped=0, restarts=0)
    live = SimpleNamespace(cameras=SimpleNamespace(cameras=[camera]), alerts=SimpleNamespace(slow={}))
    board = Board(live, SimpleNamespace(device="cpu"), SimpleNamespace(queues=()), lambda: (), tmp_path)
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
