"""Patches on their way to the network: dressed, worn, cropped; any patch will do."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from gatecam.training.augment import Patch, augmented_crop, dress, plain_crop
from gatecam.training.learn import CROP, patch_of
from gatecam.vision.crops import crop_faces

SMALL = replace(CROP, size=32)


@pytest.fixture
def patch(astronaut) -> Patch:
    """The astronaut's face with its surroundings."""
    landmarks = np.array([[205, 101], [247, 103], [226, 130], [202, 140], [245, 142]], np.float32)
    x, y = 145, 40
    image = np.array(astronaut[y : y + 160, x : x + 160])
    return Patch(image, np.array([180 - x, 61 - y, 268 - x, 172 - y], np.float32), landmarks - (x, y))


def bare_patch(height: int, width: int) -> Patch:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    box = np.array([0, 0, width, height], np.float32)
    return Patch(image, box, np.full((5, 2), np.nan, np.float32))


def test_a_plain_crop_is_what_serving_crops(patch):
    served = crop_faces([torch.from_numpy(patch.image)], [torch.from_numpy(patch.box)[None]], CROP)
    assert torch.equal(plain_crop(patch, CROP), served[0])


def test_a_face_of_a_set_is_its_picture_without_the_padding(make_faces):
    faces = make_faces([0, 1, 2], side=90)
    patch = patch_of(faces, 2)
    assert patch.image.shape == (90, 90, 3)
    assert (patch.image[..., 0] == 2).all()
    assert np.array_equal(patch.box, faces.boxes[2])


def test_dressing_covers_the_mouth_in_both_masked_states(patch):
    x, y = patch.landmarks[3:].mean(0).round().astype(int)
    for seed in range(8):
        dressed = dress(patch, 0, np.random.default_rng(seed))
        mouth = np.s_[y - 3 : y + 4, x - 3 : x + 4]
        assert np.abs(dressed.image[mouth].astype(int) - patch.image[mouth]).mean() > 10
        assert np.array_equal(dressed.box, patch.box)
        assert np.array_equal(dressed.landmarks, patch.landmarks)


def test_a_worn_wrong_mask_shows_the_nose_or_the_mouth_at_times(patch):
    x, y = patch.landmarks[2].round().astype(int)
    nose = np.s_[y - 6 : y - 1, x - 2 : x + 3]
    changes = [
        np.abs(dress(patch, 1, np.random.default_rng(s)).image[nose].astype(int) - patch.image[nose]).mean()
        for s in range(12)
    ]
    assert np.median(changes) < 10


def test_a_bare_face_stays_bare_or_gets_a_hand(patch):
    changed = [(dress(patch, 2, np.random.default_rng(s)).image != patch.image).any() for s in range(80)]
    assert 8 <= sum(changed) <= 34  # a quarter of 80, give or take three deviations


@pytest.mark.parametrize("state", [0, 1, 2])
def test_a_face_without_landmarks_cannot_be_dressed(state):
    with pytest.raises(ValueError, match="landmarks: expected found ones, got NaN"):
        dress(bare_patch(40, 40), state, np.random.default_rng(0))


def test_an_augmented_crop_is_the_same_for_the_same_seed(patch):
    crops = [augmented_crop(patch, CROP, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[0], crops[2])
    assert crops[0].shape == (3, CROP.size, CROP.size)


def test_an_augmented_crop_still_shows_the_face(patch):
    plain = plain_crop(patch, SMALL).flatten().numpy()
    flipped = plain_crop(patch, SMALL).flip(2).flatten().numpy()
    alike = []
    for seed in range(40):
        crop = augmented_crop(patch, SMALL, np.random.default_rng(seed)).flatten().numpy()
        alike.append(max(np.corrcoef(crop, other)[0, 1] for other in (plain, flipped)))
    assert np.median(alike) > 0.5
    assert min(alike) > 0.1


def test_augmenting_does_not_write_to_the_picture(patch):
    before = patch.image.copy()
    patch.image.flags.writeable = False
    for seed in range(10):
        augmented_crop(patch, SMALL, np.random.default_rng(seed))
    assert np.array_equal(patch.image, before)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (160, 3), (3, 160), (160, 160), (13, 17)])
def test_patches_of_any_size_give_finite_crops(size):
    for seed in range(30):
        crop = augmented_crop(bare_patch(*size), SMALL, np.random.default_rng(seed))
        assert crop.shape == (3, 32, 32)
        assert crop.isfinite().all()
        assert crop.abs().max() <= 1.01


def test_far_away_faces_occur(patch):
    sharp = cv2.Laplacian(plain_crop(patch, CROP).mean(0).numpy(), cv2.CV_32F).std()
    blurred = 0
    for seed in range(40):
        crop = augmented_crop(patch, CROP, np.random.default_rng(seed)).mean(0).numpy()
        blurred += cv2.Laplacian(crop, cv2.CV_32F).std() < 0.6 * sharp
    assert 5 <= blurred <= 38
