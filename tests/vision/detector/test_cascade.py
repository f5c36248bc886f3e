"""The cascade: candidates flow from network to network, whatever the frames' number, sizes and hints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gatecam.geometry import iou
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Image
from gatecam.vision.detector.cascade import AGAIN, CascadeDetector
from gatecam.vision.detector.networks import Networks
from gatecam.vision.detector.sizes import CELL_FACE_PX, O_MARGIN, R_MARGIN, STRIDE_PX
from gatecam.vision.on_torch import cascade_on

CPU = torch.device("cpu")


class FindsRed(nn.Module):
    """Says face where all but the margin is red; its box is the crop without the margin."""

    def __init__(self, margin: float, outputs: int) -> None:
        super().__init__()
        self.outputs, self._edge = outputs, margin / (1 + margin) / 2
        self.crops = 0

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self.crops += len(x)
        size, edge = x.shape[2], self._edge
        rim = round(size * edge)
        redness = x[:, 0] - x[:, 1]  # (n, size, size)
        inner = redness[:, rim:-rim, rim:-rim].mean((1, 2))
        around = (redness.sum((1, 2)) - inner * (size - 2 * rim) ** 2) / (size**2 - (size - 2 * rim) ** 2)
        logits = 4 * inner - 3 * around - 2
        boxes = x.new_tensor([edge, edge, -edge, -edge]).expand(len(x), 4)
        if self.outputs == 5:
            return logits, boxes
        return logits, boxes, x.new_full((len(x), 10), 0.5)


class ProposesRed(nn.Module):
    """P-Net of the same kind: a face where a cell's square is red and what lies around it is not."""

    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.sheets.append(tuple(x.shape))
        redness = (x[:, 0] - x[:, 1])[:, None]
        inner, around = (
            nn.functional.avg_pool2d(redness, size, STRIDE_PX, size // 2)[:, 0]
            for size in (int(CELL_FACE_PX) - 1, 2 * int(CELL_FACE_PX) + 1)
        )
        logits = 6 * (inner - around) - 4
        return logits, logits.new_zeros(len(x), 4, *logits.shape[1:])


def networks_of_red() -> Networks:
    networks = Networks()
    networks.pnet = ProposesRed()
    networks.rnet, networks.onet = FindsRed(R_MARGIN, 5), FindsRed(O_MARGIN, 15)
    return networks


def frame(*faces: tuple[int, int, int], height: int = 240, width: int = 320) -> Image:
    """A grey frame with red squares: x, y of their corner, and their side."""
    image = np.full((height, width, 3), 100, np.uint8)
    for x, y, side in faces:
        image[y : y + side, x : x + side] = (255, 0, 0)
    return image


def detector(**changed: float) -> tuple[CascadeDetector, Networks]:
    networks = networks_of_red()
    settings = {"min_face_px": 32, "rnet_threshold": 0.6, **changed}
    return CascadeDetector(DetectorConfig.model_validate(settings), cascade_on(CPU, networks)), networks


def boxes(faces: Sequence) -> list[list[float]]:
    return [[f.box.x1, f.box.y1, f.box.x2, f.box.y2] for f in faces]


@pytest.mark.parametrize("side", [36, 50, 90, 170])
def test_faces_of_all_sizes_are_found_where_they_are(side):
    found, _ = detector()
    (faces,) = found.detect([frame((60, 30, side))])
    assert faces
    assert max(iou(face.box, Box(60, 30, 60 + side, 30 + side)) for face in faces) > 0.5
    assert all(0.7 <= face.score <= 1 and face.landmarks.shape == (5, 2) for face in faces)


def test_the_best_comes_first_and_nothing_is_found_where_nothing_is():
    found, _ = detector()
    two, none = found.detect([frame((20, 20, 60), (200, 100, 60)), frame()])
    assert len(two) >= 2
    assert [face.score for face in two] == sorted((face.score for face in two), reverse=True)
    assert none == []


def test_frames_of_unlike_sizes_give_what_each_gives_alone():
    frames = [frame((60, 30, 50)), frame((10, 90, 44), height=200, width=150), frame(), frame((9, 99, 80))]
    together = detector()[0].detect(frames)
    for image, faces in zip(frames, together, strict=True):
        (alone,) = detector()[0].detect([image])
        assert boxes(faces) == [pytest.approx(box, abs=1e-2) for box in boxes(alone)]


def test_with_hints_there_alone_is_looked_and_p_net_rests():
    found, networks = detector()
    image = frame((60, 30, 50), (220, 100, 60))
    (faces,) = found.detect([image], [[Box(58, 32, 108, 78)]])
    assert len(faces) == 1
    assert iou(faces[0].box, Box(60, 30, 110, 80)) > 0.5
    assert networks.pnet.sheets == []
    assert networks.onet.crops == 1


def test_a_hint_that_holds_no_face_any_more_finds_nothing():
    found, _ = detector()
    assert found.detect([frame((220, 100, 60))], [[Box(20, 20, 60, 60)]]) == [[]]


def test_no_hints_at_all_cost_nothing():
    found, networks = detector()
    assert found.detect([frame((60, 30, 50))] * 2, [[], []]) == [[], []]
    assert (networks.pnet.sheets, networks.rnet.crops, networks.onet.crops) == ([], 0, 0)


def test_all_crops_of_all_frames_go_through_a_network_at_once():
    found, networks = detector()
    calls = []
    networks.onet.register_forward_pre_hook(lambda net, inputs: calls.append(len(inputs[0])))
    found.detect([frame((60, 30, 50)), frame((100, 30, 80))])
    assert calls[0] >= 2
    assert len(calls) <= 2, "those of which the network is unsure go through it once more, together"
    assert [sheets[0] for sheets in networks.pnet.sheets] == [2], "frames of one size share a batch"


def test_an_unsure_candidate_is_judged_again_at_its_corrected_box_in_several_sizes():
    class MovesRight(nn.Module):
        """Is unsure of the first crop and moves it by half its side, and judges the later ones as given."""

        def __init__(self, later: list[float]) -> None:
            super().__init__()
            self.logits = [[0.0], later]

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            logits = x.new_tensor(self.logits.pop(0))
            boxes = x.new_tensor([0.5, 0.0, 0.5, 0.0]).expand(len(x), 4)
            return logits, boxes, x.new_full((len(x), 10), 0.5)

    hint = Box(50, 50, 90, 90)
    once, twice = 70.0, 70.0 + 40 * (1 + O_MARGIN) / 2  # the left edge after each move
    side = 40 * (1 + O_MARGIN) ** 2  # of the second crop
    for later, x1, x2, score in (
        ([3.0, -3.0, -3.0], twice, twice + side * AGAIN[0], 0.9526),
        ([-3.0, -3.0, 3.0], twice, twice + side * AGAIN[2], 0.9526),
        ([-3.0, -3.0, -3.0], once, once + 40 * (1 + O_MARGIN), 0.5),
    ):
        found, networks = detector(onet_threshold=0.4)
        networks.onet = MovesRight(later)
        found._nets = cascade_on(CPU, networks)
        ((face,),) = found.detect([frame()], [[hint]])
        assert (face.box.x1, face.box.x2) == pytest.approx((x1, x2), abs=1e-3)
        assert face.score == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (5, 5), (11, 400), (13, 13)])
def test_tiny_frames_hold_nothing_and_break_nothing(size):
    found, _ = detector()
    assert found.detect([frame(height=size[0], width=size[1])]) == [[]]
    assert found.detect([]) == []


@pytest.mark.parametrize("name", ["pnet_threshold", "rnet_threshold", "onet_threshold"])
def test_every_network_has_its_threshold(name):
    image = frame((60, 30, 50))
    assert detector()[0].detect([image])[0]
    assert detector(**{name: 1.0})[0].detect([image]) == [[]]


def test_smaller_faces_than_wanted_are_not_looked_for():
    small = frame((60, 30, 20))
    assert detector(min_face_px=100)[0].detect([small]) == [[]]
    assert detector(min_face_px=16)[0].detect([small])[0]


def test_faces_come_back_as_plain_values():
    (faces,) = detector()[0].detect([frame((60, 30, 50))])
    assert type(faces[0].score) is float
    assert faces[0].landmarks.dtype == np.float32
