"""Key frames: which frames are searched whole and why, and what is looked at in the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from gatecam.people.keyframes import Grid, KeyFrames, Searched, has_changed, has_lost
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Expected, Face, Frame, Image

FPS = 30
SIZE = (480, 640)  # height, width
HEAD = Box(300, 100, 364, 180)
TRACK = Expected(HEAD, seen=True)
NEVER = 300  # detect_every, where only motion is of interest

MakeFace = Callable[..., Face]


def room(size: tuple[int, int] = SIZE) -> Image:
    """An empty room: a floor, a door, a window that is over-exposed."""
    height, width = size
    image = np.full((height, width, 3), (110, 120, 130), np.uint8)
    image[height * 2 // 3 :] = (80, 70, 60)
    image[height // 5 :, width // 8 : width // 3] = (60, 40, 30)
    image[: height // 3, width * 3 // 4 :] = 255
    return image


def with_person(image: Image, x: int, y: int, face_px: int = 40) -> Image:
    """The picture with a head at (x, y) on a body that reaches the bottom."""
    image = image.copy()
    half = face_px // 2
    image[y + half :, max(0, x - 3 * half) : x + 3 * half] = (30, 40, 90)
    image[y - half : y + half, max(0, x - half) : x + half] = (190, 150, 130)
    return image


def noisy(image: Image, sigma: float, seed: int) -> Image:
    noise = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
    return np.clip(image + sigma * noise, 0, 255).astype(np.uint8)


class Watch:
    """A camera's key frames, frame after frame; `add` gives back the plan."""

    def __init__(self, fps: float = FPS, **settings: object) -> None:
        self.telemetry = Telemetry()
        self.key_frames = KeyFrames(DetectorConfig.model_validate(settings), self.telemetry)
        self._fps, self.index, self.time_s = fps, 0, 0.0

    def add(
        self, image: Image, expected: Sequence[Expected] = (), faces: Sequence[Face] = ()
    ) -> list[Box] | None:
        frame = Frame("door", self.index, self.time_s, image)
        self.index, self.time_s = self.index + 1, (self.index + 1) / self._fps
        plan = self.key_frames.plan(frame, expected)
        while self.key_frames.review(faces):
            pass  # searched whole, it shows the same
        return plan

    def is_whole(self, images: Sequence[Image], expected: Sequence[Expected] = ()) -> list[bool]:
        """Whether each frame was searched whole; tracks keep their faces."""
        return [self.add(image, [Expected(t.box, False) for t in expected]) is None for image in images]

    def count(self, kind: Searched) -> int:
        return self.telemetry.counter(kind)


class TestIntervals:
    def test_a_still_empty_scene_is_searched_at_intervals_and_else_nowhere(self) -> None:
        watch, image = Watch(detect_every=10), room()
        plans = [watch.add(image) for _ in range(30)]
        assert [index for index, plan in enumerate(plans) if plan is None] == [0, 10, 20]
        assert [plan for plan in plans if plan is not None] == [[]] * 27
        counts = {kind: watch.count(kind) for kind in Searched if watch.count(kind)}
        assert counts == {Searched.START: 1, Searched.INTERVAL: 2, Searched.NOTHING: 27}

    def test_between_key_frames_the_tracks_are_looked_at(self, make_face: MakeFace) -> None:
        watch, other = Watch(), Expected(Box(10, 10, 50, 60), seen=False)
        face = make_face(332, 140, 70)
        assert watch.add(room(), [TRACK], [face]) is None
        assert watch.add(room(), [TRACK, other], [face]) == [TRACK.box, other.box]
        assert watch.count(Searched.TRACKS) == 1

    def test_every_frame_is_searched_whole_where_that_is_set(self) -> None:
        assert all(Watch(detect_every=1).is_whole([room()] * 5))

    def test_another_size_is_a_new_start(self) -> None:
        watch = Watch()
        images = [room(), room(), room((240, 320)), room((240, 320)), room()]
        assert watch.is_whole(images) == [True, False, True, False, True]
        assert watch.count(Searched.START) == 3

    @pytest.mark.parametrize(("gap_s", "whole"), [(0.2, False), (0.5, True), (60.0, True)])
    def test_after_a_gap_people_may_be_anywhere(self, gap_s: float, whole: bool) -> None:
        watch = Watch()
        watch.add(room())
        watch.time_s += gap_s
        assert (watch.add(room()) is None) is whole

    def test_key_frames_for_other_reasons_put_the_interval_off(self) -> None:
        watch = Watch(detect_every=10)
        images = [room()] * 5 + [with_person(room(), 200, 200)] * 20
        whole = [index for index, is_whole in enumerate(watch.is_whole(images)) if is_whole]
        assert whole == [0, 5, 15]

    @pytest.mark.parametrize("size", [(1, 1), (1, 700), (48, 64), (481, 643), (1080, 1920), (640, 360)])
    def test_any_size_will_do(self, size: tuple[int, int]) -> None:
        image = np.zeros((*size, 3), np.uint8)
        image.flags.writeable = False
        assert Watch().is_whole([image] * 5, [TRACK]) == [True] + [False] * 4


