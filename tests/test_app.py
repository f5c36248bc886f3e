"""Parts are built from settings in one place, and taken down again."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime

import numpy as np
import PIL.Image
import pytest

from gatecam import app
from gatecam.config import CameraConfig, Config, DetectorConfig, NotifyConfig, ReplayConfig
from gatecam.errors import DeviceError, OutputError, SourceError
from gatecam.keyframes import Searched
from gatecam.notify.queue import FanOut
from gatecam.telemetry import Telemetry
from gatecam.types import Event, EventKind, Verdict
from gatecam.vision.fake import FakeAnalyzer

EVENT = Event(EventKind.MASK_MISSING, "door", 1, Verdict.NONE, 1.5, 37, 0.9)


@pytest.fixture
def pictures(tmp_path):
    for number in range(20):
        PIL.Image.new("RGB", (64, 48), (number, 0, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_torch_that_does_not_load_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "gatecam.vision.analyzer", None)
    with pytest.raises(DeviceError, match=r"torch and torchvision do not load .* install a matching pair"):
        app.build_analyzer(Config(), Telemetry())


def test_a_replay_gives_every_frame_under_its_camera_in_batches(pictures, make_face):
    analyzer, telemetry = FakeAnalyzer(itertools.repeat([make_face()])), Telemetry()
    config = Config(replay=ReplayConfig(batch=7, image_fps=5), detector=DetectorConfig(detect_every=1))
    with app.open_replay(config, pictures, analyzer, telemetry, "door-2") as replay:
        steps = list(replay.steps)
    assert [(s.frame.camera, s.frame.index, s.frame.time_s) for s in steps] == [
        ("door-2", index, index / 5) for index in range(20)
    ]
    assert analyzer.batches == [7, 7, 6]
    assert [(e.kind, e.camera) for s in steps for e in s.events] == [(EventKind.MASK_MISSING, "door-2")]
    assert [latency.stage for latency in telemetry.latencies()] == ["decode", "track"]


def test_a_replay_searches_a_still_scene_now_and_then_and_looks_at_its_people(pictures, make_face):
    analyzer, telemetry = FakeAnalyzer(itertools.repeat([make_face(30, 20, 20)])), Telemetry()
    config = Config(replay=ReplayConfig(image_fps=25), detector=DetectorConfig(detect_every=6))
    with app.open_replay(config, pictures, analyzer, telemetry) as replay:
        steps = list(replay.steps)
    assert {len(s.faces) for s in steps} == {1}
    assert [index for index, boxes in enumerate(analyzer.hints) if boxes is None] == [0, 6, 12, 18]
    assert all(len(boxes) == 1 for boxes in analyzer.hints if boxes is not None)
    assert telemetry.counter(Searched.TRACKS) == 16


def test_a_replay_of_pictures_of_unlike_sizes_searches_each_whole(tmp_path):
    for number in range(6):
        PIL.Image.new("RGB", (64 + 8 * number, 48)).save(tmp_path / f"{number}.png")
    analyzer = FakeAnalyzer()
    with app.open_replay(Config(), tmp_path, analyzer, Telemetry()) as replay:
        assert len(list(replay.steps)) == 6
    assert analyzer.hints == [None] * 6


def test_a_replay_that_is_left_early_leaves_no_thread(pictures):
    config = Config(replay=ReplayConfig(batch=1))  # so that pictures are left to read ahead
    with app.open_replay(config, pictures, FakeAnalyzer(), Telemetry()) as replay:
        next(replay.steps)
        assert threads("prefetch")
    assert not threads("prefetch")


def test_a_replay_of_nothing_says_so(tmp_path):
    with (
        pytest.raises(SourceError, match="no picture"),
        app.open_replay(Config(), tmp_path, FakeAnalyzer(), Telemetry()),
    ):
        pytest.fail("nothing can be entered")


class GreyCapture:
    """Gives a picture whenever it is asked."""

    def grab(self):
        return not threading.Event().wait(0.005)

    def retrieve(self):
        return True, np.zeros((48, 64, 3), np.uint8)

    def release(self):
        pass


def test_live_steps_go_on_until_stop(monkeypatch):
    monkeypatch.setattr("gatecam.capture.camera._open_capture", lambda config: GreyCapture())
    config = Config(camera=CameraConfig(source="http://camera/", name="gate"))
    states: list[str] = []
    with app.open_live(config, FakeAnalyzer(), Telemetry(), states.append, lambda: None) as live:
        cameras = [step.frame.camera for step in itertools.islice(live.steps, 5)]
        live.stop()
        assert list(live.steps) == []
    assert (cameras, states) == (["gate"] * 5, [])
    assert not threads("camera gate")


def test_live_events_are_printed_and_logged_with_the_time_of_day(tmp_path, capsys):
    config = Config(notify=NotifyConfig(sound=False, log=str(tmp_path / "log.jsonl")))
    sinks = app.build_live_sinks(config, Telemetry(), print_events=True)
    sinks.send(EVENT)
    sinks.close()
    for text in (capsys.readouterr().out, (tmp_path / "log.jsonl").read_text()):
        line = json.loads(text)
        assert (line["kind"], line["frame"]) == ("mask_missing", 37)
        assert abs((datetime.now().astimezone() - datetime.fromisoformat(line["at"])).total_seconds()) < 60


def test_without_any_sink_events_go_nowhere(capsys):
    sinks = app.build_live_sinks(Config(notify=NotifyConfig(sound=False)), Telemetry(), print_events=False)
    sinks.send(EVENT)
    sinks.close()
    assert isinstance(sinks, FanOut)
    assert capsys.readouterr().out == ""


def test_a_log_that_cannot_be_opened_is_told_at_once(tmp_path):
    config = Config(notify=NotifyConfig(sound=False, log=str(tmp_path / "missing" / "log.jsonl")))
    with pytest.raises(OutputError, match="events cannot be written"):
        app.build_live_sinks(config, Telemetry(), print_events=False)


def test_a_frame_time_is_told_as_the_time_of_day():
    hour_ago = datetime.fromtimestamp(time.time() - 3600)
    told = datetime.strptime(
        f"{hour_ago.year} {app.time_of_day(time.monotonic() - 3600)}", "%Y %m-%d %H:%M:%S"
    )
    assert abs((told - hour_ago).total_seconds()) < 2


def test_torch_is_loaded_with_threads_that_sleep_rather_than_spin() -> None:
    """Spinning threads make frames ten times slower on two cores that others use too."""
    code = (
        "import os, sys\n"
        "from gatecam.app import build_crop_classifier\n"
        "from gatecam.config import Config\n"
        "assert 'torch' not in sys.modules\n"
        "build_crop_classifier(Config())\n"
        "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)\n"
    )
    env = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == ["PASSIVE", "True"], run.stderr
