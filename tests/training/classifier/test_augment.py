"""Patches on their way to the network: worn and cropped; any patch will do."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from gatecam.training.classifier import augment
from gatecam.training.classifier.augment import Patch, augmented_crop, patch_of, plain_crop
from gatecam.training.classifier.recipe import AUGMENTATIONS, Recipe
from gatecam.vision.crops import crop_faces

CROP = Recipe().crop
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
    served = crop_faces([patch.image], [patch.box[None]], CROP)
    assert np.array_equal(plain_crop(patch, CROP), served[0].transpose(2, 0, 1))


def test_a_face_of_a_set_is_its_picture_without_the_padding(make_faces):
    faces = make_faces([0, 1, 2], side=90)
    patch = patch_of(faces, 2)
    assert patch.image.shape == (90, 90, 3)
    assert (patch.image[..., 0] == 2).all()
    assert np.array_equal(patch.box, faces.boxes[2])


def test_an_augmented_crop_is_the_same_for_the_same_seed(patch):
    crops = [augmented_crop(patch, CROP, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[0], crops[2])
    assert crops[0].shape == (3, CROP.size, CROP.size)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_augmentation_does_something_alone(patch, name):
    plain = plain_crop(patch, SMALL)
    crops = [augmented_crop(patch, SMALL, np.random.default_rng(seed), (name,)) for seed in range(40)]
    assert any(not torch.equal(crop, plain) for crop in crops)
    assert all(crop.shape == plain.shape and crop.isfinite().all() for crop in crops)


def test_without_augmentations_a_crop_is_plain(patch):
    for seed in range(5):
        crop = augmented_crop(patch, SMALL, np.random.default_rng(seed), ())
        assert torch.equal(crop, plain_crop(patch, SMALL))


@pytest.mark.parametrize(
    ("name", "share"), [("flip", 0.5), ("erasing", 0.15), ("rotation", 0.6), ("jitter", 1.0), ("jpeg", 0.3)]
)
def test_an_augmentation_happens_as_often_as_it_should(patch, name, share):
    plain = plain_crop(patch, SMALL)
    crops = (augmented_crop(patch, SMALL, np.random.default_rng(seed), (name,)) for seed in range(120))
    changed = sum(not torch.equal(crop, plain) for crop in crops)
    assert changed / 120 == pytest.approx(share, abs=0.14)  # three deviations


def test_a_flip_mirrors_what_came_before_it(patch):
    plain = plain_crop(patch, SMALL)
    crops = [augmented_crop(patch, SMALL, np.random.default_rng(seed), ("flip",)) for seed in range(12)]
    assert {torch.equal(crop, plain) for crop in crops} == {True, False}
    assert all(torch.equal(crop, plain) or torch.equal(crop, plain.flip(2)) for crop in crops)


def test_a_lossy_camera_comes_after_the_light(patch, monkeypatch):
    happened = []
    steps = [
        (name, 1.0, lambda image, box, rng, name=name: happened.append(name) or image)
        for name, _, _ in augment._STEPS
    ]
    monkeypatch.setattr(augment, "_STEPS", steps)
    augmented_crop(patch, SMALL, np.random.default_rng(0))
    assert happened == ["backlight", "colour", "resolution", "blur", "noise", "jpeg"]


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
