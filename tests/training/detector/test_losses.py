"""The detector's losses: each task counts where it is known, and the hardest cells and crops count most."""

from __future__ import annotations

import pytest
import torch

from gatecam.training.detector.candidates import Crops
from gatecam.training.detector.losses import crop_loss, hardest, window_loss
from gatecam.training.detector.windows import Windows


def windows_of(faces: torch.Tensor) -> Windows:
    count, height, width = faces.shape
    boxes = torch.zeros(count, 4, height, width)
    return Windows(torch.zeros(count, 3, 8 * height, 8 * width), faces, boxes)


def crops_of(faces: list[float], has_box: list[bool], has_landmarks: list[bool]) -> Crops:
    count = len(faces)
    return Crops(
        torch.zeros(count, 3, 24, 24),
        torch.tensor(faces),
        torch.zeros(count, 4),
        torch.tensor(has_box),
        torch.zeros(count, 10),
        torch.tensor(has_landmarks),
    )


def test_the_hardest_are_the_largest():
    assert hardest(torch.tensor([1.0, 5.0, 3.0]), 2) == 4
    assert hardest(torch.tensor([1.0]), 9) == 1
    assert hardest(torch.zeros(0), 2) == 0


def test_open_cells_cost_nothing_and_wrong_ones_do():
    faces = torch.zeros(1, 4, 4)
    faces[0, 1, 1], faces[0, 2] = 1, -1
    logits = torch.where(faces == 1, 20.0, -20.0)
    boxes = torch.zeros(1, 4, 4, 4)
    assert window_loss(logits, boxes, windows_of(faces)) == pytest.approx(0, abs=1e-4)
    shouting = logits.clone()
    shouting[0, 2] = 20
    assert window_loss(shouting, boxes, windows_of(faces)) == pytest.approx(0, abs=1e-4)
    shouting[0, 0, 0] = 20
    assert window_loss(shouting, boxes, windows_of(faces)) > 1


def test_easy_background_does_not_drown_a_face():
    faces = torch.zeros(1, 40, 40)
    faces[0, 0, 0] = 1
    loss = window_loss(torch.full((1, 40, 40), -4.0), torch.zeros(1, 4, 40, 40), windows_of(faces))
    assert loss > 4


def test_boxes_count_on_faces_alone():
    faces = torch.zeros(1, 4, 4)
    faces[0, 1, 1] = 1
    logits = torch.where(faces == 1, 20.0, -20.0)
    boxes = torch.full((1, 4, 4, 4), 0.5)
    boxes[0, :, 1, 1] = 0
    assert window_loss(logits, boxes, windows_of(faces)) == pytest.approx(0, abs=1e-4)
    boxes[0, :, 1, 1] = 0.3
    assert window_loss(logits, boxes, windows_of(faces)) > 0.3


def test_a_batch_without_faces_still_has_a_gradient():
    logits = torch.zeros(1, 4, 4, requires_grad=True)
    boxes = torch.zeros(1, 4, 4, 4, requires_grad=True)
    window_loss(logits, boxes, windows_of(torch.zeros(1, 4, 4))).backward()
    assert logits.grad.abs().sum() > 0


def test_each_task_of_a_crop_counts_where_it_is_known():
    batch = crops_of([1.0, 0.0, -1.0], [True, False, True], [True, False, False])
    logits = torch.tensor([20.0, -20.0, 20.0])
    boxes, landmarks = torch.zeros(3, 4), torch.zeros(3, 10)
    right = crop_loss((logits, boxes, landmarks), batch)
    assert right == pytest.approx(0, abs=0.01)
    boxes[1], landmarks[1:], logits[2] = 1, 1, -20
    assert crop_loss((logits, boxes, landmarks), batch) == pytest.approx(float(right))
    boxes[2] = 0.5
    assert crop_loss((logits, boxes, landmarks), batch) > right + 0.3
    boxes[2], landmarks[0] = 0, 0.5
    assert crop_loss((logits, boxes, landmarks), batch) > right + 1
    assert crop_loss((logits, boxes), batch) == pytest.approx(0, abs=0.01), "R-Net has no landmarks"


def test_a_better_box_costs_less():
    batch = crops_of([1.0], [True], [False])
    costs = [
        float(crop_loss((torch.tensor([9.0]), torch.full((1, 4), off)), batch)) for off in (0.4, 0.2, 0.0)
    ]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 3
