"""Cuts: wherever a recording is cut, its results are those of one replay, bit by bit."""

from __future__ import annotations

import functools
from pathlib import Path

import av
import pytest

from gatecam.app import build_analyzer, open_replay
from gatecam.archive.assembly import Assembly, Result
from gatecam.archive.parts import analyze
from gatecam.capture.part import Cut, find_cuts
from gatecam.notify.jsonl import event_to_line
from gatecam.people.pipeline import People
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from tests.archive.conftest import FPS, SECONDS, ColorAnalyzer

CONFIG = Config()


def replayed(path: Path, analyzer) -> tuple[list[str], list[tuple[object, ...]]]:
    people, events = People(), []
    with open_replay(CONFIG, path, analyzer, Telemetry()) as replay:
        for step in replay.steps:
            people.add(step)
            events += [event_to_line(event) for event in step.events]
    return events, [(one.track_id, one.first_s, one.last_s, one.verdicts) for one in people.latest()]


def assembled(path: Path, cuts: list[Cut], analyzer, order: int = 0) -> tuple[Result, int]:
    """The result of a recording cut in parts, and how many frames were analyzed for it."""
    assembly, frames = Assembly(path, path.stem, cuts), 0
    waiting = assembly.begin()
    while waiting:
        part = waiting.pop(order)
        outcome = analyze(part, analyzer, CONFIG)
        frames += sum(one.frames for one in outcome.stretches)
        waiting += assembly.add(part, outcome)
    assert assembly.result is not None
    return assembly.result, frames


def as_replayed(result: Result):
    people = [(track, one.first_s, one.last_s, one.verdicts) for track, one in result.people.items()]
    return [event_to_line(event) for event in result.events], people


@functools.cache
def expected(path: Path):
    return replayed(path, ColorAnalyzer())


def test_the_recording_has_something_to_lose(recording):
    events, people = expected(recording)
    assert len(people) == 5
    assert len(events) >= 7


def test_a_recording_cut_at_any_key_frame_gives_what_one_replay_gives(recording):
    cuts = find_cuts(recording, range(1, SECONDS))
    assert len(cuts) == SECONDS - 1
    work = 0
    for cut in cuts:
        result, frames = assembled(recording, [cut], ColorAnalyzer())
        work += frames
        assert as_replayed(result) == expected(recording), cut
        assert (result.frames, result.loss, result.error) == (288, None, None)
    assert work < 1.5 * 288 * len(cuts), "the parts agree soon after the cut"


@pytest.mark.parametrize(("every_s", "order"), [(1, 0), (7, -1), (13, 0)])
def test_a_recording_cut_often_gives_what_one_replay_gives(recording, every_s, order):
    cuts = find_cuts(recording, range(every_s, SECONDS, every_s))
    result, _ = assembled(recording, cuts, ColorAnalyzer(), order)
    assert as_replayed(result) == expected(recording)


def write_visits(path: Path, demo: Path) -> Path:
    """Write the demo's visit twice, 24 s with 8 frames/s and a key frame each second."""
    with av.open(str(demo)) as file:
        pictures = [one.to_ndarray(format="rgb24") for one in file.decode(video=0)][:: 30 // FPS]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.options = {"g": str(FPS), "keyint_min": str(FPS), "preset": "ultrafast"}
        for picture in [*pictures, *pictures]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_cuts_change_nothing_with_the_real_networks(demo, tmp_path):
    path = write_visits(tmp_path / "door.mkv", demo)
    analyzer = build_analyzer(CONFIG, Telemetry())
    cuts = find_cuts(path, range(5, 24, 5))
    assert len(cuts) >= 4
    events, people = replayed(path, analyzer)
    assert len(events) >= 4
    result, _ = assembled(path, cuts, analyzer)
    assert as_replayed(result) == (events, people)
