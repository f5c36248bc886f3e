"""`gatecam run`: events on standard output, words on standard error, and a clean end whenever it is asked."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from gatecam.pictures.draw import ALARM, LIGHT
from gatecam.runtime.stopping import EndedEarly, Stop, exit_on_signals, stop_on_signals
from gatecam.vision.fake import FakeAnalyzer
from tests.streams import MjpegServer, jpeg

FAKE_GATECAM = Path(__file__).with_name("fake_gatecam.py")
PICTURE = jpeg(width=128, height=96, mode="L")


@pytest.fixture
def camera() -> Iterator[MjpegServer]:
    """A camera that gives pictures without end, unless the test gives it plans."""
    with MjpegServer(plan=lambda viewer: viewer.pictures(picture=PICTURE, period_s=0.01)) as server:
        yield server


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
def run(gatecam, monkeypatch, camera):
    """Runs the command on that camera; the first verdict holds at once."""
    monkeypatch.setenv("GATECAM_TRACKER_SETTLE_S", "0")
    return lambda *words: gatecam("run", "--camera", camera.url, *words)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_headless_prints_events_and_nothing_else_on_standard_output(run, stops_after, number):
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


def test_the_handlers_of_before_are_back_afterwards(run, stops_after):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stops_after(1)
    run("--headless")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_no_display_is_one_sentence_and_events_are_printed(run, stops_after):
    stops_after(10)
    ended = run()
    assert ended.code == 0
    assert ended.err.startswith("gatecam: no window (DISPLAY is not set): gatecam runs without one.")
    assert json.loads(ended.out)["kind"] == "mask_missing"


def test_no_sound_is_one_sentence_and_does_not_stop_it(run, stops_after, monkeypatch, caplog):
    monkeypatch.setenv("GATECAM_NOTIFY_SOUND", "true")
    monkeypatch.setattr("gatecam.notify.sound.find_players", list)
    stops_after(10)
    with caplog.at_level(logging.WARNING):
        ended = run("--headless")
    assert (ended.code, len(ended.out.splitlines())) == (0, 1)
    (record,) = caplog.records
    assert record.getMessage().startswith("Alerts are silent (no player was found): connect a speaker")


def test_events_are_added_to_the_log_file(run, stops_after, monkeypatch, tmp_path):
    monkeypatch.setenv("GATECAM_NOTIFY_LOG", "events.jsonl")
    (tmp_path / "events.jsonl").write_text('{"kind": "earlier"}\n')
    stops_after(10)
    run("--headless")
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert kinds == ["earlier", "mask_missing"]


def test_a_log_that_cannot_be_written_is_one_sentence_and_exit_2(run, stops_after, monkeypatch):
    monkeypatch.setenv("GATECAM_NOTIFY_LOG", "missing/events.jsonl")
    stops_after(1)
    ended = run("--headless")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)


def test_a_sink_that_blocks_does_not_slow_the_frames(run, stops_after, monkeypatch):
    blocked = threading.Event()

    class Blocking:
        def send(self, event):
            blocked.wait()

        def close(self):
            pass

    monkeypatch.setattr("gatecam.app.JsonLinesSink", lambda *words, **options: Blocking())
    monkeypatch.setattr("gatecam.notify.queue.QueuedSink.close", lambda sink, timeout_s=2.0: None)
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


def test_the_window_shows_every_step_and_ends_it(run, stops_after, monkeypatch):
    window = FakeWindow(10)
    monkeypatch.setattr("gatecam.live.window.open_window", lambda stack, full_screen: window)
    stops_after(100)
    ended = run()
    assert (ended.code, ended.out, len(window.shown)) == (0, "", 10)
    assert "People: 1" in ended.err
    banner_row = window.shown[-1][-2, :, :].astype(int)
    assert (banner_row[:, 0] > banner_row[:, 1] + 100).all()  # red, over grey pictures


def test_the_window_outlines_the_region_that_is_searched(run, stops_after, monkeypatch):
    window = FakeWindow(1)
    monkeypatch.setattr("gatecam.live.window.open_window", lambda stack, full_screen: window)
    monkeypatch.setenv("GATECAM_DETECTOR_REGION", "0.25, 0.5, 0.75, 1")
    stops_after(100)
    assert run().code == 0
    height, width = window.shown[0].shape[:2]
    assert (window.shown[0][height // 2, width // 4] == LIGHT).all()


def test_the_window_is_answered_while_the_camera_is_lost(run, camera, analyze, monkeypatch):
    class Closed(FakeWindow):
        def show(self, image) -> bool:
            self.shown.append(image)
            return True

    window = Closed(1)
    monkeypatch.setattr("gatecam.live.window.open_window", lambda stack, full_screen: window)
    camera.plans, camera.plan = [lambda viewer: viewer.pictures(5)], lambda viewer: None
    analyze([])
    ended = run()
    assert ended.code == 0
    assert camera.connections < 3, "the camera came back before the window was answered"


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path, camera) -> Iterator[Start]:
    """Starts `gatecam run` on that camera in a process of its own; a person is there from the first frame."""
    names = {"NOTIFY_SOUND": "false", "NOTIFY_LOG": "/dev/stderr", "TRACKER_SETTLE_S": "0"}
    settings = {f"GATECAM_{name}": value for name, value in names.items()}
    with ExitStack() as stack:

        def begin(halt: str, *words: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, FAKE_GATECAM, "run", "--camera", camera.url, "--headless", *words],
                cwd=tmp_path,
                env={**os.environ, "HALT": halt, "XDG_RUNTIME_DIR": str(tmp_path), **settings},
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


@pytest.mark.parametrize(("number", "words"), [(signal.SIGTERM, ["--log-json"]), (signal.SIGINT, [])])
def test_a_signal_while_weights_load_ends_it_cleanly(start, number, words):
    process = start("build", *words)
    assert process.stderr.readline() == "halted\n"
    process.send_signal(number)
    out, said = process.communicate(timeout=30)
    text = "ended before the camera was open."
    assert (json.loads(said)["message"] if words else said) == (text if words else f"gatecam: {text}\n")
    assert (process.returncode, out) == (0, "")


def test_a_signal_while_it_watches_ends_it_with_the_summary(start):
    process = start("100000")
    assert json.loads(process.stdout.readline())["kind"] == "mask_missing"
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "People: 1" in said
    assert "Traceback" not in said


def test_a_reader_that_hangs_cannot_hold_up_the_end(start):
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(write_end, True)
    process = start("100000", stdout=write_end)
    while not process.stderr.readline().startswith("{"):
        pass
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    os.close(read_end)
    os.close(write_end)
    assert process.returncode == 0
    assert "Dropped: " in said
    assert "1 print" in said


def ends_well(process: subprocess.Popen[str]) -> str:
    """End it; what it said after all that was read."""
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    return said


def line_with(process: subprocess.Popen[str], text: str) -> str:
    return next(line for line in process.stderr if text in line)


def test_settings_are_read_anew_when_saved_or_upon_a_signal_and_broken_ones_are_refused(start, tmp_path):
    settings = tmp_path / "config.yaml"
    settings.write_text("tracker: {confidence: 0.7}\n")
    process = start("100000")
    line_with(process, "watching camera")
    settings.write_text("tracker: {confidence: 0.8}\n")
    assert line_with(process, "settings") == "gatecam: settings applied: tracker.confidence\n"
    settings.write_text("tracker: {confidence: 0.9}\nnotify: {queue: 7}\n")
    process.send_signal(signal.SIGHUP)
    applied = line_with(process, "settings applied")
    assert applied == "gatecam: settings applied: tracker.confidence; restart gatecam for notify.queue\n"
    settings.write_text("tracker: {confidence: lots}\n")
    process.send_signal(signal.SIGHUP)
    assert "settings rejected, the previous ones stay in use: tracker.confidence" in line_with(
        process, "settings"
    )
    ends_well(process)


def test_words_are_json_on_request(start, camera):
    camera.plans, camera.plan = [lambda viewer: viewer.pictures(5)], lambda viewer: None
    process = start("100000", "--log-json")
    first = json.loads(line_with(process, "watching"))
    assert (first["level"], first["message"]) == ("info", "watching camera entrance; Ctrl-C ends")
    lost = json.loads(line_with(process, "tried again"))
    assert (lost["level"], lost["camera"], lost["reason"]) == ("warning", "entrance", "lost")
    event = json.loads(line_with(process, "camera_blind"))  # the log is standard error here
    assert (event["camera"], event["reason"], event["track_id"]) == ("entrance", "lost", 0)
    ends_well(process)


def test_it_answers_how_it_is(start, gatecam):
    process = start("100000")
    line_with(process, "mask_missing")
    said = gatecam("status", "--json")
    health = json.loads(said.out)
    assert (said.code, health["sees"], health["pid"]) == (0, True, process.pid)
    assert (health["last_alert"]["kind"], health["cameras"][0]["faces"]) == ("mask_missing", 1)
    assert {queue["name"] for queue in health["queues"]} == {"print", "log", "store"}
    ends_well(process)
    assert gatecam("status").code == 2


def says_blind(picture) -> bool:
    return bool((picture[len(picture) // 2] == ALARM).all(axis=-1).any())


def test_the_screen_says_that_the_camera_does_not_see(run, camera, analyze, monkeypatch):
    class Noticing(FakeWindow):
        def is_open(self) -> bool:
            return not self.shown or not says_blind(self.shown[-1])

    window = Noticing(0)
    monkeypatch.setattr("gatecam.live.window.open_window", lambda stack, full_screen: window)
    camera.plans, camera.plan = [lambda viewer: viewer.pictures(5)], lambda viewer: None
    analyze([])
    assert run().code == 0
    assert says_blind(window.shown[-1])


@pytest.fixture
def manager(tmp_path, monkeypatch) -> Iterator[Callable[[str], str]]:
    """A service manager; gives the next message with a text, of those that come to its socket."""
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(30)

        def until(text: str) -> str:
            while text not in (said := listening.recv(4096).decode()):
                pass
            return said

        yield until


def test_as_a_service_it_waits_for_its_camera_and_feeds_the_watchdog(start, camera, manager):
    camera.kill()
    process = start("100000")
    manager("READY=1")
    assert manager("has not seen since").startswith("STATUS=entrance has not seen")
    assert manager("WATCHDOG=1")
    camera.start()
    assert manager("STATUS") == "STATUS=watches 1 camera"
    line_with(process, "mask_missing")
    assert manager("WATCHDOG=1")
    process.send_signal(signal.SIGTERM)
    assert manager("STOPPING=1")
    process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("words", [[], ["--log-json"]])
def test_an_unknown_error_ends_it_with_a_clear_log_and_what_was_said_is_kept(start, words):
    process = start("fail", *words)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert json.loads(out)["kind"] == "mask_missing"
    last = said.splitlines()[-1]
    assert "ValueError: no such thing" in (json.loads(last)["error"] if words else last)


def test_a_closed_terminal_ends_it_and_any_other_hang_up_reads_the_settings(monkeypatch):
    done: list[str] = []
    terminals = [0, 1]
    monkeypatch.setattr("gatecam.runtime.stopping.os.isatty", lambda fd: fd in terminals)
    stop = Stop()
    stop.hang_up()
    stop.reach(lambda: done.append("end"), lambda: done.append("reload"))
    assert done == ["reload"]
    stop.hang_up()
    terminals.clear()
    stop.hang_up()
    assert done == ["reload", "reload", "end"]


def test_asked_before_there_is_something_to_stop_it_says_so():
    with stop_on_signals(), pytest.raises(EndedEarly):
        signal.raise_signal(signal.SIGTERM)


def test_a_closed_terminal_ends_any_command_unless_it_was_started_to_survive_that():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit, match="129"), exit_on_signals():
            signal.raise_signal(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        with exit_on_signals():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


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
