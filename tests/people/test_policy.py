"""The policy: what is said to whom, once, and what is not said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from gatecam.people.policy import MAX_REMINDERS, AlertPolicy
from gatecam.people.tracker import FaceTracker
from gatecam.ports import Policy
from gatecam.settings.schema import PolicyConfig, TrackerConfig
from gatecam.types import Event, EventKind, Face, Track, Verdict

MakeFace = Callable[..., Face]
MakeTrack = Callable[..., Track]
CONFIG = PolicyConfig(remind_s=10.0, cooldown_s=3.0)
CORRECT, INCORRECT, NONE, UNKNOWN = Verdict.CORRECT, Verdict.INCORRECT, Verdict.NONE, Verdict.UNKNOWN


def tell(policy: Policy, scene: Iterable[tuple[float, Sequence[Track]]]) -> list[tuple[float, int, str]]:
    """What was said over a scene: (time, track, kind)."""
    return [
        (event.time_s, event.track_id, event.kind.value)
        for time_s, tracks in scene
        for event in policy.decide(tracks, time_s, 0)
    ]


def kinds(said: Iterable[tuple[float, int, str]]) -> list[str]:
    return [kind for _, _, kind in said]


@pytest.fixture
def policy() -> AlertPolicy:
    return AlertPolicy(CONFIG, "door")


class OnceATrackPolicy:
    """The fake: one alert for each track whose verdict is `none`."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def decide(self, tracks: Sequence[Track], time_s: float, frame: int) -> Sequence[Event]:
        bare = [track for track in tracks if track.verdict is NONE and track.id not in self._told]
        self._told |= {track.id for track in bare}
        return [Event(EventKind.MASK_MISSING, "door", t.id, t.verdict, time_s, frame) for t in bare]


class TestContract:
    @pytest.fixture(params=["real", "fake"])
    def any_policy(self, request: pytest.FixtureRequest) -> Policy:
        return AlertPolicy(CONFIG, "door") if request.param == "real" else OnceATrackPolicy()

    def test_no_tracks_give_no_events(self, any_policy: Policy) -> None:
        assert list(any_policy.decide([], 0.0, 0)) == []

    def test_a_bare_face_is_told_once(self, any_policy: Policy, make_track: MakeTrack) -> None:
        said = tell(any_policy, [(second, [make_track(4)]) for second in range(5)])
        assert said == [(0, 4, "mask_missing")]

    def test_unknown_says_nothing(self, any_policy: Policy, make_track: MakeTrack) -> None:
        assert tell(any_policy, [(second, [make_track(verdict=UNKNOWN)]) for second in range(60)]) == []


