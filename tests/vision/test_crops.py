"""The crop: where it lies, what fills it over the edge, and that its pixels never change unnoticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align

from gatecam.vision.crops import SAMPLES, CropSpec, crop_faces, squares_of

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "crops.npy"
SPEC = CropSpec(size=32, margin=0.15, mean=127.5, std=128.0)


def gradient(height: int, width: int) -> np.ndarray:
    """Red is the column, green the row, blue 7."""
    image = np.full((height, width, 3), 7, np.uint8)
    image[..., 0] = np.arange(width)
    image[..., 1] = np.arange(height)[:, None]
    return image


def boxes_of(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, np.float32).reshape(-1, 4)


def golden_crops(astronaut: np.ndarray) -> np.ndarray:
    """One face, one box over two edges of a gradient, one far smaller than the input: (3, 3, 32, 32)."""
    images = [astronaut, gradient(120, 200)]
    boxes = [
        boxes_of((180.3, 60.7, 268.4, 172.2)),
        boxes_of((-20, -10.5, 50, 40), (100.2, 60.1, 107.8, 69.9)),
    ]
    return crop_faces(images, boxes, SPEC).transpose(0, 3, 1, 2)


def test_the_golden_crops_stay_as_they_were(astronaut):
    # A change here shifts the classifier's input: the weights must be trained anew. Made with
    # np.save(GOLDEN, golden_crops(astronaut)).
    crops = golden_crops(astronaut)
    golden = np.load(GOLDEN, allow_pickle=False)
    assert crops.dtype == golden.dtype == np.float32
    assert crops.shape == golden.shape
    assert np.abs(crops - golden).max() < 5e-3, "OpenCV before 5 rounds where it samples to 1/32 px"


def test_pixels_of_a_crop_lie_where_the_geometry_says():
    spec = replace(SPEC, margin=0.0)
    (crop,) = crop_faces([gradient(120, 200)], [boxes_of((40, 30, 104, 94))], spec)
    centers = np.arange(32) * 2 + 1 - 0.5  # of each output pixel, two picture pixels wide
    assert np.allclose(crop[..., 0] * 128 + 127.5, 40 + centers[None], atol=1e-3)
    assert np.allclose(crop[..., 1] * 128 + 127.5, 30 + centers[:, None], atol=1e-3)
    assert np.allclose(crop[..., 2] * 128 + 127.5, 7, atol=1e-3)


def test_mean_and_std_are_the_specs():
    spec = CropSpec(size=8, margin=0.0, mean=10.0, std=2.0)
    (crop,) = crop_faces([np.full((40, 40, 3), 30, np.uint8)], [boxes_of((10, 10, 20, 20))], spec)
    assert np.allclose(crop, np.full((8, 8, 3), 10.0))


@pytest.mark.parametrize(
    ("box", "margin", "square"),
    [
        ((10, 10, 30, 50), 0.0, (0, 10, 40, 50)),
        ((10, 10, 50, 30), 0.0, (10, 0, 50, 40)),
        ((10, 10, 30, 30), 0.5, (5, 5, 35, 35)),
        ((-10, 0, 10, 40), 0.25, (-25, -5, 25, 45)),
    ],
)
def test_a_crop_is_the_square_around_the_box_grown_by_its_margin(box, margin, square):
    assert squares_of(boxes_of(box), margin).tolist() == [list(square)]


def test_without_margin_only_the_margin_goes():
    assert SPEC.without_margin() == replace(SPEC, margin=0.0)


def test_a_margin_shows_more_around_the_face():
    white_face = np.zeros((100, 100, 3), np.uint8)
    white_face[30:70, 30:70] = 255
    box = [boxes_of((30, 30, 70, 70))]
    tight = crop_faces([white_face], box, SPEC.without_margin())
    loose = crop_faces([white_face], box, replace(SPEC, margin=1.0))
    assert (tight > 0).all()
    assert (loose > 0).mean() == pytest.approx(0.25, abs=0.02)


def test_what_lies_over_the_edge_is_the_mean():
    spec = replace(SPEC, margin=0.0)
    (crop,) = crop_faces([np.full((64, 64, 3), 255, np.uint8)], [boxes_of((-32, 32, 32, 96))], spec)
    assert np.allclose(crop[:15, 17:], (255 - 127.5) / 128.0)
    assert (crop[:, :15] == 0).all()
    assert (crop[17:] == 0).all()


def test_a_box_beyond_the_picture_gives_only_the_mean():
    (crop,) = crop_faces([gradient(50, 50)], [boxes_of((500, 500, 540, 540))], SPEC)
    assert (crop == 0).all()


def test_a_box_without_an_area_does_not_fail():
    crops = crop_faces([gradient(50, 50)], [boxes_of((20, 20, 20, 20))], SPEC)
    assert crops.shape == (1, 32, 32, 3)
    assert np.isfinite(crops).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_boxes_are_no_crops(count):
    crops = crop_faces([gradient(20, 30)] * count, [boxes_of()] * count, SPEC)
    assert crops.shape == (0, 32, 32, 3)


def test_a_batch_of_unlike_sizes_gives_what_each_picture_gives_in_order(astronaut):
    images = [gradient(60, 90), astronaut, gradient(10, 10), gradient(200, 40)]
    boxes = [
        boxes_of((5, 5, 50, 50), (30, 20, 70, 55)),
        boxes_of((180, 60, 268, 172), (10, 10, 20, 20), (400, 400, 600, 600)),
        boxes_of(),
        boxes_of((3, 100, 37, 150)),
    ]
    together = crop_faces(images, boxes, SPEC)
    alone = [
        crop_faces([image], [box[None]], SPEC)
        for image, of_image in zip(images, boxes, strict=True)
        for box in of_image
    ]
    assert together.shape == (6, 32, 32, 3)
    assert np.array_equal(together, np.concatenate(alone))


def test_a_picture_without_its_boxes_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        crop_faces([gradient(20, 30)] * 2, [boxes_of()], SPEC)


def test_a_crop_is_what_torchvision_aligns(astronaut):
    height, width = astronaut.shape[:2]
    rng = np.random.default_rng(5)
    corner = rng.uniform(-0.3, 1.2, (300, 2)) * (width, height)
    boxes = np.concatenate([corner, corner + rng.uniform(2, 400, (300, 2))], 1).astype(np.float32)
    edges = boxes_of((-300, -300, -1, -1), (width + 1, 0, width + 90, 80), (-0.4, -0.4, 0.6, 0.6))
    boxes = np.concatenate([boxes, edges])
    pixels = (torch.from_numpy(np.array(astronaut)).permute(2, 0, 1)[None].float() - SPEC.mean) / SPEC.std
    squares = [torch.from_numpy(squares_of(boxes, SPEC.margin))]
    expected = roi_align(pixels, squares, SPEC.size, 1.0, SAMPLES, aligned=True).permute(0, 2, 3, 1).numpy()
    crops = crop_faces([astronaut], [boxes], SPEC)
    # A sample on the border between edge and mean may fall on either side.
    far = np.abs(crops - expected) > 2e-2
    assert far.mean() < 1e-4
    assert np.abs(crops - expected)[~far].mean() < 2e-4