class TestLostTracks:
    def test_a_track_that_loses_its_face_has_the_frame_searched_again_once(self) -> None:
        watch = KeyFrames(DetectorConfig(), telemetry := Telemetry())
        watch.plan(Frame("door", 0, 0.0, room()), [])
        watch.review([])
        assert watch.plan(Frame("door", 1, 0.1, room()), [TRACK]) == [TRACK.box]
        assert watch.review([])
        assert not watch.review([]), "the whole of the frame has been searched"
        assert (telemetry.counter(Searched.LOST), telemetry.counter(Searched.TRACKS)) == (1, 0)

    def test_a_track_that_coasts_is_looked_for_and_costs_no_more_searches(self) -> None:
        watch = Watch()
        watch.add(room())
        for _ in range(5):
            assert watch.add(room(), [Expected(HEAD, seen=False)]) == [HEAD]
        assert watch.count(Searched.TRACKS) == 5

    def test_a_search_of_a_lost_track_puts_the_interval_off(self) -> None:
        watch = Watch(detect_every=10)
        coasting = Expected(HEAD, seen=False)
        plans = [watch.add(room(), [TRACK if index == 5 else coasting]) for index in range(20)]
        assert [index for index, plan in enumerate(plans) if plan is None] == [0, 15]

    @pytest.mark.parametrize(
        ("found", "lost"), [([(332, 140)], True), ([(332, 140), (372, 140)], False), ([], True)]
    )
    def test_one_face_is_not_two_people(
        self, make_face: MakeFace, found: list[tuple[float, float]], lost: bool
    ) -> None:
        expected = [TRACK, Expected(Box(340, 100, 404, 180), seen=True)]
        assert has_lost(expected, [make_face(x, y, 70) for x, y in found]) is lost

    def test_a_face_elsewhere_is_not_the_track(self, make_face: MakeFace) -> None:
        assert has_lost([TRACK], [make_face(500, 140, 70)])
        assert not has_lost([], [make_face()])


