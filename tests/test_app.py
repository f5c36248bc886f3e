"""Parts are built from settings in one place, and taken down again."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

from gatecam import app
from gatecam.errors import CameraError, DeviceError, OutputError, SourceError
from gatecam.live.camera_alerts import CameraAlerts
from gatecam.live.parts import Live
from gatecam.live.reports import Troubles
from gatecam.people.keyframes import Searched
from gatecam.pictures.snapshots import SnapshotFacts
from gatecam.runtime.locks import camera_lock
from gatecam.runtime.telemetry import Telemetry
from gatecam.runtime.wall_clock import time_of_day, wall_clock
from gatecam.settings.schema import (
    TRIAL,
    CameraConfig,
    CameraEntry,
    ChatConfig,
    CommandConfig,
    Config,
    DetectorConfig,
    EvidenceConfig,
    NotifyConfig,
    ReplayConfig,
    StoreConfig,
    TrackerConfig,
)
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventFilter, EventStore
from gatecam.store.kept_pictures import read_facts
from gatecam.types import Box, CameraCondition, Event, EventKind, Frame, Round, Step, Track, Verdict
from gatecam.vision.fake import FakeAnalyzer
from tests.finder import FakeFinder
from tests.streams import MjpegServer, Viewer

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


def entry(server: MjpegServer, name: str, **settings) -> CameraEntry:
    return CameraEntry(source=server.url, name=name, **settings)


def steps_of(live: Live) -> Iterator[Step]:
    return (step for turn in live.rounds for step in turn.steps)


def test_live_rounds_go_on_until_stop_and_leave_no_process():
    with MjpegServer() as server:
        config = Config(camera=CameraConfig(source=server.url, name="gate"))
        states: list[tuple[str, str]] = []
        with app.open_live(
            config, FakeAnalyzer, Telemetry(), lambda name, state: states.append((name, state.kind))
        ) as live:
            cameras = [step.frame.camera for step in itertools.islice(steps_of(live), 5)]
            live.stop()
            assert list(live.rounds) == []
    assert (cameras, states) == (["gate"] * 5, [("gate", "open")])
    assert subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True).stdout == b""


def test_several_cameras_have_people_of_their_own_and_one_that_is_lost_leaves_the_other(make_face):
    with MjpegServer() as good, MjpegServer(plan=lambda viewer: None) as bad:
        config = Config(cameras=(entry(good, "north"), entry(bad, "south")))
        analyzer = FakeAnalyzer(itertools.repeat([make_face(30, 20, 20)]))
        turns = []
        with app.open_live(config, lambda: analyzer, Telemetry()) as live:
            for turn in live.rounds:
                turns.append(turn)
                told = [(event.kind, event.camera) for turn in turns for event in turn.events]
                if len(told) == 2:
                    break
    assert sorted(told) == [(EventKind.CAMERA_BLIND, "south"), (EventKind.MASK_MISSING, "north")]
    assert {step.frame.camera for turn in turns for step in turn.steps} == {"north"}


def test_settings_are_applied_to_living_tracks(make_face):
    with MjpegServer() as server:
        config = Config(cameras=(entry(server, "north"),))
        analyzer = FakeAnalyzer(itertools.repeat([make_face(30, 20, 20)]))
        with app.open_live(config, lambda: analyzer, Telemetry()) as live:
            steps = steps_of(live)
            first = next(step for step in steps if step.tracks)
            strict = config.model_copy(update={"tracker": TrackerConfig(confidence=0.999, settle_s=0)})
            live.apply(strict)
            later = list(itertools.islice(steps, 20))
    assert analyzer.applied == [strict]
    assert {track.id for step in later for track in step.tracks} == {first.tracks[0].id}
    assert later[-1].tracks[0].verdict is Verdict.UNKNOWN


def test_cameras_are_added_changed_and_removed_while_another_goes_on():
    with MjpegServer() as north, MjpegServer() as south, MjpegServer() as other:
        config = Config(cameras=(entry(north, "north"),))
        with app.open_live(config, FakeAnalyzer, Telemetry()) as live:
            steps, before = steps_of(live), live.cameras.cameras[0]
            next(steps)
            both = Config(cameras=(entry(north, "north"), entry(south, "south")))
            assert live.apply(both) is None
            assert any(step.frame.camera == "south" for step in steps)
            moved = Config(cameras=(entry(north, "north"), entry(other, "south")))
            live.apply(moved)
            assert any(step.frame.camera == "south" for step in steps)
            assert live.cameras.cameras[0] is before
            with camera_lock("free again", south.url):
                pass
            live.apply(Config(cameras=(entry(other, "south"),)))
            next(steps)  # perhaps the rest of a round that was begun before
            assert {step.frame.camera for step in itertools.islice(steps, 5)} == {"south"}
            assert list(live.alerts.states) == ["south"]
    assert subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True).stdout == b""


def test_a_camera_that_is_used_elsewhere_is_not_added_and_that_is_told():
    with MjpegServer() as north:
        config = Config(cameras=(entry(north, "north"),))
        both = Config(cameras=(*config.cameras, CameraEntry(name="south", source="http://127.0.0.1:9/")))
        with app.open_live(config, FakeAnalyzer, Telemetry()) as live:
            with camera_lock("other", "http://127.0.0.1:9/"):
                assert "camera south is used by another gatecam" in (live.apply(both) or "")
            assert next(steps_of(live)).frame.camera == "north"


def test_a_camera_that_is_tried_out_causes_no_alert():
    with MjpegServer() as north, MjpegServer(plan=lambda viewer: None) as bad:
        config = Config(cameras=(entry(north, "north"),))
        tried = Config(cameras=(*config.cameras, entry(bad, TRIAL)))
        with app.open_live(config, FakeAnalyzer, Telemetry()) as live:
            live.apply(tried)
            trial = live.cameras.cameras[-1]
            turns = itertools.takewhile(
                lambda turn: trial.state.kind is not CameraCondition.LOST, live.rounds
            )
            assert [event for turn in turns for event in turn.events] == []
            assert list(live.alerts.states) == ["north"]


def test_a_camera_that_another_gatecam_uses_is_refused():
    config = Config(camera=CameraConfig(source="http://127.0.0.1:9/", name="gate"))
    with (
        camera_lock("gate", "http://127.0.0.1:9/"),
        pytest.raises(CameraError, match=r"camera gate is used by another gatecam"),
        app.open_live(config, FakeAnalyzer, Telemetry(), wait=True),
    ):
        pytest.fail("nothing can be entered")


def test_live_events_are_printed_and_logged_as_the_same_line_with_the_time_of_day(tmp_path, capsys):
    config = Config(notify=NotifyConfig(sound=False, log=str(tmp_path / "log.jsonl")))
    sinks = app.build_live_sinks(config, Telemetry(), print_events=True)
    sinks.send(EVENT)
    sinks.close()
    text = (tmp_path / "log.jsonl").read_text()
    assert capsys.readouterr().out == text
    line = json.loads(text)
    assert (line["kind"], line["frame"]) == ("mask_missing", 37)
    assert abs((datetime.now().astimezone() - datetime.fromisoformat(line["at"])).total_seconds()) < 60
    assert [(queue.name, queue.sent) for queue in sinks.queues] == [("print", 1), ("log", 1), ("store", 1)]


def test_while_the_log_cannot_be_written_an_event_sounds_but_is_not_printed(tmp_path, capsys, monkeypatch):
    sounded, troubles = threading.Event(), []
    monkeypatch.setattr(app.SoundSink, "send", lambda sink, event: sounded.set())
    config = Config(notify=NotifyConfig(log="/dev/full"))
    sinks = app.build_live_sinks(
        config, Telemetry(), print_events=True, on_trouble=lambda *said: troubles.append(said)
    )
    sinks.send(EVENT)
    assert sounded.wait(10)
    sinks.close()
    assert capsys.readouterr().out == ""
    assert troubles[0][0] == "log"
    assert "No space left on device" in troubles[0][1]
    dropped = {queue.name: queue.dropped for queue in sinks.queues}
    assert dropped == {"print": 0, "log": 1, "store": 0, "sound": 0}


def test_every_event_is_in_the_store_whatever_else_there_is(tmp_path, capsys):
    path = tmp_path / "events.sqlite3"
    config = Config(notify=NotifyConfig(sound=False), store=StoreConfig(path=str(path)))
    with pytest.raises(OutputError, match="there is no store yet"):
        app.open_store(config)
    sinks = app.build_live_sinks(config, Telemetry(), print_events=False)
    sinks.send(EVENT)
    sinks.close()
    assert capsys.readouterr().out == ""
    with closing(app.open_store(config)) as store:
        (stored,) = store.backlog(0, 10).events
    assert replace(stored.event, at="") == EVENT


def test_what_the_store_has_goes_to_the_outputs_that_are_set(tmp_path):
    taken = tmp_path / "taken"
    config = Config(
        notify=NotifyConfig(sound=False),
        store=StoreConfig(path=str(tmp_path / "events.sqlite3")),
        command=CommandConfig(run=("sh", "-c", f"cat >> {taken}; echo >> {taken}.done")),
    )
    sinks = app.build_live_sinks(config, Telemetry(), print_events=False)
    sinks.send(EVENT)
    end_s = time.monotonic() + 20
    while not (tmp_path / "taken.done").exists() and time.monotonic() < end_s:
        threading.Event().wait(0.02)
    sinks.close()
    assert json.loads(taken.read_text())["kind"] == "mask_missing"
    assert [(queue.name, queue.sent) for queue in sinks.queues] == [("store", 1), ("command", 1)]


def test_every_output_that_is_set_up_can_be_tested_without_storing_anything(tmp_path):
    taken = tmp_path / "taken"
    config = Config(
        store=StoreConfig(path=str(tmp_path / "events.sqlite3")),
        command=CommandConfig(run=("sh", "-c", f"cat > {taken}")),
    )
    sinks = app.build_live_sinks(config, Telemetry(), print_events=False)
    try:
        assert set(sinks.tests) == {"sound", "command"}
        sinks.tests["command"]()
        assert json.loads(taken.read_text())["reason"] == "test"
        moved = config.model_copy(update={"camera": CameraConfig(name="yard")})
        sinks.apply(moved)
        sinks.tests["command"]()
        assert json.loads(taken.read_text())["camera"] == "yard"
    finally:
        sinks.close()
    with closing(app.open_store(config)) as store:
        assert store.count() == 0


def test_a_database_that_is_new_gets_what_the_file_holds_already(tmp_path, monkeypatch):
    file, server = tmp_path / "events.sqlite3", tmp_path / "server.sqlite3"
    with closing(EventStore(SqliteDatabase(file))) as store:
        store.append([replace(EVENT, at=wall_clock())] * 3)
    monkeypatch.setattr("gatecam.store.engine.PostgresDatabase", lambda url: SqliteDatabase(server))
    settings = StoreConfig(path=str(file), url="postgresql://db.example/gatecam")
    config = Config(store=settings, notify=NotifyConfig(sound=False))
    sinks = app.build_live_sinks(config, Telemetry(), print_events=False)
    with closing(EventStore(SqliteDatabase(server))) as copy:
        end_s = time.monotonic() + 20
        while copy.count() < 3:
            assert time.monotonic() < end_s
            threading.Event().wait(0.02)
    sinks.close()


@pytest.mark.parametrize("frames", [3, 2], ids=["the person left", "gatecam ended"])
def test_a_picture_of_an_alert_is_kept_and_the_event_is_told_how_long_it_lasted(
    tmp_path, monkeypatch, frames
):
    monkeypatch.setattr(app, "build_finder", lambda config, thorough=False: FakeFinder())
    config = Config(
        notify=NotifyConfig(sound=False),
        store=StoreConfig(path=str(tmp_path / "events.sqlite3")),
        evidence=EvidenceConfig(snapshots=True),
    )
    sinks = app.build_live_sinks(config, Telemetry(), print_events=False)
    image, alerts = np.zeros((48, 64, 3), np.uint8), CameraAlerts()
    for time_s, events, tracks in ((1.5, (EVENT,), (1,)), (2.5, (), (1,)), (3.5, (), ()))[:frames]:
        people = tuple(Track(one, Box(8, 8, 24, 24), 9, 1.0, Verdict.NONE) for one in tracks)
        step = Step(Frame("entrance", 0, time_s, image), (), people, events)
        sinks.note(Round(time_s, (step,), ()), alerts)
    sinks.close()
    with closing(app.open_store(config)) as store:
        (stored,) = store.find(EventFilter(), 2)
    began_ms = datetime.fromisoformat(stored.event.at).timestamp() * 1000
    assert stored.ended_ms == pytest.approx(began_ms + 1000, abs=2)
    assert read_facts(app.evidence_folder(config).snapshot(stored.key)) == SnapshotFacts(Box(8, 8, 24, 24))
    assert [(one.name, one.sent) for one in sinks.queues] == [("store", 1), ("evidence", 1)]


def test_pictures_of_alerts_are_turned_on_while_gatecam_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "build_finder", lambda config, thorough=False: FakeFinder())
    store, quiet = StoreConfig(path=str(tmp_path / "events.sqlite3")), NotifyConfig(sound=False)
    config = Config(notify=quiet, store=store)
    sinks = app.build_live_sinks(config, Telemetry(), print_events=False)
    assert [one.name for one in sinks.queues] == ["store"]
    step = Step(Frame("entrance", 0, 1.5, np.zeros((48, 64, 3), np.uint8)), (), (), (EVENT,))
    evidence = EvidenceConfig(snapshots=True, keep_days=2)
    for wanted in (evidence, evidence, EvidenceConfig()):
        sinks.apply(config.model_copy(update={"evidence": wanted}))
        assert sinks.keeping._evidence[1] is wanted
    sinks.apply(config.model_copy(update={"evidence": evidence}))
    sinks.note(Round(1.5, (step,), ()), CameraAlerts())
    sinks.close()
    assert [(one.name, one.sent) for one in sinks.queues] == [("store", 1), ("evidence", 1)]
    assert len(app.evidence_folder(config).files()) == 1


def test_what_was_played_is_noted_at_the_event(tmp_path, monkeypatch):
    monkeypatch.setattr("gatecam.notify.sound.find_players", lambda: [SilentPlayer()])
    config = Config(store=StoreConfig(path=str(tmp_path / "events.sqlite3")))
    sinks = app.build_live_sinks(config, Telemetry(), print_events=False)
    sinks.send(replace(EVENT, time_s=time.monotonic()))
    sinks.close()
    with closing(app.open_store(config)) as store:
        assert store.find(EventFilter(), 1)[0].said == "tone, ko, en"


def test_the_speaker_knows_who_is_there_before_it_gets_the_events_of_a_frame(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(app.SoundSink, "note", lambda sink, presence: told.append(presence.verdict))
    monkeypatch.setattr(app.SoundSink, "send", lambda sink, event: told.append(event.kind))
    config = Config(store=StoreConfig(path=str(tmp_path / "events.sqlite3")))
    sinks = app.build_live_sinks(config, Telemetry(), print_events=False)
    frame, bare = Frame("entrance", 0, 1.5, np.zeros((4, 4, 3), np.uint8)), Verdict.NONE
    person = Track(1, Box(0, 0, 1, 1), 9, 1.0, bare)
    sinks.note(Round(1.5, (Step(frame, (), (person,), (EVENT,), person),), ()), CameraAlerts())
    sinks.close()
    assert told == [bare, EVENT.kind]


class SilentPlayer:
    """Plays everything at once and unheard."""

    name = "silence"

    def play(self, sound: bytes) -> None:
        pass


def test_outputs_are_closed_at_the_same_time(tmp_path, monkeypatch):
    """Each waits for the others' ends, which never come where one is closed after another."""
    ends = threading.Barrier(4)

    class Slow:
        batch, trouble = 1, None

        def __init__(self, name):
            self.name = name

        def close(self):
            ends.wait(30)

    slow = [Slow(f"chat {number}") for number in range(4)]
    monkeypatch.setattr("gatecam.notify.chat.chat_outputs", lambda config, picture_of: slow)
    config = Config(
        notify=NotifyConfig(sound=False),
        store=StoreConfig(path=str(tmp_path / "events.sqlite3")),
        chat=ChatConfig(urls_file="given"),
    )
    app.build_live_sinks(config, Telemetry(), print_events=False).close()


