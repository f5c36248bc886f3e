"""Which detections find a face, which are false, and which do not count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from gatecam.errors import DataError, OutputError
from gatecam.training.data.rows import Collection, Row
from gatecam.training.scores.matching import (
    LabelledFace,
    Truth,
    match,
    read_known,
    require_known,
    search,
    truths_of,
    write_false,
)
from gatecam.types import Box, Detection

FACE = Box(100, 100, 150, 160)
CPU = torch.device("cpu")


def truth(*faces: Box, ignored: tuple[Box, ...] = ()) -> Truth:
    return Truth("a.png", Path("a.png"), "a", tuple(LabelledFace(box, 0) for box in faces), ignored)


def moved(box: Box, dx: float) -> Box:
    return Box(box.x1 + dx, box.y1, box.x2 + dx, box.y2)


def row(x1: float = 10, side: float = 40, suspect: bool = False, box: bool = True) -> Row:
    face = Box(x1, 10, x1 + side, 10 + side) if box else None
    return Row(Path("door/images/a.png"), face, 1, -1, -1, suspect, "scene")


def collection(*rows: Row) -> Collection:
    return Collection("door", "boxes", Path("door"), list(rows), [])


@pytest.mark.parametrize(("dx", "is_found"), [(0, True), (16, True), (17, False)])
def test_a_face_is_found_from_an_overlap_of_a_half(dx, is_found):
    # 50 px wide and moved by d, the IoU is (50 - d) / (50 + d)
    matched = match(truth(FACE), [Detection(moved(FACE, dx), 0.9)], 32)
    assert (matched.found[0] is not None) == is_found
    assert len(matched.false) == (0 if is_found else 1)


@pytest.mark.parametrize(("at_iou", "is_found"), [(0.3, True), (0.32, False)])
def test_the_overlap_that_finds_a_face_is_chosen(at_iou, is_found):
    found = Detection(moved(FACE, 26), 0.9)  # IoU 24 / 76
    assert (match(truth(FACE), [found], 32, at_iou).found[0] is found) == is_found
    ignored = match(truth(ignored=(FACE,)), [found], 32, at_iou)
    assert (ignored.false == ()) == is_found


def test_parts_outside_of_the_picture_do_not_count():
    frame = np.zeros((200, 125, 3), np.uint8)
    beyond = Detection(Box(100, 100, 250, 160), 0.9)
    assert match(truth(FACE), [beyond], 20, frame=frame).found == (beyond,)
    assert match(truth(FACE), [beyond], 20).found == (None,)
    assert match(truth(), [beyond], 26, frame=frame).false == ()


def test_a_face_outside_of_the_picture_is_ignored():
    far = moved(FACE, 500)
    matched = match(truth(FACE, far), [], 32, frame=np.zeros((200, 200, 3), np.uint8))
    assert matched.found == (None,)
    assert matched.truth == truth(FACE, ignored=(far,))


def test_a_face_is_found_once_by_the_best_score():
    better, worse = Detection(moved(FACE, 5), 0.9), Detection(FACE, 0.8)
    matched = match(truth(FACE), [worse, better], 32)
    assert matched.found == (better,)
    assert matched.false == (worse,)


def test_a_detection_takes_the_face_it_overlaps_most_of_those_still_free():
    left, right = FACE, moved(FACE, 14)
    on_left, between = Detection(left, 0.9), Detection(moved(FACE, 6), 0.8)
    matched = match(truth(left, right), [on_left, between], 32)
    assert matched.found == (on_left, between)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param(moved(FACE, 10), id="on an ignored face"),
        pytest.param(Box(110, 100, 145, 135), id="a part of it"),
        pytest.param(Box(300, 300, 331, 340), id="too small"),
    ],
)
def test_a_detection_of_what_is_ignored_is_no_error(box):
    assert match(truth(ignored=(FACE,)), [Detection(box, 0.9)], 32).false == ()


def test_a_detection_beside_what_is_ignored_is_an_error():
    beside = Detection(moved(FACE, 40), 0.9)
    assert match(truth(ignored=(FACE,)), [beside], 32).false == (beside,)


def test_a_face_that_counts_goes_before_one_that_is_ignored():
    matched = match(truth(FACE, ignored=(moved(FACE, 5),)), [Detection(moved(FACE, 4), 0.9)], 32)
    assert matched.found[0] is not None


def test_doubtful_small_and_known_faces_are_ignored():
    rows = [row(), row(x1=100, suspect=True), row(x1=200, side=31)]
    known = {"images/a.png": [Box(300, 0, 340, 40)], "a.png": [Box(400, 0, 440, 40)], "b.png": [FACE]}
    (picture,) = truths_of(collection(*rows), rows, known, 32)
    assert picture.image == "images/a.png"
    assert (picture.collection, picture.faces) == ("door", (LabelledFace(Box(10, 10, 50, 50), 1),))
    assert sorted(box.x1 for box in picture.ignored) == [100, 200, 300, 400]


def test_faces_without_boxes_cannot_be_scored():
    with pytest.raises(DataError, match="have no boxes to score against"):
        truths_of(collection(row(box=False)), [row(box=False)], {}, 32)


def test_false_detections_are_written_as_the_list_of_known_faces_is_read(tmp_path):
    false = Detection(Box(1.04, 2, 30.26, 40), 0.98765)
    wrong = match(truth(), [false], 12)
    assert write_false(tmp_path / "false.csv", [wrong, match(truth(), [], 12)]) == 1
    assert "a.png,1.0,2.0,30.3,40.0,0.9877" in (tmp_path / "false.csv").read_text()
    assert read_known(tmp_path / "false.csv") == {"a.png": [Box(1.0, 2.0, 30.3, 40.0)]}
    with pytest.raises(OutputError, match="cannot be written"):
        write_false(tmp_path / "missing" / "false.csv", [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,box\na.png,1", "expected the columns image,x1,y1,x2,y2"),
        ("image,x1,y1,x2,y2\na.png,1,1,5,5\na.png,5,1,5,5", r"known\.csv:3: expected a box with x1 < x2"),
        ("image,x1,y1,x2,y2\na.png,1,one,5,5", r"known\.csv:2: expected a box"),
        ("image,x1,y1,x2,y2\na.png,nan,1,5,5", r"known\.csv:2: expected a box"),
    ],
)
def test_a_list_of_known_faces_that_is_none_is_refused(tmp_path, text, said):
    (tmp_path / "known.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_known(tmp_path / "known.csv")


def test_a_list_of_other_pictures_is_refused():
    require_known({"a.png": [FACE], "other.png": [FACE]}, Path("known.csv"), [collection(row())])
    with pytest.raises(DataError, match=r"none of its pictures is in the data, for example other\.png"):
        require_known({"other.png": [FACE]}, Path("known.csv"), [collection(row())])


class Brightness:
    """Finds in each picture one face, whose score is the first pixel."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def detect(self, images, hints=None):
        return [[Detection(Box(-5, 5, 15, 90), self.factor * float(image[0, 0, 0]))] for image in images]


def test_every_picture_that_can_be_read_is_searched_by_every_detector(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(11)]
    for value, path in enumerate(paths):
        PIL.Image.fromarray(np.full((20, 20 + value, 3), value, np.uint8)).save(path)
    paths[4].write_bytes(b"no picture")
    problems, ticks = [], []
    found = search([Brightness(1), Brightness(2)], paths, problems, lambda *done: ticks.append(done))
    scores = {index: [image[0, 0, 0], *(faces[0].score for faces in of)] for index, image, of in found}
    assert scores == {value: [value, value, 2 * value] for value in range(11) if value != 4}
    assert [problem.where for problem in problems] == [str(paths[4])]
    assert ticks[-1] == (11, 11)
