"""Frames of the sizes that are timed, and times beside the library's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatecam.training.scores import detector_speed as detection_speed
from gatecam.training.scores.detector_speed import LIBRARY, measure_speed


@pytest.mark.parametrize("shape", [(300, 500), (500, 300), (40, 40)])
def test_a_frame_is_the_middle_of_the_picture(shape):
    image = np.zeros((*shape, 3), np.uint8)
    image[shape[0] // 2 - 9 : shape[0] // 2 + 9, shape[1] // 2 - 9 : shape[1] // 2 + 9] = 255
    frame = detection_speed._frame(image, 64, 48)
    assert frame.shape == (48, 64, 3)
    assert frame[24, 32].tolist() == [255, 255, 255]
    assert frame[0, 0].tolist() == [0, 0, 0]


def test_detectors_take_turns_with_the_library_on_frames_of_each_size(monkeypatch, astronaut):
    monkeypatch.setattr(detection_speed, "SIZES_PX", ((96, 64), (128, 96)))
    monkeypatch.setattr(detection_speed, "REPEATS", 2)
    seen, ticks = [], []

    class Instant:
        def detect(self, images, hints=None):
            seen.append(tuple(images[0].shape))
            return [[] for _ in images]

    speeds = measure_speed(
        {"instant": Instant()}, 40, [astronaut], torch.device("cpu"), lambda *done: ticks.append(done)
    )
    assert seen == [(64, 96, 3)] * 3 + [(96, 128, 3)] * 3  # the first of each warms up
    assert ticks[-1] == (4, 4)
    assert [(s.width_px, s.height_px, s.frames) for s in speeds] == [(96, 64, 1), (128, 96, 1)]
    for speed in speeds:
        assert set(speed.ms) == {"instant", LIBRARY}
        assert speed.times_as_fast["instant"] > 1
