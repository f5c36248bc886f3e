"""Evidence: a picture of each alert is kept, blurred, and nothing waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import av
import numpy as np
import PIL.Image
import pytest

from gatecam.errors import ModelError
from gatecam.live.evidence import ALERTS_WAITING, FRAMES_WAITING, Recorder
from gatecam.pictures.snapshots import LARGEST_PX, SnapshotFacts, shrunk_step
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, EvidenceConfig, PrivacyConfig
from gatecam.store.evidence import SPARE_BYTES, EvidenceFolder
from gatecam.store.kept_pictures import read_facts
from gatecam.types import Box, Event, EventKind, Frame, Step, Track, Verdict
from tests.finder import FakeFinder

KEPT = EvidenceConfig(snapshots=True)
FACE = Box(16, 16, 48, 48)
CELLS = np.random.default_rng(1).integers(0, 255, (24, 32, 1), np.uint8)
NOISE = np.repeat(CELLS.repeat(4, 0).repeat(4, 1), 3, 2)  # (96, 128, 3), coarse enough for JPEG


def key_of(number: int) -> str:
    return f"{number:032x}"


def step(index: int, alert: int | None = None, size: tuple[int, int] | None = None) -> Step:
    """A frame 0.1 s after the one before, with a person in it, and an alert with this number."""
    image = NOISE if size is None else np.zeros((*size, 3), np.uint8)
    event = Event(
        EventKind.MASK_MISSING,
        "gate",
        1,
        Verdict.NONE,
        index / 10,
        at="2026-11-24T12:00:00+00:00",
        key=key_of(alert or 0),
    )
    track = Track(1, FACE, 9, 1.0, Verdict.NONE)
    events = () if alert is None else (event,)
    return Step(Frame("entrance", index, index / 10, image), (), (track,), events)


@pytest.fixture
def folder(tmp_path) -> EvidenceFolder:
    return EvidenceFolder(tmp_path / "evidence")


@pytest.fixture
def finder() -> FakeFinder:
    return FakeFinder()


Start = Callable[..., Recorder]


@pytest.fixture
def start(folder, finder) -> Iterator[Start]:
    """Starts a recorder; all are closed."""
    started = []

    def begin(
        stored=lambda key: True,
        blur=True,
        folder=folder,
        finders=(finder, finder),
        on_trouble=lambda text: None,
        **evidence,
    ):
        config = Config(
            evidence=EvidenceConfig(snapshots=True, **evidence), privacy=PrivacyConfig(blur_evidence=blur)
        )
        started.append(
            Recorder(config, folder, lambda: finders, stored, Telemetry(), on_trouble, lambda: 0.0)
        )
        return started[-1]

    yield begin
    for recorder in started:
        recorder.close()


def feed(recorder: Recorder, steps) -> None:
    """Give steps as the live loop does, not faster than they are compressed."""
    for one in steps:
        while recorder._frames:
            threading.Event().wait(0.001)
        recorder.note(one, one.events)


def whole(folder: EvidenceFolder, number: int = 1) -> np.ndarray:
    return np.array(PIL.Image.open(folder.snapshot(key_of(number))))


def test_an_alert_has_a_blurred_picture_with_the_place_of_its_face(start, folder, finder):
    finder.found = [Box(80, 40, 110, 70)]
    recorder = start()
    feed(recorder, [step(i, 1 if i == 5 else None) for i in range(20)])
    recorder.close()
    shown = whole(folder).astype(int)
    for place in (np.s_[20:44, 20:44], np.s_[44:66, 84:106]):  # the judged face, and one that a search found
        assert len(np.unique(shown[place].reshape(-1, 3) // 16, axis=0)) <= 16
        assert np.abs(shown[place] - NOISE[place]).mean() > 40
    assert np.abs(shown[80:, :60] - NOISE[80:, :60]).mean() < 30
    assert read_facts(folder.snapshot(key_of(1))) == SnapshotFacts(FACE, True)
    assert not folder.clip(key_of(1)).exists()
    assert (recorder.sent, recorder.dropped, recorder.failed, recorder.waiting) == (1, 0, 0, 0)


def test_pictures_that_are_not_made_before_the_end_are_counted_and_told(start, caplog):
    gate = threading.Event()
    recorder = start(stored=lambda key: gate.wait(30))
    feed(recorder, [step(i, i if i in (5, 9) else None) for i in range(20)])
    recorder.close(0.2)
    gate.set()
    assert recorder.dropped == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Pictures or videos of alerts are lost (2): gatecam ended before they were made."
    ]


def test_without_blurring_the_picture_is_as_the_camera_gave_it(start, folder, finder):
    recorder = start(blur=False)
    feed(recorder, [step(i, 1 if i == 5 else None) for i in range(12)])
    recorder.close()
    assert np.abs(whole(folder).astype(int) - NOISE).mean() < 30
    assert finder.searches == 0
    assert read_facts(folder.snapshot(key_of(1))) == SnapshotFacts(FACE, False)


def test_blurring_is_turned_on_while_gatecam_runs(start, folder):
    recorder = start(blur=False)
    recorder.apply(Config(evidence=KEPT, privacy=PrivacyConfig(blur_evidence=True)))
    feed(recorder, [step(i, 1 if i == 5 else None) for i in range(12)])
    recorder.close()
    assert read_facts(folder.snapshot(key_of(1))).blurred


def test_pictures_and_videos_are_turned_off_and_on_while_gatecam_runs(start, folder):
    recorder = start()
    feed(recorder, [step(i, 1 if i == 9 else None) for i in range(10)])  # waits for the frames after it
    recorder.apply(Config())
    feed(recorder, [step(i, 2 if i == 15 else None) for i in range(10, 30)])
    assert (recorder.waiting, len(recorder._frames)) == (0, 0)
    recorder.apply(Config(evidence=EvidenceConfig(snapshots=True, clip_after_s=1)))
    feed(recorder, [step(i, 3 if i == 35 else None) for i in range(30, 60)])
    recorder.close()
    assert {(one.key, one.path.suffix) for one in folder.files()} == {
        (key_of(3), ".jpg"),
        (key_of(3), ".mp4"),
    }


def test_a_trouble_ends_when_pictures_are_turned_off(start, tmp_path):
    troubles = []
    recorder = start(folder=EvidenceFolder(tmp_path, lambda path: 0), on_trouble=troubles.append)
    feed(recorder, [step(i, 1 if i == 5 else None) for i in range(20)])
    while not troubles:
        threading.Event().wait(0.001)
    recorder.apply(Config())
    assert troubles[1:] == [None]


def test_networks_that_cannot_be_loaded_are_told_before_the_first_alert(folder):
    told, troubles = threading.Event(), []

    def fail():
        raise ModelError("weights are missing: restore them.")

    def note(text):
        troubles.append(text)
        told.set()

    recorder = Recorder(Config(evidence=KEPT), folder, fail, lambda key: True, on_trouble=note)
    assert told.wait(10)
    recorder.close()
    assert troubles == ["weights are missing: restore them."]


def test_a_finder_that_fails_leaves_no_picture(start, folder):
    class Broken:
        def find(self, image, largest_px=None):
            raise RuntimeError("out of memory")

    troubles = []
    recorder = start(finders=(Broken(), Broken()), on_trouble=troubles.append)
    feed(recorder, [step(i, 1 if i == 5 else None) for i in range(12)])
    recorder.close()
    assert folder.files() == []
    assert recorder.failed == 1
    assert "out of memory" in troubles[0]


def test_a_video_shows_the_seconds_before_and_after(start, folder, finder):
    recorder = start(clip_before_s=1, clip_after_s=2)
    feed(recorder, [step(i, 1 if i == 30 else None) for i in range(60)])
    recorder.close()
    with av.open(str(folder.clip(key_of(1)))) as video:
        frames = list(video.decode(video=0))
    assert len(frames) == 16  # 3 s at 5 frames/s, with both ends
    seen = frames[0].to_ndarray(format="rgb24")[20:44, 20:44].astype(int)
    assert np.abs(seen - NOISE[20:44, 20:44]).mean() > 30
    assert folder.clip(key_of(1)).stat().st_mode & 0o777 == 0o600
    assert whole(folder).shape == NOISE.shape


def test_at_the_end_the_frames_that_there_are_suffice(start, folder):
    recorder = start(clip_after_s=5)
    feed(recorder, [step(i, 1 if i == 4 else None) for i in range(6)])
    recorder.close()
    assert {one.path.suffix for one in folder.files()} == {".jpg", ".mp4"}


def test_evidence_of_an_event_that_was_erased_is_dropped(start, folder, monkeypatch):
    monkeypatch.setattr("gatecam.live.evidence.STORED_S", 0.2)
    recorder = start(stored=lambda key: False)
    feed(recorder, [step(i, 1 if i == 5 else None) for i in range(12)])
    recorder.close()
    assert folder.files() == []
    assert recorder.dropped == 1


@pytest.mark.parametrize("is_folder_there", [True, False])
def test_what_is_erased_while_its_picture_and_video_are_written_leaves_nothing(
    start, folder, monkeypatch, is_folder_there
):
    troubles, saved, erased = [], [], set()
    recorder = start(stored=lambda key: key not in erased, on_trouble=troubles.append, clip_after_s=0.2)
    recorder.saved = lambda camera, jpeg: saved.append(camera)
    for name in ("save_snapshot", "save_clip"):
        save = getattr(folder, name)

        def save_late(key, what, save=save):
            erased.add(key)
            if not is_folder_there:
                folder.erase()
            save(key, what)

        monkeypatch.setattr(folder, name, save_late)
    feed(recorder, [step(i, i if i in (5, 6) else None) for i in range(20)])
    recorder.close()
    assert (folder.files(), troubles, saved) == ([], [], [])
    assert (recorder.sent, recorder.failed) == (0, 0)


def test_an_event_that_is_stored_late_has_its_picture_although_frames_come_fast(start, folder, monkeypatch):
    monkeypatch.setattr("gatecam.live.evidence.POLL_S", 0.1)
    monkeypatch.setattr("gatecam.live.evidence.STORED_S", 1.0)
    stored, asked = threading.Event(), threading.Event()
    recorder = start(stored=lambda key: asked.set() or stored.is_set())
    feed(recorder, [step(i, 1 if i == 5 else None) for i in range(12)])
    assert asked.wait(10)
    for _ in range(50):  # as many cameras do
        with recorder._changed:
            recorder._changed.notify_all()
        threading.Event().wait(0.002)
    stored.set()
    recorder.close()
    assert len(folder.files()) == 1


def test_a_full_disk_loses_pictures_and_says_so_once(start, tmp_path):
    free, troubles, pictures = [0], [], []
    folder = EvidenceFolder(tmp_path / "full", lambda path: free[0])
    recorder = start(folder=folder, on_trouble=troubles.append)
    recorder.saved = lambda camera, jpeg: pictures.append(camera)
    feed(recorder, [step(i, i if i in (5, 6) else None) for i in range(20)])
    while recorder.waiting:
        threading.Event().wait(0.01)
    free[0] = SPARE_BYTES
    feed(recorder, [step(i, i if i == 25 else None) for i in range(20, 40)])
    recorder.close()
    assert [one.key for one in folder.files()] == [key_of(25)]
    assert ["make space" in (text or "") for text in troubles] == [True, False]
    assert (recorder.failed, recorder.sent, pictures) == (2, 1, ["gate"])


def test_the_live_loop_never_waits_and_what_is_too_much_is_counted(start, folder):
    hold, inside = threading.Event(), threading.Event()

    class Slow:
        def find(self, image, largest_px=None):
            inside.set()
            assert hold.wait(20)
            return []

    recorder = start(finders=(Slow(), Slow()))
    feed(recorder, [step(i, 1 if i == 0 else None) for i in range(7)])
    assert inside.wait(10)
    feed(recorder, [step(10 + i, 100 + i) for i in range(ALERTS_WAITING + 4)])
    feed(recorder, [step(60, None)])
    while any(one.due for one in recorder._cameras.values()):
        threading.Event().wait(0.001)
    assert recorder.dropped == 4
    with recorder._changed:  # as if compressing a frame took long
        for i in range(FRAMES_WAITING + 5):
            recorder._frames.append((step(i), ()))
        recorder.note(step(90, 300), step(90, 300).events)
    assert recorder.dropped == 5
    hold.set()


def test_large_pictures_are_shrunk_with_their_boxes():
    small = shrunk_step(step(1, size=(1440, 2 * LARGEST_PX)))
    assert small.frame.image.shape == (720, LARGEST_PX, 3)
    assert small.tracks[0].box == Box(8, 8, 24, 24)
    same = step(1)
    assert shrunk_step(same) is same
