"""Drawn scenes and their truth: what is hidden or cut is open, and gatecam sees people as they were drawn."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from benchmarks.drawn_people import read_faces
from benchmarks.scenes import COLUMNS, Actor, Scene, Stage, Waypoint
from gatecam.app import build_analyzer
from gatecam.bench.events.run import evaluate_clips
from gatecam.bench.events.truth import State, read_truth
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(read_faces(None), seed=3)


def scene(stage: Stage, actors: list[Actor], length_s: float) -> Scene:
    """A scene with these people in even light, of 12 frames/s."""
    wall = np.full((480, 640, 3), 150, np.uint8)
    return Scene("scene", actors, length_s, 12.0, np.ones(3, np.float32), 2.0, wall, seed=1)


def actor(stage: Stage, name: str, path: list[Waypoint], *looks: tuple[float, str], **others: bool) -> Actor:
    return Actor(name, stage.figure(np.random.default_rng(5)), path, list(looks), **others)


def states(drawn: Scene, name: str) -> list[State | None]:
    """What is true of somebody in each frame."""
    return [seen[name][0] if name in seen else None for _, seen in drawn.frames()]


def test_who_is_cut_by_the_frame_small_or_hidden_is_left_open(stage):
    passes = actor(stage, "passes", [Waypoint(0, -0.25, 110), Waypoint(1, 1.25, 110)], (0, "right"))
    stands = actor(stage, "stands", [Waypoint(0, 0.5, 60), Waypoint(1, 0.5, 60)], (0, "bare"))
    small = actor(stage, "small", [Waypoint(0, 0.05, 30), Waypoint(1, 0.05, 30)], (0, "bare"))
    drawn = scene(stage, [passes, stands, small], 1)
    assert states(drawn, "passes")[0] is None
    assert {State.ANY, State.CORRECT} == set(states(drawn, "passes")) - {None}
    assert states(drawn, "stands")[0] is State.NONE
    assert states(drawn, "stands")[6] is State.ANY
    assert set(states(drawn, "small")) == {State.ANY}


def test_a_state_is_open_while_a_mask_moves_but_not_while_a_hand_does(stage):
    path = [Waypoint(0, 0.5, 80), Waypoint(2, 0.5, 80)]
    masked = scene(stage, [actor(stage, "1", path, (0, "right"), (0.5, "bare"))], 1)
    assert states(masked, "1") == [State.CORRECT] * 6 + [State.ANY] * 3 + [State.NONE] * 3
    hand = scene(stage, [actor(stage, "1", path, (0, "bare"), (0.5, "hand"))], 1)
    assert set(states(hand, "1")) == {State.NONE}


def test_a_seed_draws_the_same_scene_again(stage):
    first, second, other = (
        next(one.scene(number).frames())[0]
        for one, number in ((stage, 1), (Stage(read_faces(None), 3), 1), (stage, 2))
    )
    assert (first == second).all()
    assert (first != other).any()


def test_a_bare_visitor_is_alerted_and_a_masked_one_thanked(stage, tmp_path):
    people = [
        actor(stage, name, [Waypoint(0, x, 80), Waypoint(9, x, 80)], (0, look))
        for name, x, look in (("bare", 0.25, "bare"), ("masked", 0.75, "right"))
    ]
    lines = scene(stage, people, 1.5).write(tmp_path)
    with (tmp_path / "truth.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *lines])
    config = Config()
    (scored,) = evaluate_clips(
        config,
        [tmp_path / "scene.mp4"],
        read_truth(tmp_path / "truth.csv"),
        build_analyzer(config, Telemetry()),
    )
    assert scored.faults() == []
    assert {(one.person, one.event.kind) for one in scored.judged} == {
        ("bare", "mask_missing"),
        ("masked", "mask_ok"),
    }