class TestOnePerson:
    def test_event_carries_what_the_track_said(self, policy: AlertPolicy, make_track: MakeTrack) -> None:
        events = policy.decide([make_track(7, INCORRECT, probability=0.81)], 2.5, 75)
        assert events == [Event(EventKind.MASK_INCORRECT, "door", 7, INCORRECT, 2.5, 75, 0.81)]

    def test_flapping_between_alerts_repeats_neither(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        scene = [(second, [make_track(verdict=(NONE, INCORRECT)[second % 2])]) for second in range(10)]
        assert kinds(tell(policy, scene)) == ["mask_missing", "mask_incorrect"]

    def test_reminders_come_every_ten_seconds_and_end(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        said = tell(policy, [(float(second), [make_track()]) for second in range(300)])
        assert said[1:] == [(10.0 * n, 1, "mask_reminder") for n in range(1, MAX_REMINDERS + 1)]

    def test_the_reminder_counts_from_the_last_alert(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        verdicts = [NONE] * 6 + [INCORRECT] * 15
        said = tell(
            policy, [(second, [make_track(verdict=verdict)]) for second, verdict in enumerate(verdicts)]
        )
        assert said == [(0, 1, "mask_missing"), (6, 1, "mask_incorrect"), (16, 1, "mask_reminder")]

    def test_a_mask_from_the_start_is_welcomed_once(self, policy: AlertPolicy, make_track: MakeTrack) -> None:
        said = tell(policy, [(second, [make_track(verdict=CORRECT)]) for second in range(60)])
        assert said == [(0, 1, "mask_ok")]

    def test_a_mask_put_on_is_thanked_and_one_taken_off_alerted_again(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        verdicts = [NONE] * 5 + [CORRECT] * 5 + [NONE] * 15
        said = tell(
            policy, [(second, [make_track(verdict=verdict)]) for second, verdict in enumerate(verdicts)]
        )
        assert said == [
            (0, 1, "mask_missing"),
            (5, 1, "mask_ok"),
            (10, 1, "mask_missing"),
            (20, 1, "mask_reminder"),
        ]

    def test_a_mask_put_on_again_is_thanked_again_and_reminders_start_anew(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        verdicts = [NONE] * 50 + [CORRECT] * 5 + [NONE] * 50 + [CORRECT] * 5
        said = tell(policy, [(second, [make_track(verdict=v)]) for second, v in enumerate(verdicts)])
        once = ["mask_missing", *["mask_reminder"] * MAX_REMINDERS, "mask_ok"]
        assert kinds(said) == once * 2

    def test_a_mask_that_goes_on_three_times_is_put_on_once(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        verdicts = [NONE, INCORRECT, CORRECT, *[NONE] * 5, CORRECT, *[NONE] * 5, CORRECT]
        events = [
            event
            for second, verdict in enumerate(verdicts)
            for event in policy.decide(
                [make_track(second // 7, verdict)], 2.0 * second, second
            )  # it breaks up
        ]
        assert kinds((e.time_s, 0, e.kind) for e in events).count("mask_ok") == 3
        assert [e.time_s for e in events if e.first] == [0.0]
        assert [(e.time_s, e.came_s) for e in events if e.came_s is not None] == [(4.0, 0.0)]

    def test_who_comes_with_a_mask_never_counts_as_putting_one_on(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        verdicts = [CORRECT, *[NONE] * 5, CORRECT, *[NONE] * 5, CORRECT]
        scene = [(2.0 * n, [make_track(verdict=verdict)]) for n, verdict in enumerate(verdicts)]
        events = [event for time_s, tracks in scene for event in policy.decide(tracks, time_s, 0)]
        assert [event.first for event in events if event.kind == "mask_ok"] == [True, False, False]
        assert {event.came_s for event in events} == {None}

    def test_a_kind_is_not_repeated_within_the_cool_down_but_after_it(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        verdicts = [NONE, CORRECT, NONE, NONE, NONE]
        said = tell(
            policy, [(second, [make_track(verdict=verdict)]) for second, verdict in enumerate(verdicts)]
        )
        assert said == [(0, 1, "mask_missing"), (1, 1, "mask_ok"), (3, 1, "mask_missing")]

    @pytest.mark.parametrize("seed", range(30))
    def test_whatever_the_verdicts_do_no_kind_comes_twice_within_the_cool_down(
        self, policy: AlertPolicy, make_track: MakeTrack, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        verdicts = [list(Verdict)[n] for n in rng.integers(0, 4, 600)]
        said = tell(policy, [(n / 10, [make_track(verdict=verdict)]) for n, verdict in enumerate(verdicts)])
        assert said
        for kind in EventKind:
            moments = [time_s for time_s, _, told in said if told == kind]
            assert all(gap >= 3.0 for gap in np.diff(moments))

    def test_unknown_resets_nothing(self, policy: AlertPolicy, make_track: MakeTrack) -> None:
        verdicts = [NONE, UNKNOWN, UNKNOWN, NONE, CORRECT, UNKNOWN, UNKNOWN, UNKNOWN, CORRECT]
        said = tell(
            policy, [(second, [make_track(verdict=verdict)]) for second, verdict in enumerate(verdicts)]
        )
        assert kinds(said) == ["mask_missing", "mask_ok"]

    def test_a_coasting_track_says_nothing_and_is_not_reminded(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        scene = [(0, [make_track(missing_s=0.2)]), (1, [make_track()]), (12, [make_track(missing_s=0.2)])]
        assert tell(policy, scene) == [(1, 1, "mask_missing")]


class TestSamePlace:
    def test_a_broken_track_does_not_nag(self, policy: AlertPolicy, make_track: MakeTrack) -> None:
        scene = [(0.0, [make_track(1)]), (1.0, []), (2.5, [make_track(2, x=120, side=90)])]
        assert kinds(tell(policy, scene)) == ["mask_missing"]

    def test_the_former_track_may_still_coast(self, policy: AlertPolicy, make_track: MakeTrack) -> None:
        scene = [(0.0, [make_track(1)]), (0.5, [make_track(1, missing_s=0.5), make_track(2)])]
        assert kinds(tell(policy, scene)) == ["mask_missing"]

    def test_the_cool_down_goes_on_over_a_broken_track(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        scene = [(0.0, [make_track(1)]), (1.0, [make_track(1, CORRECT)])]
        scene += [(time_s, [make_track(2)]) for time_s in (2.0, 2.9, 3.0)]
        assert tell(policy, scene)[2:] == [(3.0, 2, "mask_missing")]

    def test_the_reminder_goes_on_over_a_broken_track(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        scene = [(second, [make_track(1 if second < 5 else 2)]) for second in range(12)]
        assert tell(policy, scene) == [(0, 1, "mask_missing"), (10, 2, "mask_reminder")]

    @pytest.mark.parametrize(
        ("where", "what"),
        [
            ({"x": 300}, "elsewhere"),
            ({"y": 180}, "below"),
            ({"side": 40}, "further away"),
            ({"side": 160}, "nearer"),
        ],
    )
    def test_the_next_person_is_alerted_at_once(
        self, policy: AlertPolicy, make_track: MakeTrack, where: dict[str, float], what: str
    ) -> None:
        said = tell(policy, [(0.0, [make_track(1)]), (0.5, []), (1.0, [make_track(2, **where)])])
        assert said[1:] == [(1.0, 2, "mask_missing")], what

    def test_after_the_cool_down_the_place_is_free(self, policy: AlertPolicy, make_track: MakeTrack) -> None:
        said = tell(policy, [(0.0, [make_track(1)]), (3.5, [make_track(2)])])
        assert kinds(said) == ["mask_missing", "mask_missing"]

    def test_one_lost_person_is_found_again_only_once(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        scene = [(0.0, [make_track(1)]), (1.0, [make_track(2), make_track(3, x=110)])]
        assert tell(policy, scene)[1:] == [(1.0, 3, "mask_missing")]

    def test_someone_bare_after_someone_masked_is_alerted(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        scene = [(0.0, [make_track(1, CORRECT)]), (1.0, []), (2.0, [make_track(2, NONE)])]
        assert kinds(tell(policy, scene)) == ["mask_ok", "mask_missing"]

    def test_no_cool_down_makes_every_track_a_new_person(self, make_track: MakeTrack) -> None:
        policy = AlertPolicy(PolicyConfig(cooldown_s=0), "door")
        scene = [(0.0, [make_track(1)]), (0.1, []), (0.2, [make_track(2)])]
        assert kinds(tell(policy, scene)) == ["mask_missing", "mask_missing"]

    def test_state_does_not_grow_with_the_people_seen(
        self, policy: AlertPolicy, make_track: MakeTrack
    ) -> None:
        for number in range(10_000):
            policy.decide([make_track(number, x=200 * (number % 20))], number * 0.5, number)
        assert len(policy._people) < 10


class TestWithTheTracker:
    """Scenes of a door from faces to events."""

    @pytest.mark.parametrize("fps", [5, 10, 30, 60])
    @pytest.mark.parametrize("seed", range(5))
    def test_a_bare_person_is_told_once_and_thanked_once(
        self, make_face: MakeFace, fps: int, seed: int
    ) -> None:
        """Walks up with 8 % jitter and 20 % misses; hands pass over the mouth; the mask goes on at 6 s."""
        rng = np.random.default_rng(seed)
        tracker, policy, said = FaceTracker(TrackerConfig()), AlertPolicy(CONFIG, "door"), []
        for n in range(9 * fps):
            t = n / fps
            side = 50 + 8 * t
            x, y = rng.normal([200 + 15 * t, 150], 0.08 * side)
            masked = t >= 6 or 2 <= t < 2.4 or 3.5 <= t < 4
            face = make_face(x=x, y=y, side=side, mask="correct" if masked else "none", sure=0.9)
            tracks = tracker.update([] if rng.random() < 0.2 else [face], t)
            said += tell(policy, [(t, tracks)])
        assert kinds(said) == ["mask_missing", "mask_ok"]
        assert said[0][0] <= (0.5 if fps >= 30 else 1.0)
        assert said[1][0] <= 8

    def test_a_queue_loses_no_alert(self, make_face: MakeFace) -> None:
        """Bare people step up one after the other; each one's place is taken by the next."""
        tracker, policy, said = FaceTracker(TrackerConfig()), AlertPolicy(CONFIG, "door"), []
        for n in range(30 * 12):
            t = n / 30
            faces = []
            for number in range(5):
                walked_s = t - 2 * number
                if 0 <= walked_s < 3.5:
                    faces.append(
                        make_face(x=120 + 60 * walked_s, y=100 + 40 * walked_s, side=30 + 25 * walked_s)
                    )
            said += tell(policy, [(t, tracker.update(faces, t))])
        assert [(track_id, kind) for _, track_id, kind in said] == [(n, "mask_missing") for n in range(1, 6)]
        assert [round(t - 2 * n, 1) <= 0.5 for n, (t, _, _) in enumerate(said)] == [True] * 5


RED, BLUE, DARK_RED = (50, 60, 40), (50, 0, -40), (47, 58, 38)


@pytest.mark.parametrize(
    ("second", "alerts"),  # the second track as (clothes, x, side)
    [
        pytest.param((RED, 100, 80), 1, id="the same clothes in the same place"),
        pytest.param((DARK_RED, 190, 60), 1, id="the same person somewhat elsewhere and farther away"),
        pytest.param((RED, 350, 80), 1, id="the same clothes, seen late on the way back"),
        pytest.param((RED, 500, 80), 1, id="the same clothes, back in another place"),
        pytest.param((RED, 700, 80), 2, id="the same clothes far away"),
        pytest.param((RED, 100, 200), 2, id="the same clothes much nearer"),
        pytest.param((BLUE, 100, 80), 2, id="other clothes in the same place"),
        pytest.param((None, 100, 80), 1, id="unknown clothes in the same place"),
        pytest.param((None, 190, 60), 2, id="unknown clothes elsewhere"),
    ],
)
def test_the_same_person_again_needs_place_and_looks(
    policy: AlertPolicy, make_track: MakeTrack, make_looks, second, alerts
) -> None:
    clothes, x, side = second
    looks = None if clothes is None else make_looks(clothes)
    scene = [
        (0.0, [make_track(1, looks=make_looks(RED))]),
        (1.0, []),
        (2.0, [make_track(2, x=x, side=side, looks=looks)]),
    ]
    assert kinds(tell(policy, scene)) == ["mask_missing"] * alerts


def test_everyone_in_a_queue_of_unlike_people_on_one_spot_is_alerted(
    policy: AlertPolicy, make_track: MakeTrack, make_looks
) -> None:
    clothes = [(50, 60 * np.cos(turn), 60 * np.sin(turn)) for turn in range(8)]
    scene = [(1.2 * n, [make_track(n, looks=make_looks(color))]) for n, color in enumerate(clothes, 1)]
    assert kinds(tell(policy, scene)) == ["mask_missing"] * 8


def test_pictures_cause_nothing(policy: AlertPolicy, make_track: MakeTrack) -> None:
    scene = [(float(second), [replace(make_track(), is_picture=True)]) for second in range(60)]
    assert tell(policy, scene) == []


def test_other_settings_tell_nobody_twice(policy: AlertPolicy, make_track: MakeTrack) -> None:
    said = tell(policy, [(0.0, [make_track(verdict=NONE)])])
    policy.apply(PolicyConfig(remind_s=5.0))
    said += tell(policy, [(float(second), [make_track(verdict=NONE)]) for second in range(1, 7)])
    assert [(time_s, kind) for time_s, _, kind in said] == [(0.0, "mask_missing"), (5.0, "mask_reminder")]
