"""What the log says of blind cameras."""

from __future__ import annotations

from gatecam.live.reports import CameraLog
from gatecam.types import Blindness, CameraCondition, CameraState


def test_a_camera_that_sees_again_was_blind_since_the_first_reason(capsys, caplog):
    caplog.set_level("INFO")
    log = CameraLog()
    log("door", CameraState(CameraCondition.BLIND, Blindness.DARK, 10.0))
    log("door", CameraState(CameraCondition.LOST, "The camera is gone.", 60.0))
    log("door", CameraState(CameraCondition.OPEN, "", 75.5))
    assert "camera door sees again, after 65.5 s" in caplog.text + "".join(capsys.readouterr())
