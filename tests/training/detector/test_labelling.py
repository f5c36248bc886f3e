"""Labelling: what labels and teachers say of a face becomes one decision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatecam.errors import ModelError
from gatecam.training.data.rows import Row
from gatecam.training.detector.labelling import Decision, agreement, decide_portrait, decide_scene
from gatecam.training.detector.teachers import CenterFace, YuNet, load_teacher
from gatecam.types import Box, Detection

HERE, NEAR, ELSEWHERE = Box(100, 100, 160, 180), Box(104, 96, 166, 176), Box(300, 90, 340, 140)
FIVE = np.arange(10, dtype=np.float32).reshape(5, 2)


def seen(box: Box, score: float) -> Detection:
    return Detection(box, score, FIVE)


def row_of(box: Box | None, mask: int = 2, suspect: bool = False) -> Row:
    return Row(Path("a.png"), box, mask, -1, -1, suspect, "a")


def test_teachers_agree_on_a_face_with_the_first_one_s_box_and_their_mean_score():
    faces = agreement([[seen(HERE, 0.8)], [seen(NEAR, 0.6), seen(ELSEWHERE, 0.4)]])
    assert [(face.box, round(face.score, 3)) for face in faces] == [(HERE, 0.7), (ELSEWHERE, 0.2)]


def test_faces_of_one_teacher_never_join():
    assert len(agreement([[seen(HERE, 0.8), seen(NEAR, 0.7)]])) == 2


@pytest.mark.parametrize(
    ("rows", "faces", "expected"),
    [
        ([row_of(HERE)], [seen(NEAR, 0.15)], [(Decision.AGREED, NEAR)]),
        ([row_of(HERE)], [], [(Decision.LABELLED, HERE)]),
        ([row_of(HERE, suspect=True)], [], [(Decision.DOUBTFUL, HERE)]),
        ([row_of(HERE, suspect=True)], [seen(NEAR, 0.9)], [(Decision.AGREED, NEAR)]),
        ([], [seen(HERE, 0.4)], [(Decision.ADDED, HERE)]),
        ([], [seen(HERE, 0.3)], [(Decision.DOUBTFUL, HERE)]),
        ([], [seen(HERE, 0.1)], []),
        (
            [row_of(HERE)],
            [seen(HERE, 0.9), seen(Box(110, 110, 150, 150), 0.5), seen(ELSEWHERE, 0.5)],
            [(Decision.AGREED, HERE), (Decision.ADDED, ELSEWHERE)],
        ),
    ],
    ids=["same", "missed", "doubted", "confirmed", "sure", "unsure", "weak", "a part of a face"],
)
def test_a_scene_s_faces_are_decided(rows, faces, expected):
    assert [(face.decision, face.box) for face in decide_scene(rows, faces)] == expected


def test_the_face_of_a_portrait_is_the_largest_sure_one():
    found = [seen(Box(5, 5, 15, 15), 0.9), seen(HERE, 0.7)]
    placed, other = decide_portrait(row_of(None), found)
    assert (placed.decision, placed.box, other.decision) == (Decision.PLACED, HERE, Decision.ADDED)
    assert decide_portrait(row_of(None), [seen(HERE, 0.05)]) == []


# Teachers


class FakeNetwork:
    """Answers as CenterFace does: one face, 40 px wide and 60 px high, in the middle of cell (5, 10)."""

    def setInput(self, blob):  # noqa: N802
        assert blob.shape == (1, 3, 64, 96)

    def forward(self, names):
        heat, sides, offsets = np.zeros((1, 16, 24)), np.zeros((2, 16, 24)), np.zeros((2, 16, 24))
        points = np.full((10, 16, 24), 0.5)
        heat[0, 5, 10] = 0.9
        sides[:, 5, 10] = np.log([60 / 4, 40 / 4])
        return [out[None].astype(np.float32) for out in (heat, sides, offsets, points)]


def test_centerface_s_cells_become_boxes_and_landmarks():
    ((face,),) = CenterFace(FakeNetwork()).detect([np.zeros((50, 90, 3), np.uint8)])
    box = face.box
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((22, -8, 62, 52), abs=1e-3)
    assert face.landmarks == pytest.approx(np.tile([42, 22], (5, 1)), abs=1e-3)


def test_a_file_that_is_no_teacher_is_one_sentence(tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"is not a network of CenterFace or YuNet\. Choose"):
        load_teacher(tmp_path / "other.onnx")


@pytest.mark.data
def test_public_teachers_find_the_portrait(shared_data, astronaut):
    for name, kind in (("centerface", CenterFace), ("yunet_2026may", YuNet)):
        teacher = load_teacher(shared_data / "teachers" / f"{name}.onnx")
        assert isinstance(teacher, kind)
        face = teacher.detect([astronaut])[0][0]
        assert face.score > 0.6
        assert abs(face.box.x1 - 180) < 20
        left, right, nose, *_ = face.landmarks.tolist()
        assert left[0] < nose[0] < right[0]
        assert left[1] < nose[1]
