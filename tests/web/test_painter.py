"""The process that draws live pictures: it draws the same, gives way, comes back, and ends with gatecam."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("fastapi")

from gatecam.settings.schema import Config, DetectorConfig
from gatecam.types import Box, Frame, Step, Track, Verdict
from gatecam.web.live import Viewer
from gatecam.web.painter import JobError, PainterError, ProcessPainter
from gatecam.web.painting import LocalPainter
from gatecam.web.tokens import Role
from tests.cli.conftest import picture
from tests.web.test_live import LATER, WAIT_S, Desk, image_of, step

FOUND = Box(44, 28, 84, 68)
WITHOUT_NETWORKS = """
import sys, time, types
from gatecam.types import Box
class Finder:
    def __init__(self, config):
        print(config.detector.weights)  # no answer
    def find(self, image, largest_px):
        if image.shape[0] == 1:
            raise ValueError("too small")
        if image.shape[0] == 2:
            time.sleep(60)
        return [Box(44, 28, 84, 68)]
sys.modules["gatecam.vision.finder"] = types.SimpleNamespace(LowFaceFinder=Finder)
from gatecam.web.painting import main
main()
"""
COMMAND = (sys.executable, "-P", "-c", WITHOUT_NETWORKS)


@pytest.fixture
def painter() -> Iterator[ProcessPainter]:
    """A process that finds a face at one place in every picture."""
    one = ProcessPainter(Config(), COMMAND)
    yield one
    one.rest()


def pid_of(painter: ProcessPainter) -> int:
    assert painter._process is not None
    return painter._process.pid


def test_a_process_draws_and_finds_what_this_process_would(painter, make_face):
    face = make_face(x=64, y=48, side=40)
    tracks = (
        Track(1, Box(40, 30, 80, 70), 90, 5.0, Verdict.NONE, (face,), probability=0.9),
        Track(2, Box(8, 8, 24, 24), 90, 5.0, Verdict.CORRECT, (face,), probability=0.1),
        Track(3, Box(90, 8, 120, 40), 90, 5.0, Verdict.NONE, is_picture=True),
    )
    geometry = DetectorConfig(region=(0.1, 0.1, 0.9, 0.9), ignore=((0.5, 0.5, 0.7, 0.7),))
    hidden = {Role.OPERATOR: [FOUND], Role.DOOR: []}
    local = LocalPainter(pytest.fail)
    for size, addressed in ((1, tracks[0]), (12, None)):  # the second is wider than live pictures are
        image = picture().repeat(size, axis=0).repeat(size, axis=1)
        one = Step(Frame("gate", 0, 0.0, image[:, ::-1]), (), tracks, (), addressed)
        assert painter.draw(one, hidden, geometry) == local.draw(one, hidden, geometry)
    assert painter.find(image) == [FOUND]


def test_faces_are_blurred_in_pictures_that_the_process_draws_and_it_gives_way_to_the_analysis(painter):
    desk = Desk(painter=painter)
    desk.hub.join(Viewer(Role.DOOR, ("gate",)))
    with desk.pictures:
        for index in range(LATER + 2):
            desk.pictures.note([step(index)])
        assert desk.came.acquire(timeout=WAIT_S)
        pid = pid_of(painter)
        assert os.sched_getscheduler(pid) == os.SCHED_IDLE
        assert os.getsid(pid) == os.getsid(0)  # priorities count within a session
        assert os.getpgid(pid) != os.getpgid(0)  # Ctrl-C is not for it
        shown = image_of(desk.shown[0][1]) - picture().astype(int)
        assert np.abs(shown[34:62, 50:78]).mean() > 12
        assert np.abs(shown[80:]).mean() < 12
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_told_and_another_draws_on(painter, monkeypatch, caplog, end):
    desk = Desk(painter=painter)
    desk.hub.join(Viewer(Role.DOOR, ("gate",)))
    with desk.pictures:
        for index in range(LATER + 2):
            desk.pictures.note([step(index)])
        assert desk.came.acquire(timeout=WAIT_S)
        first = pid_of(painter)
        if end is signal.SIGSTOP:  # a dead process is told by its end, however slow the machine is
            monkeypatch.setattr("gatecam.web.painter.ANSWER_S", 0.2)
            painter._limit_s = 0.2
        os.kill(first, end)
        desk.shown.clear()
        for index in range(LATER + 2, 2000):
            desk.pictures.note([step(index)])
            if desk.came.acquire(timeout=WAIT_S / 500) and desk.shown:
                break
        assert desk.shown
        assert pid_of(painter) != first
    reason = "signal 9" if end is signal.SIGKILL else "no answer in 0.2 s"
    assert (
        f"The process that draws live pictures has ended ({reason}). Another is started." in caplog.messages
    )


def test_the_process_ends_when_nobody_looks_and_starts_for_the_next_viewer(painter, monkeypatch):
    monkeypatch.setattr("gatecam.web.live.LINGER_S", 0.05)
    desk, rested = Desk(painter=painter), threading.Event()
    rest = painter.rest
    painter.rest = lambda: (rest(), rested.set())
    with desk.pictures:
        desk.pictures.note([step(0)])
        assert rested.wait(WAIT_S)
        assert painter._process is None  # nobody looked yet
        for start in (1, 50):
            viewer = Viewer(Role.DOOR, ("gate",))
            desk.hub.join(viewer)
            for index in range(start, start + 400):
                desk.pictures.note([step(index)])
                if desk.came.acquire(timeout=WAIT_S / 400):
                    break
            else:
                pytest.fail("no picture came")
            desk.hub.leave(viewer)
            rested.clear()
            assert rested.wait(WAIT_S)
            assert painter._process is None


def test_a_job_that_fails_is_told_and_the_process_goes_on(painter):
    with pytest.raises(JobError, match="ValueError: too small"):
        painter.find(np.zeros((1, 8, 3), np.uint8))
    pid = pid_of(painter)
    assert painter.find(np.zeros((8, 8, 3), np.uint8)) == [FOUND]
    assert pid_of(painter) == pid


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/nonexistent",), "No such file or directory"),
        ((sys.executable, "-c", "import sys; sys.stdin.read(1); sys.exit(3)"), "exit code 3"),
    ],
)
def test_a_process_that_never_gets_to_work_leaves_nothing_behind(command, reason):
    painter, before = ProcessPainter(Config(), command), len(os.listdir("/proc/self/fd"))
    with pytest.raises(PainterError, match=reason):
        painter.find(np.zeros((8, 8, 3), np.uint8))
    assert len(os.listdir("/proc/self/fd")) == before


PARENT = """
import sys
import numpy as np
from gatecam.settings.schema import Config
from gatecam.web.painter import ProcessPainter
painter = ProcessPainter(Config(), sys.argv[1:])
painter.find(np.zeros((8, 8, 3), np.uint8))
print(painter._process.pid, flush=True)
painter.find(np.zeros((2, 8, 3), np.uint8))  # hangs
"""


def test_the_process_ends_when_gatecam_is_killed_even_if_it_hangs():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *COMMAND],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    drawing = os.pidfd_open(int(parent.stdout.readline()))
    assert not select.select([drawing], [], [], 0.2)[0]  # it gets to the search that hangs
    parent.kill()
    parent.communicate(timeout=10)
    ended, _, _ = select.select([drawing], [], [], 5.0)  # readable once the process has ended
    os.close(drawing)
    assert ended
