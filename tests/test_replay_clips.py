"""Whole replays, real parts throughout: the shared clips, and the demo clip against its golden events."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gatecam.app import build_analyzer, open_replay
from gatecam.people.pipeline import People
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, DetectorConfig
from gatecam.types import Event, Verdict

GOLDEN = Path(__file__).parent / "data" / "golden" / "demo-events.jsonl"
SIGNING = ("again", "bird", "book", "eat", "learn")
WALKING = "face-demographics-walking.gif"


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return build_analyzer(Config(), Telemetry())


@dataclass
class Replayed:
    """What a replay showed; `correct` has each judged face's probability of a mask worn right."""

    people: People = field(default_factory=People)
    events: list[Event] = field(default_factory=list)
    correct: list[float] = field(default_factory=list)


def replayed(path: Path, analyzer: FaceAnalyzer, config: Config | None = None) -> Replayed:
    seen = Replayed()
    with open_replay(config or Config(), path, analyzer, Telemetry()) as replay:
        for step in replay.steps:
            seen.people.add(step)
            seen.events.extend(step.events)
            seen.correct.extend(float(face.prediction.mask[0]) for face in step.faces)
    return seen


@pytest.fixture(scope="module")
def shown(analyzer: FaceAnalyzer) -> Callable[[Path], Replayed]:
    """Replays a clip with the settings that come with gatecam, once."""
    return cache(lambda path: replayed(path, analyzer))


@pytest.mark.data
@pytest.mark.parametrize("name", SIGNING)
def test_a_signer_without_a_mask_is_alerted_once_whatever_the_hands_do(
    name: str, shared_data: Path, shown: Callable[[Path], Replayed]
) -> None:
    seen = shown(shared_data / "videos" / f"{name}.mkv")
    assert (seen.people.tracks, seen.people.came) == (1, 1)
    assert Counter(event.kind for event in seen.events) == {"mask_missing": 1}
    assert len(seen.correct) > 30
    masked = np.array(seen.correct) >= Config().tracker.confidence
    assert masked.mean() < 0.1, "a hand before the mouth is no mask, but for a few frames"


def told(seen: Replayed) -> tuple[object, ...]:
    """People with the verdicts that they were given, and events, both in order and without their times."""
    people = [
        [verdict for _, verdict in person.verdicts if verdict is not Verdict.UNKNOWN]
        for person in seen.people.latest()
    ]
    return people, [(event.kind, event.track_id, event.verdict) for event in seen.events]


@pytest.mark.data
@pytest.mark.parametrize("clip", [*(f"{name}.mkv" for name in SIGNING), WALKING])
def test_key_frames_tell_what_searching_every_frame_tells(
    clip: str, shared_data: Path, analyzer: FaceAnalyzer, shown: Callable[[Path], Replayed]
) -> None:
    path = shared_data / "videos" / clip
    whole = replayed(path, analyzer, Config(detector=DetectorConfig(detect_every=1)))
    assert told(shown(path)) == told(whole)


@pytest.mark.data
def test_key_frames_give_the_same_events_twice(
    shared_data: Path, analyzer: FaceAnalyzer, shown: Callable[[Path], Replayed]
) -> None:
    path = shared_data / "videos" / WALKING
    assert replayed(path, analyzer).events == shown(path).events


@pytest.mark.data
def test_two_people_who_walk_up_are_two(shared_data: Path, shown: Callable[[Path], Replayed]) -> None:
    seen = shown(shared_data / "videos" / WALKING)
    assert seen.people.tracks == 2


def test_the_demo_gives_its_golden_events(demo: Path, analyzer: FaceAnalyzer) -> None:
    """Times may move by a frame or two with another processor's arithmetic; what is said may not."""
    seen = replayed(demo, analyzer)
    people, events = seen.people, seen.events
    golden = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
    assert people.tracks == 1
    assert [(e.kind, e.camera, e.track_id, e.verdict) for e in events] == [
        (g["kind"], g["camera"], g["track_id"], g["verdict"]) for g in golden
    ]
    for event, expected in zip(events, golden, strict=True):
        assert event.frame == pytest.approx(expected["frame"], abs=4)
        assert event.probability == pytest.approx(expected["probability"], abs=0.05)
