"""The adapter of facenet-pytorch's MTCNN: its faces as our values, and no failure where it fails."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import facenet_pytorch
import numpy as np
import pytest
import torch

from gatecam.errors import ModelError
from gatecam.geometry import iou
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Image
from gatecam.vision.detector.stock import StockDetector

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector() -> StockDetector:
    return StockDetector(DetectorConfig(), CPU)


def resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def test_a_face_is_where_it_is_and_its_landmarks_are_in_order(detector, astronaut):
    ((face,),) = detector.detect([astronaut])
    assert iou(face.box, Box(180, 61, 268, 172)) > 0.9
    assert type(face.score) is float
    assert face.score > 0.99
    eye_l, eye_r, nose, mouth_l, mouth_r = face.landmarks
    assert eye_l[0] < nose[0] < eye_r[0]
    assert mouth_l[0] < mouth_r[0]
    assert max(eye_l[1], eye_r[1]) < nose[1] < min(mouth_l[1], mouth_r[1])


def test_it_finds_what_the_library_finds_with_the_same_settings(astronaut):
    config = DetectorConfig(min_face_px=30, pyramid_factor=0.6, pnet_threshold=0.5, onet_threshold=0.8)
    library = facenet_pytorch.MTCNN(keep_all=True, min_face_size=30, thresholds=[0.5, 0.7, 0.8], factor=0.6)
    assert config.rnet_threshold == 0.7
    crowd = np.tile(resized(astronaut[:256, 96:352], 128, 128), (2, 3, 1))
    (faces,) = StockDetector(config, CPU).detect([crowd])
    boxes, scores = library.detect(crowd)
    assert len(faces) == len(boxes) >= 6
    assert [face.score for face in faces] == sorted(scores, reverse=True)
    assert {face.box.x1 for face in faces} == {float(box[0]) for box in boxes}


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (200, 5), (11, 11), (39, 39), (40, 40)])
def test_a_frame_smaller_than_the_pyramid_has_no_faces(detector, size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert detector.detect([noise]) == [[]]


@pytest.mark.parametrize("min_face_px", [47, 94, 147])
def test_a_frame_of_just_the_smallest_face_is_taken(min_face_px):
    # 47 * (12 / 47) is less than 12 in floating point: the library then has no pyramid level and fails
    detector = StockDetector(DetectorConfig(min_face_px=min_face_px), CPU)
    assert detector.detect([np.zeros((min_face_px, min_face_px, 3), np.uint8)]) == [[]]


def test_frames_of_unlike_sizes_keep_their_places(detector, astronaut):
    black = np.zeros((60, 90, 3), np.uint8)
    assert [len(faces) for faces in detector.detect([black, astronaut, black, astronaut[:, ::-1]])] == [
        0,
        1,
        0,
        1,
    ]
    assert detector.detect([]) == []


def test_an_image_with_empty_hints_is_not_searched(detector, astronaut):
    assert [len(faces) for faces in detector.detect([astronaut] * 2, [[], [Box(180, 61, 268, 172)]])] == [
        0,
        1,
    ]


def test_other_settings_hold_from_the_next_frame_on(astronaut):
    detector = StockDetector(DetectorConfig(), CPU)
    detector.apply(DetectorConfig(onet_threshold=1))
    assert detector.detect([astronaut]) == [[]]
    detector.apply(DetectorConfig(min_face_px=300))
    assert detector.detect([astronaut]) == [[]]


def test_candidates_outside_of_the_frame_do_not_end_the_search(detector, astronaut, monkeypatch):
    """The library raises where a candidate covers no pixel; a border around the frame then gives it some."""
    found = detector._library.detect
    calls = []

    def failing(image: Image, landmarks: bool) -> object:
        calls.append(image.shape)
        if len(calls) == 1:
            raise IndexError("The shape of the mask [3] does not match")
        return found(image, landmarks=landmarks)

    monkeypatch.setattr(detector._library, "detect", failing)
    ((face,),) = detector.detect([astronaut])
    assert calls[1] == (768, 768, 3)
    assert iou(face.box, Box(180, 61, 268, 172)) > 0.85
    assert face.landmarks[0][1] == pytest.approx(104, abs=15)


@pytest.mark.parametrize("content", [None, b"no weights", "rnet"], ids=["missing", "text", "other"])
def test_damaged_library_weights_are_one_sentence(tmp_path, monkeypatch, content):
    module = sys.modules["facenet_pytorch.models.mtcnn"]
    (tmp_path / "models").mkdir()
    folder = tmp_path / "data"
    folder.mkdir()
    bundled = Path(facenet_pytorch.__file__).parent / "data"
    for name in ("rnet.pt", "onet.pt"):
        shutil.copy(bundled / name, folder)
    if content == "rnet":
        shutil.copy(bundled / "rnet.pt", folder / "pnet.pt")
    elif content is not None:
        (folder / "pnet.pt").write_bytes(content)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "models" / "mtcnn.py"))
    with pytest.raises(
        ModelError, match=r"^the weights of facenet-pytorch cannot be loaded .*pip install[^\n]*\.$"
    ):
        StockDetector(DetectorConfig(), CPU)