def test_a_gatecam_is_the_same_to_a_broker_after_a_restart_and_unlike_others(tmp_path):
    def named(**settings):
        return app._identity(Config(**settings))

    north = CameraConfig(source="0", name="north")
    assert named(camera=north) == named(camera=north)
    others = [
        named(camera=CameraConfig(source="0", name="south")),
        named(camera=CameraConfig(source="1", name="north")),
        named(camera=north, store=StoreConfig(path=str(tmp_path / "events"))),
    ]
    assert named(camera=north) not in others


def test_a_log_that_cannot_be_opened_is_told_at_once(tmp_path):
    config = Config(notify=NotifyConfig(sound=False, log=str(tmp_path / "missing" / "log.jsonl")))
    before = set(threads("sink"))
    with pytest.raises(OutputError, match="events cannot be written"):
        app.build_live_sinks(config, Telemetry(), print_events=True)
    assert set(threads("sink")) <= before


def test_a_log_that_another_gatecam_writes_is_told_at_once(tmp_path):
    config = Config(notify=NotifyConfig(sound=False, log=str(tmp_path / "log.jsonl")))
    first = app.build_live_sinks(config, Telemetry(), print_events=False)
    with pytest.raises(OutputError, match=rf"written by another gatecam \(process {os.getpid()}\)"):
        app.build_live_sinks(config, Telemetry(), print_events=False)
    first.close()
    app.build_live_sinks(config, Telemetry(), print_events=False).close()


