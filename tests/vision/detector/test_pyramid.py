"""Pyramids, on the CPU and as on a GPU: levels and crops that skip no pixels; levels on a sheet."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatecam.vision.detector.picture import Picture
from gatecam.vision.detector.pyramid import GREY, MEAN, SMALLEST_LEVEL_PX, STD, Pyramid, sheet_places


def ramp(height: int, width: int) -> torch.Tensor:
    """Red grows to the right, green downwards."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([x * 200 / width, y * 200 / height, torch.full_like(x, 90.0, dtype=torch.float)], 2)
    return image.to(torch.uint8)


def back(pixels: torch.Tensor) -> torch.Tensor:
    return pixels * STD + MEAN


def test_a_level_is_the_frame_at_its_scale():
    pyramid = Pyramid([ramp(120, 200), ramp(120, 200)])
    level = pyramid.level([0, 1], 0.37, (44, 74))
    assert level.shape == (2, 3, 44, 74)
    assert level.dtype == torch.uint8
    assert level[0, 0, 22].float().diff().min() >= 0
    assert level[0, 0, 5, 36].float() == pytest.approx(100, abs=3)
    assert level[0, 1, 21, 5].float() == pytest.approx(100, abs=4)


def test_shrinking_skips_no_pixels():
    stripes = torch.zeros(128, 128, 3, dtype=torch.uint8)
    stripes[:, ::2] = 255
    pyramid = Pyramid([stripes])
    level = pyramid.level([0], 0.2, (26, 26)).float()
    assert (level - 127).abs()[:, :, 2:-2, 2:-2].max() < 12
    crop = back(pyramid.crop(torch.tensor([[10.0, 10, 106, 106]]), torch.tensor([0]), 24))
    assert (crop - 127).abs().max() < 12


@pytest.mark.parametrize("side", [20.0, 24.0, 61.0, 100.0])
def test_a_crop_is_its_square_at_any_size(side):
    """Also of a frame that is not the first, and of another size than the others."""
    pyramid = Pyramid([ramp(300, 90), ramp(120, 200)])
    corner = torch.tensor([40.0, 10.0])
    crop = back(pyramid.crop(torch.cat([corner, corner + side])[None], torch.tensor([1]), 24))[0]
    step = (torch.arange(24) + 0.5) / 24 * side
    assert crop[0] == pytest.approx((40 + step)[None].expand(24, 24) - 0.5, abs=2.5)
    assert crop[1] == pytest.approx((10 + step)[:, None].expand(24, 24) * 200 / 120 - 0.5, abs=3.5)
    assert crop[2] == pytest.approx(torch.full((24, 24), 90.0), abs=1)


def test_beyond_the_edge_lies_the_mean():
    pyramid = Pyramid([torch.full((60, 60, 3), 255, dtype=torch.uint8)])
    crop = pyramid.crop(torch.tensor([[-24.0, -24.0, 24.0, 24.0]]), torch.tensor([0]), 24)[0]
    assert (crop[:, :11, :] == 0).all()
    assert (crop[:, :, :11] == 0).all()
    assert (crop[:, 13:, 13:] > 0.9).all()
    far = pyramid.crop(torch.tensor([[500.0, 500, 520, 520]]), torch.tensor([0]), 24)
    assert (far == 0).all()


def test_crops_of_many_frames_are_those_of_each_alone():
    frames = [ramp(80, 120), ramp(301, 77), ramp(13, 14)]
    squares = torch.tensor([[5.0, 5, 45, 45], [-3.0, 20, 70, 93], [0.0, 0, 12, 12]])
    together = Pyramid(frames).crop(squares, torch.tensor([0, 1, 2]), 24)
    for i, frame in enumerate(frames):
        alone = Pyramid([frame]).crop(squares[i : i + 1], torch.tensor([0]), 24)
        assert torch.allclose(together[i], alone[0], atol=1e-5)


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (100, 37), (12, 12)])
@pytest.mark.parametrize("scale", [0.5, 0.31, 1.0])
def test_levels_go_down_by_halves_and_do_not_touch_on_the_sheet(size, scale):
    places, height, width = sheet_places(*size, scale)
    if min(round(side * scale) for side in size) < SMALLEST_LEVEL_PX:
        assert (places, height, width) == ([], 0, 0)
        return
    assert (height % 8, width % 8) == (0, 0)
    taken = np.zeros((height, width), int)
    for i, place in enumerate(places):
        assert (place.x % 8, place.y % 8) == (0, 0)
        assert place.width == round(size[1] * scale / 2**i)
        assert place.scale == pytest.approx(place.width / size[1])
        assert place.scale_down == pytest.approx(place.height / size[0])
        around = taken[
            max(0, place.y - 16) : place.y + place.height, max(0, place.x - 16) : place.x + place.width
        ]
        assert not around.any()
        taken[place.y : place.y + place.height, place.x : place.x + place.width] = 1
    assert min(places[-1].width, places[-1].height) < 2 * SMALLEST_LEVEL_PX + 1


def test_a_frame_of_a_small_room_and_of_a_large_one_cost_what_their_pixels_cost():
    places, height, width = sheet_places(720, 1280, 0.5)
    assert height * width < 1.7 * places[0].width * places[0].height


@pytest.mark.parametrize(("height", "width"), [(120, 200), (121, 203), (25, 24), (97, 13), (2, 3)])
def test_a_cpu_and_a_gpu_are_shown_the_same(height, width):
    image = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    picture, pyramid = Picture(image.numpy()), Pyramid([image])
    for scale in (1.0, 0.5, 0.37):
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        level = pyramid.level([0], scale, size)[0].permute(1, 2, 0)
        assert np.array_equal(picture.level(scale, size), level.numpy())
    squares = torch.tensor([[5.3, 7.1, 60.2, 62.0], [1.0, 1.5, 21.0, 21.5], [4.0, 2.0, 300.0, 298.0]])
    crops = back(pyramid.crop(squares, torch.zeros(3, dtype=torch.long), 24)).permute(0, 2, 3, 1).numpy()
    for square, crop in zip(squares.numpy(), crops, strict=True):
        out = np.zeros((24, 24, 3), np.uint8)
        picture.cut(square, out)
        step = (np.arange(24) + 0.5) / 24 * (square[2] - square[0])
        x, y = square[0] + step, square[1] + step
        depth = 2 ** max(0, round(np.log2((square[2] - square[0]) / 24)))  # beyond it the edge blends in
        rows, columns = (y > depth) & (y < height - 2 * depth), (x > depth) & (x < width - 2 * depth)
        difference = np.abs(out - crop)[rows][:, columns]
        assert difference.max(initial=0) < 9, "OpenCV's taps lie on 1/32 of a pixel: 8 of 255 at most"


def test_a_far_square_of_a_picture_is_grey():
    out = np.zeros((24, 24, 3), np.uint8)
    Picture(np.full((60, 60, 3), 255, np.uint8)).cut(np.array([5e5, 500, 5e5 + 20, 520], np.float32), out)
    assert (out == GREY).all()
