"""The tracker: a track's life frame by frame, and how its verdict settles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from gatecam.people.tracker import FaceTracker, VerdictFilter, face_quality, frontal_weight, score_weight
from gatecam.ports import Tracker
from gatecam.settings.schema import TrackerConfig
from gatecam.types import Expected, Face, Looks, Track, Verdict

MakeFace = Callable[..., Face]
MakeLooks = Callable[..., Looks]
CONFIG = TrackerConfig(min_hits=3, lost_s=1.0, confidence=0.7, smooth_s=0.4, settle_s=0.15, change_s=0.7)
FRONTAL = np.array([[80, 90], [120, 90], [100, 105], [85, 120], [115, 120]], np.float32)


def times(seconds: float, fps: float, start_s: float = 0.0) -> list[float]:
    return [start_s + index / fps for index in range(math.ceil(seconds * fps))]


def follow(tracker: Tracker, scene: Iterable[tuple[float, Sequence[Face]]]) -> list[Sequence[Track]]:
    return [tracker.update(faces, time_s) for time_s, faces in scene]


def ids(snapshots: Iterable[Sequence[Track]]) -> set[int]:
    return {track.id for tracks in snapshots for track in tracks}


class EveryFaceTracker:
    """The fake: each face is a track by its place in the list."""

    def __init__(self) -> None:
        self._time_s = float("-inf")
        self._faces: Sequence[Face] = ()

    def update(self, faces: Sequence[Face], time_s: float) -> Sequence[Track]:
        if time_s < self._time_s:
            raise ValueError("time_s: expected a later one")
        self._time_s, self._faces = time_s, faces
        return [
            Track(number, face.detection.box, 1, 0.0, Verdict.UNKNOWN, (face,))
            for number, face in enumerate(faces, start=1)
        ]

    def expected(self, time_s: float) -> Sequence[Expected]:
        return [Expected(face.detection.box, True, None, time_s - self._time_s) for face in self._faces]

    def note_pictures(self, pictures: Collection[int]) -> None:
        pass


@pytest.fixture(params=["real", "fake"])
def any_tracker(request: pytest.FixtureRequest) -> Tracker:
    return FaceTracker(CONFIG) if request.param == "real" else EveryFaceTracker()


class TestContract:
    def test_a_face_is_expected_again(self, any_tracker: Tracker, make_face: MakeFace) -> None:
        assert list(any_tracker.expected(0.0)) == []
        any_tracker.update([make_face()], 0.0)
        assert list(any_tracker.expected(0.1)) == [
            Expected(make_face().detection.box, seen=True, missing_s=0.1)
        ]

    def test_no_faces_give_no_tracks(self, any_tracker: Tracker) -> None:
        assert list(any_tracker.update([], 0.0)) == []

    def test_a_steady_face_becomes_one_track_with_that_face(
        self, any_tracker: Tracker, make_face: MakeFace
    ) -> None:
        face = make_face()
        tracks = follow(any_tracker, [(time_s, [face]) for time_s in times(0.5, 30)])[-1]
        assert [(track.id, track.faces, track.missing_s) for track in tracks] == [(1, (face,), 0.0)]

    def test_time_that_goes_back_is_refused(self, any_tracker: Tracker) -> None:
        any_tracker.update([], 5.0)
        with pytest.raises(ValueError, match="time_s: expected"):
            any_tracker.update([], 4.9)


class TestLifeOfATrack:
    def test_track_counts_from_the_third_face(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        seen = follow(tracker, [(time_s, [make_face()]) for time_s in (0.0, 0.1, 0.2)])
        assert [len(tracks) for tracks in seen] == [0, 0, 1]
        assert (seen[2][0].id, seen[2][0].hits, seen[2][0].age_s) == (1, 3, 0.2)

    def test_one_hit_is_enough_when_the_config_says_so(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG.model_copy(update={"min_hits": 1}))
        assert len(tracker.update([make_face()], 0.0)) == 1

    def test_one_false_box_never_counts(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        scene = [(t, [make_face()] if index % 10 == 0 else []) for index, t in enumerate(times(5, 30))]
        assert ids(follow(tracker, scene)) == set()

    def test_hands_that_look_like_a_face_for_a_moment_do_not_count(self, make_face: MakeFace) -> None:
        scores = [0.81, 0.89, 0.76, 0.74, 0.81, 0.71, 0.80]  # O-Net's on a signer's hands, again.mkv
        tracker = FaceTracker(CONFIG)
        scene = [(index / 30, [make_face(score=score)]) for index, score in enumerate(scores)]
        assert ids(follow(tracker, scene)) == set()

    def test_a_doubtful_face_that_stays_counts_in_the_end(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        seen = follow(tracker, [(time_s, [make_face(score=0.8)]) for time_s in times(0.5, 30)])
        assert len(seen[-1]) == 1

    def test_lost_track_coasts_then_ends(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(time_s, [make_face()]) for time_s in (0.0, 0.1, 0.2)])
        (coasting,) = tracker.update([], 0.7)
        assert (coasting.faces, coasting.missing_s, coasting.hits) == ((), pytest.approx(0.5), 3)
        assert len(tracker.update([], 1.15)) == 1
        assert tracker.update([], 1.25) == []

    def test_track_found_again_keeps_its_id(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(time_s, [make_face()]) for time_s in times(0.5, 30)])
        follow(tracker, [(time_s, []) for time_s in times(0.8, 30, 0.5)])
        (track,) = tracker.update([make_face(x=130, side=90)], 1.3)
        assert (track.id, track.missing_s, track.hits) == (1, 0.0, 16)

    def test_every_living_track_is_expected_where_it_will_be(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        assert tracker.expected(0.0) == []
        walk = [(t, [make_face(x=100 + 200 * t)]) for t in times(1.0, 30)]
        follow(tracker, walk[:-1])
        tracker.update([*walk[-1][1], make_face(x=500)], walk[-1][0])  # one more, who does not count yet
        walker, new = tracker.expected(1.0)
        assert walker.box.center == pytest.approx((300, 100), abs=1)
        assert new.box.center == (500, 100)
        assert (walker.seen, new.seen) == (True, True)

    def test_a_coasting_track_is_expected_as_not_seen_until_it_ends(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(time_s, [make_face()]) for time_s in times(0.5, 30)])
        tracker.update([], 0.6)
        (coasting,) = tracker.expected(0.7)
        assert (coasting.box.center, coasting.seen) == ((100, 100), False)
        tracker.update([], 2.0)
        assert tracker.expected(2.1) == []

    def test_what_is_expected_changes_nothing(self, make_face: MakeFace) -> None:
        asked, unasked = FaceTracker(CONFIG), FaceTracker(CONFIG)
        for t in times(1.0, 30):
            faces = [make_face(x=100 + 200 * t)]
            asked.expected(t + 5.0)
            before, after = unasked.update(faces, t), asked.update(faces, t)
            assert [(a.id, a.box) for a in after] == [(b.id, b.box) for b in before]

    def test_track_ended_is_not_revived(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(time_s, [make_face()]) for time_s in times(0.5, 30)])
        follow(tracker, [(time_s, []) for time_s in times(1.2, 30, 0.5)])
        assert ids(follow(tracker, [(time_s, [make_face()]) for time_s in times(0.5, 30, 1.7)])) == {2}

    def test_track_survives_two_missed_frames_before_it_counts(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        faces = [[make_face()], [], [make_face()], [], [], [make_face()]]
        assert len(follow(tracker, zip(times(0.2, 30), faces, strict=True))[-1]) == 1

    def test_coasting_box_moves_on_and_comes_to_rest(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG.model_copy(update={"lost_s": 10.0}))
        follow(tracker, [(t, [make_face(x=100 + 200 * t)]) for t in times(2.0, 30)])
        last_x = 100 + 200 * 59 / 30
        early, late, later = (tracker.update([], t)[0].box.center[0] for t in (2.2, 7.0, 8.0))
        assert early - last_x == pytest.approx(200 * 0.5 * (1 - np.exp(-(2.2 - 59 / 30) / 0.5)), rel=0.1)
        assert later - late < 1 < late - early

    def test_a_short_lost_time_still_works_at_a_low_frame_rate(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG.model_copy(update={"lost_s": 0.1}))
        assert ids(follow(tracker, [(t, [make_face()]) for t in times(3, 5)])) == {1}

    def test_a_stream_that_stood_still_starts_afresh(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(time_s, [make_face()]) for time_s in times(0.5, 30)])
        assert tracker.update([make_face()], 60.0) == []

    def test_two_frames_of_one_time_are_taken(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        assert len(follow(tracker, [(1.0, [make_face(x=x)]) for x in (100, 105, 110)])[-1]) == 1

    def test_a_time_that_is_no_number_is_refused(self) -> None:
        with pytest.raises(ValueError, match="time_s: expected"):
            FaceTracker(CONFIG).update([], float("nan"))


class TestPairing:
    @pytest.mark.parametrize("fps", [5, 10, 30, 60])
    @pytest.mark.parametrize("seed", range(10))
    def test_jitter_and_misses_leave_one_track(self, make_face: MakeFace, fps: int, seed: int) -> None:
        """8 % jitter and 20 % missed frames, while the person walks up to the camera."""
        rng = np.random.default_rng(seed)
        tracker = FaceTracker(CONFIG)
        scene = []
        for t in times(4, fps):
            side = 40 * 1.4**t
            x, y, jittered = rng.normal([200 + 30 * t, 150 + 10 * t, side], 0.08 * side)
            face = make_face(x=x, y=y, side=max(jittered, 0.8 * side))
            scene.append((t, [] if rng.random() < 0.2 else [face]))
        assert ids(follow(tracker, scene)) == {1}

    @pytest.mark.parametrize("fps", [5, 30])
    def test_fast_walker_keeps_one_track(self, make_face: MakeFace, fps: int) -> None:
        """1 m/s across the picture: about six face widths a second."""
        tracker = FaceTracker(CONFIG)
        scene = [(t, [make_face(x=50 + 6 * 60 * t, side=60)]) for t in times(2, fps)]
        assert ids(follow(tracker, scene)) == {1}

    @pytest.mark.parametrize("fps", [10, 30, 60])
    def test_people_who_cross_keep_their_ids(self, make_face: MakeFace, fps: int) -> None:
        """The one behind is hidden while the faces overlap."""
        rng = np.random.default_rng(fps)
        tracker = FaceTracker(CONFIG)
        for t in times(4, fps):
            left_x, right_x = 100 + 100 * t, 500 - 100 * t
            faces = [make_face(x=left_x + rng.normal(0, 3), side=80, mask="none")]
            if abs(left_x - right_x) > 60:
                faces.append(make_face(x=right_x + rng.normal(0, 3), y=95, side=70, mask="correct"))
            tracks = tracker.update(faces, t)
        assert {track.id: track.verdict for track in tracks} == {1: "none", 2: "correct"}

    def test_the_one_seen_just_now_comes_before_the_one_who_was_lost(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(t, [make_face(x=100), make_face(x=160)]) for t in times(0.5, 30)])
        follow(tracker, [(t, [make_face(x=160)]) for t in times(0.5, 30, 0.5)])
        tracks = tracker.update([make_face(x=125)], 1.0)
        assert [track.missing_s == 0 for track in tracks] == [False, True]

    @pytest.mark.parametrize("side", [30, 45, 130])
    def test_boxes_nested_in_a_face_are_not_people(self, make_face: MakeFace, side: float) -> None:
        rng = np.random.default_rng(0)
        tracker = FaceTracker(CONFIG)
        scene = []
        for t in times(5, 30):
            both = [make_face(side=80), make_face(x=105, y=110, side=side, score=0.95)]
            scene.append((t, [face for face in both if rng.random() > 0.1]))
        assert ids(follow(tracker, scene)) == {1}

    @pytest.mark.parametrize("small_first", [True, False])
    def test_the_track_keeps_to_the_box_of_its_size(self, make_face: MakeFace, small_first: bool) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(t, [make_face(side=80)]) for t in times(0.5, 30)])
        both = [make_face(x=103, side=80), make_face(x=100, side=52)]
        (track,) = tracker.update(both[::-1] if small_first else both, 0.5)
        assert track.box.width == 80

    @pytest.mark.parametrize("far_first", [True, False])
    def test_the_nearer_of_two_faces_apart_is_taken(self, make_face: MakeFace, far_first: bool) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(t, [make_face(x=200, side=40)]) for t in times(0.5, 30)])
        faces = [make_face(x=245, side=40), make_face(x=145, side=40)]
        (track,) = tracker.update(faces[::-1] if far_first else faces, 0.8)
        assert track.box.center[0] == 245

    def test_a_smaller_face_far_behind_is_another_person(self, make_face: MakeFace) -> None:
        """Whoever was hidden by the last in the queue does not inherit the track."""
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(t, [make_face(side=120)]) for t in times(0.5, 30)])
        assert ids(follow(tracker, [(t, [make_face(side=60)]) for t in times(0.5, 30, 0.5)])) == {1, 2}

    def test_a_face_out_of_reach_of_a_lost_track_is_another_person(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(t, [make_face(x=100)]) for t in times(0.5, 30)])
        follow(tracker, [(t, []) for t in times(0.7, 30, 0.5)])
        assert ids(follow(tracker, [(t, [make_face(x=260)]) for t in times(0.2, 30, 1.2)])) == {1, 2}

    def test_a_false_box_that_was_first_gives_way_to_the_face_around_it(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        false = make_face(side=40, score=0.72)
        follow(tracker, [(t, [false]) for t in times(0.2, 30)])
        (track,) = follow(tracker, [(t, [false, make_face(side=80)]) for t in times(0.2, 30, 0.2)])[-1]
        assert track.box.width == 80

    def test_people_who_overlap_for_a_while_stay_two(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        for t in times(3, 30):
            apart = max(20.0, 150 - 100 * t)
            tracks = tracker.update([make_face(x=200), make_face(x=200 + apart, side=70)], t)
        assert [(track.id, track.missing_s) for track in tracks] == [(1, 0.0), (2, 0.0)]

    def test_fifty_faces_are_fifty_tracks(self, make_face: MakeFace) -> None:
        rng = np.random.default_rng(0)
        tracker = FaceTracker(CONFIG)
        places = [(60 + 120 * (n % 10), 60 + 120 * (n // 10)) for n in range(50)]
        for t in times(1, 10):
            faces = [make_face(*rng.normal(place, 3), side=60) for place in places]
            tracks = tracker.update([faces[n] for n in rng.permutation(50)], t)
        assert [track.id for track in tracks] == list(range(1, 51))
        near = [
            (round(track.box.center[0] / 60) * 60, round(track.box.center[1] / 60) * 60) for track in tracks
        ]
        assert sorted(near) == sorted(places)

    def test_empty_and_inverted_boxes_do_no_harm(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        scene = [(t, [make_face(side=0), make_face(x=300, side=-20)]) for t in times(0.3, 30)]
        follow(tracker, scene)

    def test_state_does_not_grow_with_the_people_seen(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG.model_copy(update={"min_hits": 1}))
        for number in range(10_000):
            tracks = tracker.update([make_face(x=1000 * (number % 7))], number * 0.25)
        assert tracks[-1].id == 10_000
        assert len(tracker._tracks) < 10


class TestPictures:
    @pytest.mark.parametrize(
        ("x", "side", "is_picture", "same"),
        [
            (100, 40, True, True),
            (108, 44, True, True),
            (115, 40, True, False),
            (100, 60, True, False),
            (115, 40, False, True),
            (100, 60, False, True),
        ],
    )
    def test_the_track_of_a_picture_takes_only_a_face_in_its_place(
        self, make_face: MakeFace, x: float, side: float, is_picture: bool, same: bool
    ) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(t, [make_face(side=40)]) for t in times(0.5, 30)])
        tracker.note_pictures({1} if is_picture else ())
        (track,) = tracker.update([make_face(x=x, side=side)], 0.5)
        assert bool(track.faces) is same

    def test_a_picture_that_lives_is_another_track_with_a_verdict_of_its_own(
        self, make_face: MakeFace
    ) -> None:
        tracker = FaceTracker(CONFIG)
        follow(tracker, [(t, [make_face(mask="correct")]) for t in times(1.5, 30)])
        tracker.note_pictures({1})
        tracker.note_pictures(())
        seen = follow(tracker, [(t, [make_face(mask="none")]) for t in times(0.5, 30, 1.5)])
        assert ids(seen) == {2}
        assert seen[-1][0].verdict is Verdict.NONE


class TestLooks:
    def test_whoever_steps_into_the_place_of_another_is_another(
        self, make_face: MakeFace, make_looks: MakeLooks
    ) -> None:
        tracker, red, blue = FaceTracker(CONFIG), make_looks((50, 60, 40)), make_looks((50, 0, -40))
        follow(tracker, [(t, [make_face(looks=red, mask="correct")]) for t in times(1.5, 30)])
        seen = follow(tracker, [(t, [make_face(x=135, looks=blue)]) for t in times(0.6, 30, 1.5)])
        assert [(track.id, track.verdict) for track in seen[-1]] == [(2, Verdict.NONE)]

    def test_after_a_gap_an_unlike_face_is_another_person_at_once(
        self, make_face: MakeFace, make_looks: MakeLooks
    ) -> None:
        tracker, red, blue = FaceTracker(CONFIG), make_looks((50, 60, 40)), make_looks((50, 0, -40))
        follow(tracker, [(t, [make_face(looks=red)] if t < 0.5 else []) for t in times(0.7, 30)])
        seen = follow(tracker, [(t, [make_face(looks=blue)]) for t in times(0.2, 30, 0.7)])
        assert [(track.id, bool(track.faces)) for track in seen[-1]] == [(1, False), (2, True)]

    def test_someone_who_stays_keeps_the_track_whatever_the_clothes_do(
        self, make_face: MakeFace, make_looks: MakeLooks
    ) -> None:
        """Arms before the chest, a coat that is taken off: without a jump nobody else has come."""
        tracker, red, blue = FaceTracker(CONFIG), make_looks((50, 60, 40)), make_looks((50, 0, -40))
        scene = [(t, [make_face(looks=red if t < 1 else blue)]) for t in times(2, 30)]
        assert ids(follow(tracker, scene)) == {1}

    def test_a_box_that_jumps_for_a_moment_makes_nobody_another(
        self, make_face: MakeFace, make_looks: MakeLooks
    ) -> None:
        """The colors change a second later, as somebody leans over, but the same person was seen since."""
        tracker, red, blue = FaceTracker(CONFIG), make_looks((50, 60, 40)), make_looks((50, 0, -40))
        scene = [(t, [make_face(side=100 if 1 <= t < 1.1 else 70, looks=red)]) for t in times(1.6, 30)]
        scene += [(t, [make_face(side=70, looks=blue)]) for t in times(0.4, 30, 1.6)]
        assert ids(follow(tracker, scene)) == {1}

    @pytest.mark.parametrize("pause_s", [0.0, 0.3])
    def test_people_who_cross_keep_their_tracks(
        self, make_face: MakeFace, make_looks: MakeLooks, pause_s: float
    ) -> None:
        """They meet, stay for a moment and turn back, so their paths alone would exchange them."""
        tracker, red, blue = FaceTracker(CONFIG), make_looks((50, 60, 40)), make_looks((50, 0, -40))
        for t in times(2 + pause_s, 30):
            x = 100 + 100 * min(t, 1) - 100 * max(0.0, t - 1 - pause_s)
            faces = [make_face(x=x, looks=red), make_face(x=410 - x, looks=blue)]
            tracks = tracker.update(faces, t)
        assert [(track.id, track.faces[0].looks) for track in tracks] == [(1, red), (2, blue)]


class TestVerdict:
    @pytest.mark.parametrize("fps", [5, 10, 30, 60])
    @pytest.mark.parametrize("mask", ["none", "incorrect"])
    def test_alert_verdict_is_there_within_half_a_second(
        self, make_face: MakeFace, fps: int, mask: str
    ) -> None:
        tracker = FaceTracker(TrackerConfig())
        seen = follow(tracker, [(t, [make_face(mask=mask)]) for t in times(0.5, fps)])
        assert [track.verdict for track in seen[-1]] == [mask]

    @pytest.mark.parametrize(("mask", "sure", "told_s"), [("incorrect", 0.9, 0.25), ("none", 0.75, 0.25)])
    def test_a_first_alert_is_told_soon(
        self, make_face: MakeFace, mask: str, sure: float, told_s: float
    ) -> None:
        assert self.first_told_s(make_face, mask, sure) == pytest.approx(told_s, abs=0.05)

    def test_a_first_mask_worn_wrong_that_is_unsure_must_last(self, make_face: MakeFace) -> None:
        """A mask that is seen from the side resembles one that is worn wrong."""
        assert self.first_told_s(make_face, "incorrect", 0.75) == pytest.approx(1.8, abs=0.05)

    def first_told_s(self, make_face: MakeFace, mask: str, sure: float) -> float:
        state = VerdictFilter(TrackerConfig())
        verdicts = [_add(state, make_face(mask=mask, sure=sure), at / 30) for at in range(90)]
        return verdicts.index(Verdict(mask)) / 30

    def test_probability_is_the_smoothed_one_of_the_verdict(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        (track,) = follow(tracker, [(t, [make_face(sure=0.9)]) for t in times(1, 30)])[-1]
        assert track.probability == pytest.approx(0.9)

    def test_unsure_faces_stay_unknown_without_a_probability(self, make_face: MakeFace) -> None:
        tracker = FaceTracker(CONFIG)
        (track,) = follow(tracker, [(t, [make_face(sure=0.65)]) for t in times(3, 30)])[-1]
        assert (track.verdict, track.probability) == (Verdict.UNKNOWN, 0.0)

    @pytest.mark.parametrize(
        ("bare_s", "wrong_s", "told", "after_s"),
        [
            (0.2, 0.1, "none", 1.0),
            (0.1, 0.1, "none", 1.0),
            (0.15, 0.2, "none", 1.0),
            (0.1, 0.3, "incorrect", 1.8),
        ],
    )
    def test_somebody_between_no_mask_and_a_mask_worn_wrong_is_bare_unless_the_mask_is_clearly_likelier(
        self, make_face: MakeFace, bare_s: float, wrong_s: float, told: str, after_s: float
    ) -> None:
        wavering = [("none", bare_s), ("incorrect", wrong_s)] * 10
        verdicts = verdicts_of(make_face, wavering, fps=20, config=TrackerConfig())
        assert changes(verdicts) == [Verdict(told)]
        assert verdicts.index(Verdict(told)) / 20 == pytest.approx(after_s, abs=0.3)

    def test_a_mask_that_comes_off_is_told_though_the_faces_waver_between_the_alerts(
        self, make_face: MakeFace
    ) -> None:
        parts = [("correct", 2.0), *[("none", 0.2), ("incorrect", 0.1)] * 10]
        verdicts = verdicts_of(make_face, parts, fps=20, config=TrackerConfig())
        assert [told for told in changes(verdicts) if told is not Verdict.UNKNOWN] == [
            Verdict.CORRECT,
            Verdict.NONE,
        ]
        assert verdicts.index(Verdict.NONE) / 20 == pytest.approx(3.2, abs=0.2)

    def test_somebody_between_a_mask_worn_right_and_none_is_told_nothing(self, make_face: MakeFace) -> None:
        wavering = [("none", 0.2), ("correct", 0.1)] * 10
        verdicts = verdicts_of(make_face, wavering, fps=20, config=TrackerConfig())
        assert set(verdicts) == {Verdict.UNKNOWN}

    def test_a_first_correct_takes_as_long_as_a_change(self, make_face: MakeFace) -> None:
        verdicts = verdicts_of(make_face, [("correct", 2.0)], fps=30)
        assert verdicts.index(Verdict.CORRECT) == pytest.approx(0.7 * 30, abs=2)

    @pytest.mark.parametrize("fps", [5, 30, 60])
    @pytest.mark.parametrize("hand_s", [0.3, 0.6])
    def test_a_hand_over_the_mouth_is_not_a_mask(self, make_face: MakeFace, fps: int, hand_s: float) -> None:
        verdicts = verdicts_of(make_face, [("none", 2.0), ("correct", hand_s), ("none", 2.0)], fps)
        assert set(verdicts) <= {Verdict.UNKNOWN, Verdict.NONE}
        assert verdicts[-1] is Verdict.NONE

    @pytest.mark.parametrize("thing", ["correct", "incorrect"])
    def test_a_hand_that_resembles_a_mask_is_none_even_if_it_stays(
        self, make_face: MakeFace, thing: str
    ) -> None:
        state, given = VerdictFilter(TrackerConfig()), []
        for t in times(4.5, 15):
            state.add(make_face(mask="none") if t < 1.5 else make_face(mask=thing, sure=0.8), t)
            given.append(state.verdict)
        assert set(given[: 3 * 15]) == {Verdict.UNKNOWN, Verdict.NONE}
        assert given[-1] == thing, "after twice as long it is believed"

    @pytest.mark.parametrize("fps", [8, 15, 30])
    @pytest.mark.parametrize(
        ("parts", "within_s"),
        [
            pytest.param([("correct", 2.0), ("none", 1.5)], 0.8, id="off"),
            pytest.param([("correct", 2.0), ("incorrect", 1.5)], 0.8, id="under the nose"),
            pytest.param([("none", 2.0), ("correct", 1.5)], 1.0, id="on"),
        ],
    )
    def test_a_change_is_given_soon(
        self, make_face: MakeFace, fps: float, parts: list[tuple[str, float]], within_s: float
    ) -> None:
        verdicts = verdicts_of(make_face, parts, fps, config=TrackerConfig())
        assert verdicts.index(Verdict(parts[1][0])) / fps - 2.0 <= within_s

    def test_a_mask_that_comes_off_past_the_nose_is_only_off(self, make_face: MakeFace) -> None:
        """The probabilities of mask-off.mp4: half a second of `incorrect` on the way from on to off."""
        parts = [("correct", 2.0), ("incorrect", 0.5), ("none", 1.0)]
        verdicts = verdicts_of(make_face, parts, 25, config=TrackerConfig())
        assert changes(verdicts) == [Verdict.CORRECT, Verdict.NONE]

    def test_the_probability_of_a_verdict_falls_as_soon_as_the_faces_agree_on_another(
        self, make_face: MakeFace
    ) -> None:
        state = VerdictFilter(TrackerConfig())
        for t in times(2.0, 30):
            state.add(make_face(mask="none"), t)
        for t in times(0.2, 30, 2.0):
            state.add(make_face(mask="correct"), t)
        assert (state.verdict, state.probability < 0.1) == (Verdict.NONE, True)

    @pytest.mark.parametrize("fps", [5, 30, 60])
    def test_a_mask_put_on_is_correct_within_two_seconds(self, make_face: MakeFace, fps: int) -> None:
        verdicts = verdicts_of(make_face, [("none", 2.0), ("correct", 2.0)], fps)
        assert verdicts[-1] is Verdict.CORRECT
        assert changes(verdicts) == [Verdict.NONE, Verdict.CORRECT]

    def test_verdict_outlasts_a_short_doubt_but_not_a_long_one(self, make_face: MakeFace) -> None:
        verdicts = verdicts_of(make_face, [("none", 2.0)], 30, then_unsure_s=4.0)
        doubtful = verdicts[60:]
        assert doubtful[30] is Verdict.NONE
        assert doubtful[-1] is Verdict.UNKNOWN
        assert changes(verdicts) == [Verdict.NONE, Verdict.UNKNOWN]

    def test_after_doubt_another_verdict_is_still_a_change(self, make_face: MakeFace) -> None:
        state = VerdictFilter(CONFIG)
        for t in times(2, 30):
            state.add(make_face(mask="none"), t)
        for t in times(4, 30, 2.0):
            state.add(make_face(sure=0.4), t)
        assert state.verdict is Verdict.UNKNOWN
        given = [t for t in times(2, 30, 6.0) if _add(state, make_face(mask="incorrect"), t) == "incorrect"]
        assert given[0] - 6.0 > 2 / 3 * 0.7

    def test_doubt_that_ends_gives_the_old_verdict_back_soon(self, make_face: MakeFace) -> None:
        state = VerdictFilter(CONFIG)
        for t in times(1, 30):
            state.add(make_face(mask="correct"), t)
        for t in times(4, 30, 1.0):
            state.add(make_face(sure=0.4), t)
        given = [t for t in times(2, 30, 5.0) if _add(state, make_face(mask="correct"), t) == "correct"]
        assert given[0] - 5.0 < 0.7

    def test_three_faces_must_agree_however_short_the_times(self, make_face: MakeFace) -> None:
        state = VerdictFilter(CONFIG.model_copy(update={"settle_s": 0.0}))
        verdicts = [_add(state, make_face(), index * 0.5) for index in range(3)]
        assert verdicts == [Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.NONE]

    def test_a_candidate_that_fell_below_the_bar_is_not_given(self, make_face: MakeFace) -> None:
        state = VerdictFilter(CONFIG.model_copy(update={"settle_s": 0.5}))
        verdicts = [
            _add(state, make_face(sure=0.75 if index < 3 else 0.65), index / 30) for index in range(60)
        ]
        assert set(verdicts) == {Verdict.UNKNOWN}

    @pytest.mark.parametrize("seed", range(40))
    def test_noise_around_the_bar_does_not_flap(self, make_face: MakeFace, seed: int) -> None:
        """Bare face, probabilities about the bar of 0.7 from frame to frame."""
        rng = np.random.default_rng(seed)
        state = VerdictFilter(CONFIG)
        verdicts = []
        for t in times(20, 30):
            sure = float(np.clip(rng.normal(0.7, 0.2), 0.0, 1.0))
            verdicts.append(_add(state, make_face(mask="none", sure=sure), t))
        assert set(verdicts) <= {Verdict.UNKNOWN, Verdict.NONE}
        assert len(changes(verdicts)) <= 2

    @pytest.mark.parametrize("seed", range(40))
    def test_a_masked_person_with_bad_frames_is_never_held_for_bare(
        self, make_face: MakeFace, seed: int
    ) -> None:
        """One frame in five is surely misjudged, in bursts of up to three."""
        rng = np.random.default_rng(seed)
        state, verdicts, burst = VerdictFilter(TrackerConfig()), [], 0
        for t in times(10, 30):
            burst = burst - 1 if burst else (int(rng.integers(1, 4)) if rng.random() < 0.1 else 0)
            mask = str(rng.choice(["none", "incorrect"])) if burst else "correct"
            verdicts.append(_add(state, make_face(mask=mask, sure=0.9), t))
        assert set(verdicts) <= {Verdict.UNKNOWN, Verdict.CORRECT}

    def test_poor_faces_count_less_than_good_ones(self, make_face: MakeFace) -> None:
        state = VerdictFilter(CONFIG)
        for index, t in enumerate(times(2, 30)):
            good = make_face(mask="correct", side=80)
            poor = make_face(mask="none", side=20, score=0.75)
            state.add(poor if index % 3 else good, t)
        assert state.verdict is Verdict.CORRECT


class TestQuality:
    @pytest.mark.parametrize(("score", "expected"), [(0.2, 0.1), (0.7, 0.1), (0.85, 0.5), (1.0, 1.0)])
    def test_scores_near_the_threshold_weigh_little(self, score: float, expected: float) -> None:
        assert score_weight(score) == pytest.approx(expected)

    @pytest.mark.parametrize("roll_degrees", [0, 30, -60])
    def test_a_frontal_face_weighs_all_however_the_head_is_tilted(
        self, make_face: MakeFace, roll_degrees: float
    ) -> None:
        angle = np.deg2rad(roll_degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
        detection = make_face(landmarks=FRONTAL @ turn).detection
        assert frontal_weight(detection) == pytest.approx(1.0, abs=1e-4)

    @pytest.mark.parametrize(
        ("nose_x", "expected"), [(100, 1.0), (110, 0.5), (90, 0.5), (120, 0.1), (150, 0.1)]
    )
    def test_a_turned_face_weighs_less(self, make_face: MakeFace, nose_x: float, expected: float) -> None:
        landmarks = FRONTAL.copy()
        landmarks[2, 0] = nose_x
        assert frontal_weight(make_face(landmarks=landmarks).detection) == pytest.approx(expected)

    def test_eyes_in_one_point_are_a_profile(self, make_face: MakeFace) -> None:
        assert frontal_weight(make_face(landmarks=np.zeros((5, 2), np.float32)).detection) == 0.1

    def test_size_saturates(self, make_face: MakeFace) -> None:
        weights = [face_quality(make_face(side=side, score=1.0).detection) for side in (0, 40, 80, 400)]
        assert weights == pytest.approx([0.1, 0.5, 1.0, 1.0])


def _add(state: VerdictFilter, face: Face, time_s: float) -> Verdict:
    state.add(face, time_s)
    return state.verdict


def verdicts_of(
    make_face: MakeFace,
    parts: Sequence[tuple[str, float]],
    fps: float,
    then_unsure_s: float = 0.0,
    config: TrackerConfig = CONFIG,
) -> list[Verdict]:
    """The verdict after each frame of a scene of (mask, seconds), then of faces that say nothing."""
    faces = [make_face(mask=mask) for mask, seconds in parts for _ in times(seconds, fps)]
    faces += [make_face(sure=0.4) for _ in times(then_unsure_s, fps)]
    state = VerdictFilter(config)
    return [_add(state, face, index / fps) for index, face in enumerate(faces)]


def changes(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts in order, each run once, without the `unknown` before the first."""
    runs = [now for before, now in zip([None, *verdicts], verdicts, strict=False) if now is not before]
    return runs[1:] if runs[0] is Verdict.UNKNOWN else runs


