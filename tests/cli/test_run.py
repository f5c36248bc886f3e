"""`gatecam run`: events on standard output, words on standard error, and a clean end whenever it is asked."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from gatecam.cli.stopping import EndedEarly, Stop, stop_on_signals
from gatecam.draw import LIGHT
from gatecam.vision.fake import FakeAnalyzer

FAKE_GATECAM = Path(__file__).with_name("fake_gatecam.py")
CAMERA = "http://camera/live"


class FakeCapture:
    """Gives so many pictures a hundredth of a second apart, then nothing."""

    def __init__(self, pictures: int) -> None:
        self._left = pictures

    def grab(self) -> bool:
        threading.Event().wait(0.01)
        self._left -= 1
        return self._left >= 0

    def retrieve(self):
        return True, np.full((96, 128, 3), 128, np.uint8)

    def release(self) -> None:
        pass


@pytest.fixture
def camera(monkeypatch):
    """A camera that gives pictures without end, or `pictures` each time it is opened."""

    def install(pictures: int = 100_000) -> None:
        monkeypatch.setattr("gatecam.capture.camera._open_capture", lambda config: FakeCapture(pictures))

    return install


@pytest.fixture
def stops_after(analyze, bare_face):
    """A person without a mask in so many frames; then a signal comes."""

    def script(frames: int, number: int = signal.SIGTERM) -> FakeAnalyzer:
        def faces():
            for _ in range(frames):
                yield [bare_face]
            signal.raise_signal(number)
            yield []

        return analyze(faces())

    return script


@pytest.fixture
def run(gatecam, monkeypatch):
    """Runs the command on that camera; the first verdict holds at once."""
    monkeypatch.setenv("GATECAM_TRACKER_SETTLE_S", "0")
    return lambda *words: gatecam("run", "--camera", CAMERA, *words)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_headless_prints_events_and_nothing_else_on_standard_output(run, camera, stops_after, number):
    camera()
    stops_after(10, number)
    ended = run("--headless")
    assert ended.code == 0
    (event,) = [json.loads(line) for line in ended.out.splitlines()]
    assert (event["kind"], event["camera"], event["verdict"]) == ("mask_missing", "entrance", "none")
    assert datetime.fromisoformat(event["at"]).tzinfo is not None
    assert ended.err.splitlines()[0] == "gatecam: watching camera entrance; Ctrl-C ends"
    assert "People: 1" in ended.err
    assert "capture to decision │     11" in ended.err
    assert "Dropped: " in ended.err


def test_the_handlers_of_before_are_back_afterwards(run, camera, stops_after):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    camera()
    stops_after(1)
    run("--headless")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_no_display_is_one_sentence_and_events_are_printed(run, camera, stops_after):
    camera()
    stops_after(10)
    ended = run()
    assert ended.code == 0
    assert ended.err.startswith("gatecam: no window (DISPLAY is not set): go on without one")
    assert json.loads(ended.out)["kind"] == "mask_missing"


def test_no_sound_is_one_sentence_and_does_not_stop_it(run, camera, stops_after, monkeypatch, caplog):
    monkeypatch.setenv("GATECAM_NOTIFY_SOUND", "true")
    monkeypatch.setattr("gatecam.notify.tone.find_players", list)
    camera()
    stops_after(10)
    with caplog.at_level(logging.WARNING):
        ended = run("--headless")
    assert (ended.code, len(ended.out.splitlines())) == (0, 1)
    (record,) = caplog.records
    assert record.getMessage().startswith("Alerts are silent (no player was found): connect a speaker")


def test_events_are_added_to_the_log_file(run, camera, stops_after, monkeypatch, tmp_path):
    monkeypatch.setenv("GATECAM_NOTIFY_LOG", "events.jsonl")
    (tmp_path / "events.jsonl").write_text('{"kind": "earlier"}\n')
    camera()
    stops_after(10)
    run("--headless")
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert kinds == ["earlier", "mask_missing"]


def test_a_log_that_cannot_be_written_is_one_sentence_and_exit_2(run, camera, stops_after, monkeypatch):
    monkeypatch.setenv("GATECAM_NOTIFY_LOG", "missing/events.jsonl")
    camera()
    stops_after(1)
    ended = run("--headless")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)


def test_a_sink_that_blocks_does_not_slow_the_frames(run, camera, stops_after, monkeypatch):
    blocked = threading.Event()

    class Blocking:
        def send(self, event):
            blocked.wait()

        def close(self):
            pass

    monkeypatch.setattr("gatecam.app.JsonLinesSink", lambda *words, **options: Blocking())
    monkeypatch.setattr("gatecam.notify.queue.QueuedSink.close", lambda sink: None)
    camera()
    analyzer = stops_after(60)
    ended = run("--headless")
    blocked.set()
    assert (ended.code, len(analyzer.batches)) == (0, 61)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("99", "/dev/video99: there is no such camera"),
        ("/dev/nope", "/dev/nope: there is no such camera"),
        ("clip.mp4", "camera clip.mp4: expected an index"),
        ("http://me:secret@127.0.0.1:9/", "camera entrance (http://***@127.0.0.1:9/) gives no picture"),
    ],
)
def test_no_such_camera_is_one_sentence_and_exit_2(gatecam, stops_after, source, sentence):
    stops_after(1)
    ended = gatecam("run", "--headless", "--camera", source)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"gatecam: {sentence}")
    assert ended.err.count("\n") == 1


class FakeWindow:
    """Stays open for so many pictures; then it asks to end, at the next picture or in a pause."""

    def __init__(self, pictures: int) -> None:
        self.shown = []
        self._pictures = pictures

    def show(self, image) -> bool:
        self.shown.append(image)
        return self.is_open()

    def is_open(self) -> bool:
        return len(self.shown) < self._pictures


def test_the_window_shows_every_step_and_ends_it(run, camera, stops_after, monkeypatch):
    window = FakeWindow(10)
    monkeypatch.setattr("gatecam.cli.running.open_window", lambda stack: window)
    camera()
    stops_after(100)
    ended = run()
    assert (ended.code, ended.out, len(window.shown)) == (0, "", 10)
    assert "People: 1" in ended.err
    banner_row = window.shown[-1][-2, :, :].astype(int)
    assert (banner_row[:, 0] > banner_row[:, 1] + 100).all()  # red, over grey pictures


def test_the_window_outlines_the_region_that_is_searched(run, camera, stops_after, monkeypatch):
    window = FakeWindow(1)
    monkeypatch.setattr("gatecam.cli.running.open_window", lambda stack: window)
    monkeypatch.setenv("GATECAM_DETECTOR_REGION", "0.25, 0.5, 0.75, 1")
    camera()
    stops_after(100)
    assert run().code == 0
    height, width = window.shown[0].shape[:2]
    assert (window.shown[0][height // 2, width // 4] == LIGHT).all()


def test_the_window_is_answered_while_the_camera_is_lost(run, camera, analyze, monkeypatch):
    class Closed(FakeWindow):
        def show(self, image) -> bool:
            self.shown.append(image)
            assert len(self.shown) < 3, "the camera came back before the window was answered"
            return True

    window = Closed(1)
    monkeypatch.setattr("gatecam.cli.running.open_window", lambda stack: window)
    camera(pictures=1)
    analyze([])
    ended = run()
    assert (ended.code, len(window.shown)) == (0, 1)


def start(tmp_path, halt: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    settings = {"NOTIFY_SOUND": "false", "NOTIFY_LOG": "/dev/stderr", "TRACKER_SETTLE_S": "0"}
    return subprocess.Popen(
        [sys.executable, FAKE_GATECAM, "run", "--camera", CAMERA, "--headless"],
        cwd=tmp_path,
        env={**os.environ, "HALT": halt, **{f"GATECAM_{name}": value for name, value in settings.items()}},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_weights_load_ends_it_cleanly(tmp_path, number):
    process = start(tmp_path, "build")
    assert process.stderr.readline() == "halted\n"
    process.send_signal(number)
    said = process.communicate(timeout=30)
    assert (process.returncode, *said) == (0, "", "gatecam: ended before the camera was open.\n")


def test_a_signal_while_it_watches_ends_it_with_the_summary(tmp_path):
    process = start(tmp_path, "100000")
    assert json.loads(process.stdout.readline())["kind"] == "mask_missing"
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "People: 1" in said
    assert "Traceback" not in said


def test_a_reader_that_hangs_cannot_hold_up_the_end(tmp_path):
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(write_end, True)
    process = start(tmp_path, "100000", write_end)
    while not process.stderr.readline().startswith("{"):
        pass
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    os.close(read_end)
    os.close(write_end)
    assert process.returncode == 0
    assert "Dropped: " in said
    assert "1 print" in said


def test_asked_before_there_is_something_to_stop_it_says_so():
    with stop_on_signals(), pytest.raises(EndedEarly):
        signal.raise_signal(signal.SIGTERM)


def test_asked_again_later_it_waits_no_longer():
    ended, now_s = [], [100.0]
    stop = Stop(clock=lambda: now_s[0])
    stop.reach(lambda: ended.append(True))
    stop()
    now_s[0] += 1.1
    with pytest.raises(KeyboardInterrupt):
        stop()
    assert ended == [True]


def test_one_ctrl_c_that_arrives_twice_is_one():
    ended, now_s = [], [100.0]
    stop = Stop(clock=lambda: now_s[0])
    stop.reach(lambda: ended.append(True))
    stop()
    now_s[0] += 0.1
    stop()
    assert ended == [True]
