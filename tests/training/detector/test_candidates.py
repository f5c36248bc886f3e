"""R-Net's and O-Net's crops: what each is told, and what of it is left open."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatecam.training.detector.candidates import _targets, crops, pairwise_iou, squares
from gatecam.training.detector.scenes import Scene
from gatecam.vision.crops import squares_of
from tests.training.portrait_scenes import BOX, LANDMARKS, empty_scene_of, portrait_scene_of

MARGIN = 0.3
NOTHING = np.zeros((0, 5), np.float32)


def targets(scene: Scene, *boxes):
    return _targets(scene, np.array(boxes, np.float32), MARGIN)


def test_overlaps_are_those_of_hand():
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 0]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert pairwise_iou(a, b) == pytest.approx(np.array([[1, 1 / 3, 0], [0, 0, 0]]))
    assert squares(np.array([[0, 0, 10, 20]])).tolist() == [[-5, 0, 15, 20]]


def test_a_crop_on_the_face_is_one_and_knows_box_and_landmarks(astronaut):
    faces, offsets, has_box, landmarks, has_landmarks = targets(portrait_scene_of(astronaut), BOX)
    assert (faces.tolist(), has_box.tolist(), has_landmarks.tolist()) == ([1], [True], [True])
    x1, y1, x2, _ = squares_of(np.array([BOX], np.float32), MARGIN)[0].tolist()
    side = x2 - x1
    square = np.array([x1, y1, x1 + side, y1 + side])
    assert square + offsets[0] * side == pytest.approx(np.array(BOX), abs=1e-3)
    points = np.array([x1, y1]) + landmarks[0].reshape(5, 2) * side
    assert points == pytest.approx(np.array(LANDMARKS), abs=1e-3)


def test_a_crop_beside_the_face_is_none_and_one_half_on_it_is_open(astronaut):
    x1, y1, x2, y2 = BOX
    half, far = (x1 + 48, y1, x2 + 48, y2), (x1 + 200, y1, x2 + 200, y2)
    faces, _, has_box, _, has_landmarks = targets(portrait_scene_of(astronaut), half, far)
    assert faces.tolist() == [-1, 0]
    assert has_box.tolist() == has_landmarks.tolist() == [True, False]


def test_a_face_without_landmarks_teaches_its_box_alone(astronaut):
    scene = portrait_scene_of(astronaut)
    unknown = Scene(
        scene.image, scene.boxes, np.full((1, 5, 2), np.nan, np.float32), scene.masks, scene.ignored
    )
    faces, _, has_box, landmarks, has_landmarks = targets(unknown, BOX)
    assert (faces.tolist(), has_box.tolist(), has_landmarks.tolist()) == ([1], [True], [False])
    assert np.isfinite(landmarks).all()


def test_an_ignored_face_is_neither_a_face_nor_background(astronaut):
    faces, _, has_box, _, _ = targets(portrait_scene_of(astronaut, ignored=True), BOX, (300, 300, 380, 380))
    assert faces.tolist() == [-1, 0]
    assert not has_box.any()


@pytest.mark.parametrize("size", [24, 48])
def test_a_batch_holds_faces_and_mistakes_and_is_the_same_for_the_same_chance(astronaut, size):
    mistakes = np.array([[20, 300, 80, 360, 0.9], [400, 20, 460, 80, 0.5]], np.float32)
    scenes = [*[portrait_scene_of(astronaut)] * 3, empty_scene_of()]
    mined = [mistakes, NOTHING, NOTHING, NOTHING]
    first, again = (crops(scenes, mined, size, MARGIN, np.random.default_rng(4)) for _ in range(2))
    assert first.pixels.shape == (len(first.faces), 3, size, size)
    assert {0.0, 1.0} <= set(first.faces.tolist())
    assert first.has_landmarks.any()
    for name in ("pixels", "faces", "boxes", "landmarks"):
        assert torch.equal(getattr(first, name), getattr(again, name))


def test_what_was_mined_is_shown_as_background():
    scene = empty_scene_of()
    image = np.zeros_like(scene.image)
    image[100:140, 100:140] = 255
    painted = Scene(image, scene.boxes, scene.landmarks, scene.masks, scene.ignored)
    mined = np.array([[100, 100, 140, 140, 0.9]], np.float32)
    batch = crops([painted], [mined], 24, MARGIN, np.random.default_rng(0))
    filled = (batch.pixels.amax(1) > batch.pixels.mean()).float().mean((1, 2))
    assert 0.4 < filled.max() < 0.8, "the mistake with its margin"
    assert (batch.faces == 0).all()