def test_other_settings_lose_no_track(make_face: MakeFace) -> None:
    tracker = FaceTracker(CONFIG)
    before = follow(tracker, [(time_s, [make_face()]) for time_s in times(1.0, 10)])
    tracker.apply(CONFIG.model_copy(update={"lost_s": 0.2, "confidence": 0.999}))
    (track,) = tracker.update([make_face()], 1.0)
    assert ids(before) == {track.id}
    assert tracker.update([], 1.3) == []
    tracker.apply(CONFIG)
    after = follow(tracker, [(time_s, [make_face()]) for time_s in times(1.0, 10, 2.0)])
    assert after[-1][0].verdict is not Verdict.UNKNOWN


class TestRhythm:
    """While a verdict is beyond doubt, not every face need be judged."""

    def judged_times(
        self, make_face: MakeFace, fps: float, masks: Iterable[str], judge_all: bool = False
    ) -> list[float]:
        """The times at which a face was judged, each frame's of a mask; notes the last verdict."""
        tracker, judged_s = FaceTracker(CONFIG), []
        self.verdict, self.settled_s = None, 0.0
        for index, mask in enumerate(masks):
            time_s = index / fps
            known = [track.known for track in tracker.expected(time_s)]
            if known and known[0] is not None and not judge_all:
                face = replace(make_face(mask=mask), prediction=known[0], judged=False)
            else:
                face = make_face(mask=mask)
                judged_s.append(time_s)
            tracks = tracker.update([face], time_s)
            verdict = tracks[0].verdict if tracks else None
            if verdict is not self.verdict:
                self.verdict, self.settled_s = verdict, time_s
        return judged_s

    def test_before_the_verdict_every_other_face_is_judged_and_then_five_a_second(
        self, make_face: MakeFace
    ) -> None:
        judged_s = self.judged_times(make_face, 30, ["none"] * 90)
        first, second, third = ([at for at in judged_s if second <= at < second + 1] for second in range(3))
        assert first[:4] == times(1.0, 15)[:4]
        assert len(second) == len(third) == 5

    def test_the_first_face_that_differs_has_every_other_judged_until_it_is_settled(
        self, make_face: MakeFace
    ) -> None:
        judged_s = self.judged_times(make_face, 30, ["none"] * 60 + ["correct"] * 90)
        assert self.verdict is Verdict.CORRECT
        longest_s = max(b - a for a, b in itertools.pairwise(at for at in judged_s if 2.2 <= at < 3))
        assert longest_s == pytest.approx(2 / 30)
        assert len([at for at in judged_s if at >= 4]) == 5

    @pytest.mark.parametrize("fps", [5, 10, 15, 20])
    def test_of_a_slow_camera_every_unsure_face_is_judged(self, make_face: MakeFace, fps: float) -> None:
        masks = ["none", "correct", "incorrect"] * int(fps)
        assert self.judged_times(make_face, fps, masks) == times(len(masks) / fps, fps)

    def test_people_who_came_at_once_are_judged_in_turn(self, make_face: MakeFace) -> None:
        tracker, judged = FaceTracker(CONFIG), []
        faces = [make_face(x=200 * i, mask="none") for i in range(12)]
        for time_s in times(3.0, 30):
            known = [track.known for track in tracker.expected(time_s)]
            due = [one is None for one in known] or [True] * 12
            judged.append(sum(due))
            tracker.update([replace(f, judged=is_due) for f, is_due in zip(faces, due, strict=True)], time_s)
        assert sum(judged[60:]) == 12 * 5
        assert max(judged[60:]) <= 3

    @pytest.mark.parametrize("fps", [10, 15, 25, 30])
    def test_a_change_is_settled_as_soon_as_where_every_face_is_judged(
        self, make_face: MakeFace, fps: float
    ) -> None:
        masks = ["none"] * int(2 * fps) + ["correct"] * int(3 * fps)
        self.judged_times(make_face, fps, masks)
        by_rhythm_s = self.settled_s
        self.judged_times(make_face, fps, masks, judge_all=True)
        assert by_rhythm_s <= self.settled_s + 0.2, "the first face that differs may be known for that long"

    def test_a_face_counts_once_however_often_it_is_lent(self, make_face: MakeFace) -> None:
        verdicts = []
        for lent in (0, 20):
            tracker = FaceTracker(CONFIG)
            follow(tracker, [(time_s, [make_face(mask="none")]) for time_s in times(1.0, 30)])
            old = replace(make_face(mask="correct"), judged=False)
            follow(tracker, [(time_s, [old]) for time_s in times(lent / 30, 30, start_s=1.0)])
            (track,) = tracker.update([make_face(mask="none")], 2.0)
            verdicts.append((track.verdict, track.probability))
        assert verdicts[0] == verdicts[1]
