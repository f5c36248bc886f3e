"""`gatecam replay`: every frame counts, nothing that is read is destroyed, each failure is one sentence."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from gatecam.app import build_finder
from gatecam.capture.images import read_image
from gatecam.capture.video import VideoFile
from gatecam.cli import replay
from gatecam.pictures import drawn
from gatecam.pictures.draw import LIGHT

FAKE_GATECAM = Path(__file__).with_name("fake_gatecam.py")


def frames_of(path: Path):
    with VideoFile(path) as frames:
        return [frame.image for frame in frames]


def events_of(path: Path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_frame_is_used_and_the_summary_tells_who_came(gatecam, without_mask, make_video):
    make_video("clip.mp4", frames=30)
    ended = gatecam("replay", "clip.mp4")
    assert ended.code == 0
    assert sum(without_mask.batches) == 30
    assert "People: 1" in ended.out
    assert "none 0." in ended.out
    assert "mask_missing 0." in ended.out
    assert "decode │     30" in ended.out
    assert "track  │     30" in ended.out
    assert ended.err == "gatecam: loading the networks…\n"


def test_an_event_line_has_the_fields_that_others_read(gatecam, without_mask, make_video, tmp_path):
    make_video("clip.mp4")
    gatecam("replay", "clip.mp4", "--events", "events.jsonl")
    (event,) = events_of(tmp_path / "events.jsonl")
    assert event["kind"] == "mask_missing"
    assert (event["camera"], event["track_id"], event["verdict"]) == ("clip", 1, "none")
    assert event["time_s"] == pytest.approx(event["frame"] / 25, abs=0.001)


def test_two_runs_give_byte_identical_events(gatecam, analyze, bare_face, make_video, tmp_path):
    make_video("clip.mp4", frames=60)
    for name in ("a.jsonl", "b.jsonl"):
        analyze(itertools.repeat([bare_face]))
        gatecam("replay", "clip.mp4", "--events", name)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes() != b""


def test_nobody_is_told_as_nobody(gatecam, analyze, make_video, tmp_path):
    analyze([])
    make_video("clip.mp4")
    ended = gatecam("replay", "clip.mp4", "--events", "events.jsonl", "--sheet", "sheet.png")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "Nobody came.")
    assert (tmp_path / "events.jsonl").read_bytes() == b""
    assert read_image(tmp_path / "sheet.png").size > 0


def test_one_bad_video_of_several_is_told_at_the_end_and_the_others_are_done(
    gatecam, without_mask, make_video, tmp_path
):
    make_video("a.mp4")
    make_video("b.mp4")
    (tmp_path / "bad.mp4").write_text("no video")
    ended = gatecam("replay", "a.mp4", "bad.mp4", "b.mp4", "--events", "events.jsonl")
    assert ended.code == 2
    assert ended.err.count("\n") == 2
    assert ended.err.splitlines()[1].startswith("gatecam: bad.mp4: ")
    assert [event["camera"] for event in events_of(tmp_path / "events.jsonl")] == ["a", "b"]
    assert "People: 2" in ended.out


def test_videos_of_one_name_stay_apart(gatecam, without_mask, make_video, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        make_video(f"{folder}/clip.mp4")
    ended = gatecam(
        "replay", "one/clip.mp4", "two/clip.mp4", "--events", "events.jsonl", "--video", "out.mp4"
    )
    assert "People: 2" in ended.out
    assert [event["camera"] for event in events_of(tmp_path / "events.jsonl")] == ["clip", "clip-2"]
    assert len(frames_of(tmp_path / "out-clip.mp4")) == len(frames_of(tmp_path / "out-clip-2.mp4")) == 30


def silent_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("missing.mp4", lambda path: None),
        ("empty.mp4", Path.touch),
        ("text.mp4", lambda path: path.write_text("no video")),
        ("noise.mkv", lambda path: path.write_bytes(np.random.default_rng(1).bytes(20_000))),
        ("sound.mp4", silent_sound),
        ("folder", Path.mkdir),
        ("[red]/가.mp4", lambda path: None),
    ],
)
def test_what_is_no_video_is_one_sentence_and_exit_2(gatecam, analyze, tmp_path, name, make):
    analyze([])
    make(tmp_path / name)
    ended = gatecam("replay", name)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"gatecam: {name}: ")
    assert ended.err.count("\n") == 1


def test_of_a_truncated_video_the_readable_part_is_done_and_the_loss_told(
    gatecam, without_mask, make_video, tmp_path
):
    whole = make_video("whole.mkv", frames=40, still=False).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    ended = gatecam("replay", "cut.mkv")
    assert ended.code == 0
    assert 0 < sum(without_mask.batches) < 40
    assert "cut.mkv: the file ends early" in ended.out


@pytest.mark.parametrize(
    "words",
    [
        ["--events", "missing/events.jsonl"],
        ["--sheet", "missing/sheet.jpg"],
        ["--sheet", "sheet.txt"],
        ["--video", "missing/out.mp4"],
        ["--video", "out.avi"],
        ["--video", "out"],
        ["--events", "same.mp4", "--video", "same.mp4"],
        ["--events", "."],
    ],
)
def test_an_output_that_cannot_be_written_is_one_sentence_and_exit_2(
    gatecam, without_mask, make_video, tmp_path, words
):
    make_video("clip.mp4")
    ended = gatecam("replay", "clip.mp4", *words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"gatecam: {words[1]}: ")
    assert ended.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("option", ["--events", "--video", "--sheet"])
def test_no_output_destroys_a_video_that_is_read(gatecam, without_mask, make_video, tmp_path, option):
    before = make_video("clip.mp4").read_bytes()
    (tmp_path / "link.mp4").symlink_to("clip.mp4")
    for name in ("clip.mp4", "link.mp4"):
        ended = gatecam("replay", "clip.mp4", option, name)
        assert ended.code == 2
        assert ended.err.count("\n") == 1
    assert (tmp_path / "clip.mp4").read_bytes() == before


def test_the_numbered_video_of_several_destroys_none_of_them(gatecam, without_mask, make_video, tmp_path):
    make_video("a.mp4")
    before = make_video("out-a.mp4").read_bytes()
    assert gatecam("replay", "a.mp4", "out-a.mp4", "--video", "out.mp4").code == 2
    assert (tmp_path / "out-a.mp4").read_bytes() == before


def face_change(path: Path, source: Path) -> float:
    """How far the pixels within the face's box moved between two videos, 0 to 255; its edge is left out."""
    pair = [np.stack(frames_of(p)).astype(float)[:, 36:60, 52:76] for p in (path, source)]
    return float(np.abs(pair[0] - pair[1]).mean())


