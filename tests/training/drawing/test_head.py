"""A head fitted to five landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from gatecam.training.drawing.head import EAR, Pose


def test_the_models_landmarks_fall_on_the_pictures(frontal):
    landmarks = frontal(60, 150, 100)
    pose = Pose.of(landmarks)
    eyes = pose.px(np.array([(-0.5, 0, 0), (0.5, 0, 0)], np.float32))
    assert eyes == pytest.approx(landmarks[:2], abs=4)
    assert pose.unit_px == pytest.approx(60, rel=0.1)
    assert pose.yaw == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("aside", [-12, 12])
def test_a_nose_to_one_side_turns_the_head(frontal, aside):
    landmarks = frontal()
    landmarks[2, 0] += aside
    pose = Pose.of(landmarks)
    assert np.sign(pose.yaw) == np.sign(aside)
    left, right = (pose.px(np.array([s * EAR[0], EAR[1], EAR[2]], np.float32))[0] for s in (-1, 1))
    middle = landmarks[:2, 0].mean()
    assert (right - middle > middle - left) == (aside < 0)  # the ear that the nose leaves comes into sight


def test_a_nose_far_out_turns_the_head_no_further_than_to_profile(frontal):
    landmarks = frontal()
    landmarks[2, 0] += 80
    assert 0.9 < Pose.of(landmarks).yaw <= 1


def test_a_rolled_head_rolls_the_axes(frontal):
    landmarks = frontal()[:, ::-1] * (-1, 1)
    pose = Pose.of(landmarks.astype(np.float32))
    right = pose.matrix[:, 0] / np.linalg.norm(pose.matrix[:, 0])
    assert right == pytest.approx((0, 1), abs=0.05)
    assert pose.rotation @ pose.rotation.T == pytest.approx(np.eye(3), abs=1e-4)


def test_landmarks_in_one_place_give_a_pose_all_the_same():
    pose = Pose.of(np.full((5, 2), 7, np.float32))
    assert pose.unit_px > 0
    assert np.isfinite(pose.px(np.eye(3, dtype=np.float32))).all()