def test_a_frame_time_is_told_as_the_time_of_day():
    hour_ago = datetime.fromtimestamp(time.time() - 3600)
    told = datetime.strptime(f"{hour_ago.year} {time_of_day(time.monotonic() - 3600)}", "%Y %m-%d %H:%M:%S")
    assert abs((told - hour_ago).total_seconds()) < 2


def test_torch_is_loaded_with_threads_that_sleep_rather_than_spin() -> None:
    """Spinning threads make frames ten times slower on two cores that others use too."""
    code = (
        "import os, sys\n"
        "from gatecam.app import build_crop_classifier\n"
        "from gatecam.settings.schema import Config\n"
        "assert 'torch' not in sys.modules\n"
        "build_crop_classifier(Config(device='cpu'))\n"
        "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)\n"
    )
    env = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == ["PASSIVE", "True"], run.stderr


def test_cameras_open_while_the_networks_load():
    is_open = threading.Event()

    def pictures(viewer: Viewer) -> None:
        is_open.set()
        viewer.pictures()

    def load() -> FakeAnalyzer:
        assert is_open.wait(60)
        return FakeAnalyzer()

    with MjpegServer(plan=pictures) as server:
        config = Config(camera=CameraConfig(source=server.url, name="gate"))

        with app.open_live(config, load, Telemetry()) as live:
            assert next(steps_of(live)).frame.camera == "gate"
    assert subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True).stdout == b""