class TestMotion:
    @pytest.mark.parametrize(("missing_s", "is_searched"), [(0.0, False), (0.2, False), (0.5, True)])
    def test_somebody_behind_a_person_who_left_is_looked_for(
        self, missing_s: float, is_searched: bool
    ) -> None:
        watch = Watch(detect_every=100)
        expected = [Expected(HEAD, False, missing_s=missing_s)]
        x, y = (round(value) for value in HEAD.center)
        images = [room()] * 5 + [with_person(room(), x, y)]
        assert [watch.add(image, expected) is None for image in images][-1] is is_searched

    @pytest.mark.parametrize(
        ("sigma", "size"),
        [(0.0, (480, 640)), (4.0, (480, 640)), (10.0, (480, 640)), (18.0, (480, 640)), (10.0, (720, 1280))],
    )
    def test_noise_is_no_motion_and_a_person_is(self, sigma: float, size: tuple[int, int]) -> None:
        """Deviations of 255: a good camera to a poor one at night."""
        still = [noisy(room(size), sigma, seed) for seed in range(4)]
        watch = Watch(detect_every=NEVER)
        assert watch.is_whole(still * 6) == [True] + [False] * 23
        assert watch.add(noisy(with_person(room(size), 400, 200, 36), sigma, 99)) is None
        assert watch.count(Searched.MOTION) == 1

    def test_who_comes_right_after_a_key_frame_is_found_within_a_tenth_of_a_second(self) -> None:
        for after in (1, 2, 3, 4):
            images = [room()] * after + [with_person(room(), 400, 200)] * 4
            whole = Watch(detect_every=NEVER).is_whole(images)
            assert whole[after : after + 3].count(True) == 1

    @pytest.mark.parametrize(("fps", "every"), [(30, 3), (60, 6), (10, 1), (5, 1)])
    def test_while_motion_goes_on_searches_keep_a_distance(self, fps: float, every: int) -> None:
        images = [with_person(room(), 60 + 24 * index, 200) for index in range(20)]
        whole = Watch(fps, detect_every=NEVER).is_whole(images)
        keys = [index for index, is_whole in enumerate(whole) if is_whole]
        assert keys == list(range(0, 20, every))

    @pytest.mark.parametrize("change", [-60, -10, 10, 50])
    def test_light_that_changes_everywhere_is_no_motion(self, change: int) -> None:
        flat = np.full((*SIZE, 3), 120, np.uint8)
        flat[200:300, 100:500] = 90
        lit = (flat.astype(int) + change).astype(np.uint8)
        assert Watch(detect_every=NEVER).is_whole([flat] * 5 + [lit] * 5) == [True] + [False] * 9

    def test_a_person_is_seen_while_the_exposure_moves(self) -> None:
        flat = np.full((*SIZE, 3), 120, np.uint8)
        images = [flat + np.uint8(4 * index) for index in range(6)]
        watch = Watch(detect_every=NEVER)
        assert watch.is_whole(images)[1:] == [False] * 5
        assert watch.add(with_person(images[-1], 400, 200)) is None

    @pytest.mark.parametrize(("side", "whole"), [(10, False), (16, False), (40, True)])
    def test_what_is_too_small_to_be_a_face_is_left_alone(self, side: int, whole: bool) -> None:
        image = room()
        image[208 : 208 + side, 304 : 304 + side] = 255
        assert Watch(detect_every=NEVER).is_whole([room()] * 5 + [image])[-1] is whole

    def test_what_counts_as_small_is_the_smallest_face(self) -> None:
        image = with_person(room(), 400, 380, 40)
        assert Watch(detect_every=NEVER, min_face_px=30).is_whole([room()] * 5 + [image])[-1]
        assert not Watch(detect_every=NEVER, min_face_px=300).is_whole([room()] * 5 + [image])[-1]

    def test_a_tracked_person_who_signs_is_no_motion_and_one_beside_is(self) -> None:
        track = [Expected(HEAD, seen=False)]
        signing = room()
        signing[200:300, 160:240] = (190, 150, 130)  # a hand, two face widths aside
        signing[60:470, 290:374] = (90, 30, 60)
        beside = with_person(signing, 560, 140, 64)  # the next head
        watch = Watch(detect_every=NEVER)
        assert watch.is_whole([room()] * 5 + [signing] * 5, track) == [True] + [False] * 9
        assert watch.is_whole([beside], track) == [True]

    def test_a_tracked_walker_is_no_motion_where_she_was_or_is(self, make_face: MakeFace) -> None:
        watch = Watch(detect_every=NEVER)
        for index in range(12):
            x = 150 + 12 * index  # 9 face widths a second
            track = Expected(Box(x - 20, 180, x + 20, 220), seen=True)
            plan = watch.add(with_person(room(), x, 200), [track], [make_face(x, 200, 40)])
            assert (plan is None) is (index == 0)

    def test_who_leaves_a_track_behind_is_seen(self) -> None:
        """A false track, or a face that the hints hold on to, must not hide who walks on."""
        watch = Watch(detect_every=NEVER)
        track = [Expected(Box(100, 180, 140, 220), seen=False)]
        watch.is_whole([with_person(room(), 120, 200)] * 5, track)
        assert watch.is_whole([with_person(room(), 500, 200)], track) == [True]

    def test_motion_outside_the_region_is_left_alone(self) -> None:
        region = (0.0, 0.0, 0.5, 1.0)
        right, left = with_person(room(), 500, 200), with_person(room(), 150, 200)
        assert not Watch(detect_every=NEVER, region=region).is_whole([room()] * 5 + [right])[-1]
        assert Watch(detect_every=NEVER, region=region).is_whole([room()] * 5 + [left])[-1]

    def test_tracks_are_covered_where_they_are_in_a_region(self) -> None:
        region = (0.5, 0.25, 1.0, 1.0)
        grid = Grid.of(DetectorConfig(region=region), room())
        covered = grid.covered([Box(480, 220, 520, 260)])
        assert grid.brightness(room()).shape == covered.shape
        hair, wall, elbow = (
            covered[(y - 120) // grid.cell_px, (x - 320) // grid.cell_px]
            for x, y in ((500, 190), (600, 190), (400, 450))
        )
        assert (hair, wall, elbow) == (True, False, True)

    def test_another_picture_altogether_is_motion(self) -> None:
        grey = np.full((*SIZE, 3), 128, np.uint8)
        rng = np.random.default_rng(1)
        blocks = rng.integers(0, 256, (30, 40, 1), np.uint8).repeat(16, 0).repeat(16, 1).repeat(3, 2)
        assert Watch(detect_every=NEVER).is_whole([grey] * 5 + [blocks])[-1]

    def test_a_scene_that_tracks_cover_whole_has_no_motion(self) -> None:
        free = np.zeros((4, 4), np.bool_)
        assert not has_changed(np.zeros((4, 4), np.float32), np.eye(4, dtype=np.float32) * 99, free, 1)


def test_the_same_frames_are_planned_the_same_twice() -> None:
    images = [noisy(with_person(room(), 30 + 20 * (index // 2), 200), 8, index) for index in range(12)]
    first, second = (Watch().is_whole(images, [Expected(HEAD, False)]) for _ in range(2))
    assert first == second


def test_other_settings_hold_from_the_next_frame_on() -> None:
    watch = Watch(detect_every=NEVER)
    watch.add(room())
    assert watch.add(room()) == []
    watch.key_frames.apply(DetectorConfig(detect_every=NEVER, region=(0.0, 0.0, 0.5, 1.0)))
    assert watch.add(room()) is None
    assert watch.add(room()) == []