def test_faces_are_blurred_unless_asked_otherwise(gatecam, without_mask, make_video, monkeypatch, tmp_path):
    monkeypatch.setattr("gatecam.app.build_finder", build_finder)  # the real one
    source = make_video("clip.mp4", frames=3)
    gatecam("replay", "clip.mp4", "--video", "blurred.mp4")
    gatecam("replay", "clip.mp4", "--video", "clear.mp4", "--no-blur")
    assert face_change(tmp_path / "blurred.mp4", source) > 30
    assert face_change(tmp_path / "clear.mp4", source) < 10


def test_the_setting_decides_where_no_word_does(gatecam, without_mask, make_video, tmp_path):
    source = make_video("clip.mp4", frames=3)
    (tmp_path / "config.yaml").write_text("privacy: {blur_faces: false}\n")
    gatecam("replay", "clip.mp4", "--video", "clear.mp4")
    gatecam("replay", "clip.mp4", "--video", "blurred.mp4", "--blur")
    assert face_change(tmp_path / "clear.mp4", source) < 10
    assert face_change(tmp_path / "blurred.mp4", source) > 30


def test_a_portrait_video_is_written_upright(gatecam, analyze, tmp_path):
    analyze([])
    with av.open(str(tmp_path / "phone.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(90)
        for _ in range(5):
            image = np.zeros((48, 64, 3), np.uint8)
            image[:, 32:] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    gatecam("replay", "phone.mp4", "--video", "out.mp4")
    first, *_ = frames_of(tmp_path / "out.mp4")
    (source, *_) = frames_of(tmp_path / "phone.mp4")
    assert first.shape == (64, 48, 3)
    assert np.abs(first.astype(float) - source).mean() < 5
    assert abs(float(first[:24].mean()) - float(first[40:].mean())) > 200


def test_a_folder_of_pictures_is_replayed(gatecam, without_mask, save_picture):
    for number in range(12):
        save_picture(f"frames/{number}.png")
    ended = gatecam("replay", "frames")
    assert ended.code == 0
    assert sum(without_mask.batches) == 12
    assert "mask_missing" in ended.out


def test_no_display_is_one_sentence_and_does_not_stop_it(gatecam, without_mask, make_video):
    make_video("clip.mp4")
    ended = gatecam("replay", "clip.mp4", "--show")
    assert ended.code == 0
    assert sum(without_mask.batches) == 30
    assert (
        "gatecam: no window (DISPLAY is not set): gatecam runs without one. Set DISPLAY to get it."
        in ended.err.splitlines()
    )


@pytest.mark.parametrize("name", ["[red]x.mp4", "가나 다.mp4", ":smile:.mp4", "a:b.mp4"])
def test_any_name_is_told_as_it_is_uncut_and_uncoloured(gatecam, without_mask, make_video, name):
    long = "long" * 30
    make_video(name)
    make_video(f"{long}.mp4")
    ended = gatecam("replay", name, f"{long}.mp4", "--video", "o.mp4")
    assert ended.code == 0
    assert "\x1b" not in ended.out
    camera = name.removesuffix(".mp4")
    assert f"│ {camera} " in ended.out
    assert f"video: o-{camera}.mp4\n" in ended.out
    assert f"│ {long} │" in ended.out


def test_the_window_ends_it_and_what_was_done_is_told(
    gatecam, without_mask, make_video, monkeypatch, tmp_path
):
    class Window:
        shown = 0

        def show(self, image):
            self.shown += 1
            return self.shown < 5

    monkeypatch.setattr("gatecam.live.window.open_window", lambda stack: Window())
    make_video("a.mp4")
    make_video("b.mp4")
    ended = gatecam("replay", "a.mp4", "b.mp4", "--show", "--video", "out.mp4")
    assert ended.code == 0
    assert len(frames_of(tmp_path / "out-a.mp4")) == 5
    assert not (tmp_path / "out-b.mp4").exists()


def test_the_region_that_is_searched_is_outlined_in_the_window_and_in_the_video(
    gatecam, analyze, make_video, monkeypatch, tmp_path
):
    shown = []

    class Window:
        def show(self, image):
            shown.append(image)
            return True

    analyze([])
    monkeypatch.setattr("gatecam.live.window.open_window", lambda stack: Window())
    monkeypatch.setenv("GATECAM_DETECTOR_REGION", "0.25, 0.5, 0.75, 1")
    make_video("a.mp4", frames=3)
    plain = frames_of(tmp_path / "a.mp4")[0].astype(int)
    assert gatecam("replay", "a.mp4", "--show", "--video", "out.mp4").code == 0
    height, width = plain.shape[:2]
    edge = np.s_[height // 2, width // 4 : width * 3 // 4]
    assert (shown[0][edge] == LIGHT).all()
    drawn = frames_of(tmp_path / "out.mp4")[0].astype(int)
    assert abs(drawn[edge] - LIGHT).mean() < abs(plain[edge] - LIGHT).mean() / 2


def _heed_ctrl_c() -> None:
    """What a shell's background jobs, such as these tests may be, ignore and pass on as ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_end_leaves_whole_files(make_video, tmp_path, number, code):
    make_video("clip.mp4", frames=60)
    words = ["clip.mp4", "--events", "events.jsonl", "--video", "out.mp4", "--sheet", "sheet.jpg"]
    process = subprocess.Popen(
        [sys.executable, FAKE_GATECAM, "replay", *words],
        cwd=tmp_path,
        env={**os.environ, "HALT": "40"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=_heed_ctrl_c,
    )
    assert [process.stderr.readline() for _ in range(2)] == ["gatecam: loading the networks…\n", "halted\n"]
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (code, "")
    assert 40 - replay.STEPS_AHEAD <= len(frames_of(tmp_path / "out.mp4")) <= 40
    assert [event["kind"] for event in events_of(tmp_path / "events.jsonl")] == ["mask_missing"]
    assert read_image(tmp_path / "sheet.jpg").shape[1] > 400
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "clip.mp4",
        "events.jsonl",
        "out.mp4",
        "sheet.jpg",
    ]


def test_the_contact_sheet_holds_the_moment(gatecam, without_mask, make_video, tmp_path):
    make_video("clip.mp4")
    ended = gatecam("replay", "clip.mp4", "--sheet", "sheet.png")
    assert "contact sheet: sheet.png" in ended.out
    assert read_image(tmp_path / "sheet.png")[16:316, 16:416].std() > 30


def test_what_is_drawn_changes_no_event(gatecam, without_mask, make_video, tmp_path):
    """Frames are analysed ahead where they are drawn."""
    make_video("clip.mp4", frames=60)
    assert gatecam("replay", "clip.mp4", "--events", "alone.jsonl").code == 0
    words = ("--events", "drawn.jsonl", "--video", "out.mp4", "--sheet", "sheet.png")
    assert gatecam("replay", "clip.mp4", *words).code == 0
    alone = (tmp_path / "alone.jsonl").read_bytes()
    assert alone
    assert (tmp_path / "drawn.jsonl").read_bytes() == alone
    assert len(frames_of(tmp_path / "out.mp4")) == 60


def test_frames_are_analysed_while_others_are_drawn(gatecam, analyze, make_video, monkeypatch):
    threads = {}

    def note(name, call):
        def noted(*given, **named):
            threads.setdefault(name, set()).add(threading.current_thread().name)
            return call(*given, **named)

        return noted

    analyzer = analyze([[]] * 20)
    monkeypatch.setattr(analyzer, "analyze", note("analysed", analyzer.analyze))
    monkeypatch.setattr(drawn, "annotate", note("drawn", drawn.annotate))
    make_video("clip.mp4", frames=20)
    assert gatecam("replay", "clip.mp4", "--video", "out.mp4").code == 0
    assert threads["drawn"] == {"MainThread"}
    assert threads["analysed"] == {"prefetch"}