def test_networks_that_do_not_load_leave_no_reader():
    def load() -> FakeAnalyzer:
        raise DeviceError("no networks")

    config = Config(camera=CameraConfig(source="http://127.0.0.1:9/", name="gate"))
    with pytest.raises(DeviceError), app.open_live(config, load, Telemetry()):
        pytest.fail("nothing can be entered")
    assert subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True).stdout == b""


def test_the_store_and_the_networks_load_at_the_same_time(monkeypatch):
    """Each waits for the other's start, which never comes where one is loaded after the other."""
    starts, closed = threading.Barrier(2), threading.Event()
    opened = SimpleNamespace(close=closed.set)
    monkeypatch.setattr(app, "build_live_sinks", lambda *parts: (starts.wait(30), opened)[1])

    def build(config: Config, telemetry: Telemetry, before_networks: Callable[[], None]) -> FakeAnalyzer:
        before_networks()
        starts.wait(30)
        return FakeAnalyzer()

    monkeypatch.setattr(app, "build_analyzer", build)
    config = Config(camera=CameraConfig(source="http://127.0.0.1:9/", name="gate"))
    monkeypatch.setattr(app, "in_service", lambda: True)
    with ExitStack() as stack:
        _, sinks = app._open(config, Telemetry(), True, Troubles(), stack)
        assert sinks is opened
    assert closed.is_set()


def test_sinks_are_closed_if_the_networks_do_not_load(monkeypatch):
    closed = threading.Event()

    def fail(config: Config, telemetry: Telemetry, before_networks: Callable[[], None]) -> FakeAnalyzer:
        before_networks()
        raise DeviceError("no networks")

    monkeypatch.setattr(app, "build_live_sinks", lambda *parts: SimpleNamespace(close=closed.set))
    monkeypatch.setattr(app, "build_analyzer", fail)
    config = Config(camera=CameraConfig(source="http://127.0.0.1:9/", name="gate"))
    with ExitStack() as stack, pytest.raises(DeviceError):
        app._open(config, Telemetry(), True, Troubles(), stack)
    assert closed.is_set()
