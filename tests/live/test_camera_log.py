"""What the log says of blind cameras, and the service manager's watchdog hears of work."""

from __future__ import annotations

from types import SimpleNamespace

from gatecam.kiosk.notify_socket import Notifier
from gatecam.live.reports import CameraLog, Supervised
from gatecam.types import Blindness, CameraCondition, CameraState, Round


def test_a_camera_that_sees_again_was_blind_since_the_first_reason(capsys, caplog):
    caplog.set_level("INFO")
    log = CameraLog()
    log("door", CameraState(CameraCondition.BLIND, Blindness.DARK, 10.0))
    log("door", CameraState(CameraCondition.LOST, "The camera is gone.", 60.0))
    log("door", CameraState(CameraCondition.OPEN, "", 75.5))
    assert "camera door sees again, after 65.5 s" in caplog.text + "".join(capsys.readouterr())


def test_a_camera_that_gives_few_frames_is_no_reason_to_end_gatecam_but_frames_that_nobody_judges_are():
    fed: list[float] = []
    notifier = Notifier({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "4000000"})
    notifier._send = fed.append
    camera = SimpleNamespace(name="door", state=CameraState(CameraCondition.OPEN, "", 0.0), last_frame_s=1.0)
    live = SimpleNamespace(
        cameras=SimpleNamespace(cameras=[camera]),
        alerts=SimpleNamespace(states={"door": camera.state}, slow={}),
    )
    supervised = Supervised(notifier)

    def hears(now_s: float, *frames_s: float) -> bool:
        fed.clear()
        steps = [SimpleNamespace(frame=SimpleNamespace(camera="door", time_s=at_s)) for at_s in frames_s]
        supervised.note(Round(now_s, tuple(steps), ()), live)
        return "WATCHDOG=1" in fed

    assert hears(2.0, 1.0)
    assert hears(62.0)
    camera.last_frame_s = 62.5
    assert not hears(64.0)
    assert not hears(65.0)
    assert hears(66.0, 62.5)
    assert hears(68.0)
