"""facenet-pytorch's MTCNN, by the library and by OpenVINO: its faces as our values, and no failure."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import facenet_pytorch
import numpy as np
import pytest
import torch

from gatecam.errors import DeviceError, ModelError
from gatecam.geometry import iou
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Floats, Image
from gatecam.vision.detector.build import Detector
from gatecam.vision.detector.sizes import CompiledNetworks
from gatecam.vision.detector.stock import StockDetector
from gatecam.vision.detector.stock_compiled import CompiledStockDetector, stock_networks
from gatecam.vision.detector.stock_compiled import _made_graphs as made_graphs
from gatecam.vision.device import Backend

CPU = torch.device("cpu")
MakeDetector = Callable[[DetectorConfig], Detector]


@pytest.fixture(scope="module", params=["library", "openvino"])
def make_detector(request) -> MakeDetector:
    if request.param == "library":
        return lambda config: StockDetector(config, CPU)
    networks = stock_networks(Backend("openvino", threads=1))
    return lambda config: CompiledStockDetector(config, networks)


@pytest.fixture(scope="module")
def detector(make_detector) -> Detector:
    return make_detector(DetectorConfig())


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


def test_it_finds_what_the_library_finds_with_the_same_settings(make_detector, astronaut):
    config = DetectorConfig(min_face_px=30, pyramid_factor=0.6, pnet_threshold=0.5, onet_threshold=0.8)
    library = facenet_pytorch.MTCNN(keep_all=True, min_face_size=30, thresholds=[0.5, 0.7, 0.8], factor=0.6)
    assert config.rnet_threshold == 0.7
    crowd = np.tile(resized(astronaut[:256, 96:352], 128, 128), (2, 3, 1))
    (faces,) = make_detector(config).detect([crowd])
    boxes, scores = library.detect(crowd)
    assert len(faces) == len(boxes) >= 6
    assert [face.score for face in faces] == pytest.approx(sorted(scores, reverse=True), abs=1e-5)
    assert sorted(face.box.x1 for face in faces) == pytest.approx(sorted(boxes[:, 0]), abs=1e-3)


def test_openvino_finds_each_doubtful_face_and_landmark_of_the_library(astronaut):
    low = {"pnet_threshold": 0.3, "rnet_threshold": 0.3, "onet_threshold": 0.2, "min_face_px": 16}
    config = DetectorConfig(**low)
    crowd = np.concatenate([astronaut, np.tile(resized(astronaut[:256, 96:352], 64, 64), (8, 4, 1))], 1)
    (there,) = StockDetector(config, CPU).detect([crowd])
    (found,) = CompiledStockDetector(config, stock_networks(Backend("openvino"))).detect([crowd])
    assert len(there) > 32
    for face in there:
        same = max(found, key=lambda one: iou(one.box, face.box))
        assert iou(same.box, face.box) > 0.999
        assert same.score == pytest.approx(face.score, abs=1e-4)
        np.testing.assert_allclose(same.landmarks, face.landmarks, atol=0.01)
    assert len(found) <= len(there) + 2


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (200, 5), (11, 11), (39, 39), (40, 40)])
def test_a_frame_smaller_than_the_pyramid_has_no_faces(detector, size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert detector.detect([noise]) == [[]]


@pytest.mark.parametrize("min_face_px", [47, 94, 147])
def test_a_frame_of_just_the_smallest_face_is_taken(make_detector, min_face_px):
    # 47 * (12 / 47) is less than 12 in floating point: the library then has no pyramid level and fails
    detector = make_detector(DetectorConfig(min_face_px=min_face_px))
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


def test_other_settings_hold_from_the_next_frame_on(make_detector, astronaut):
    detector = make_detector(DetectorConfig())
    detector.apply(DetectorConfig(onet_threshold=1))
    assert detector.detect([astronaut]) == [[]]
    detector.apply(DetectorConfig(min_face_px=300))
    assert detector.detect([astronaut]) == [[]]


def test_candidates_outside_of_the_frame_do_not_end_the_librarys_search(astronaut, monkeypatch):
    """The library raises where a candidate covers no pixel; a border around the frame then gives it some."""
    detector = StockDetector(DetectorConfig(), CPU)
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


def test_candidates_outside_of_the_frame_are_dropped(astronaut):
    """P-Net proposes every cell, far to the left of it. O-Net takes all that R-Net is given."""
    config = DetectorConfig(pnet_threshold=0.5)
    seen: list[int] = []

    def pnet(pixels: Floats) -> tuple[Floats, Floats]:
        rows, columns = pixels.shape[1] // 2 - 5, pixels.shape[2] // 2 - 5
        offsets = np.zeros((1, 4, rows, columns), np.float32)
        offsets[:, [0, 2], :, : columns // 2] = -100
        return offsets, np.ones((1, 2, rows, columns), np.float32)

    def net(pixels: Floats) -> tuple[Floats, ...]:
        seen.append(len(pixels))
        count = len(pixels)
        return np.zeros((count, 4), np.float32), np.zeros((count, 10), np.float32), np.ones((count, 2))

    detector = CompiledStockDetector(config, CompiledNetworks(pnet, net, net))
    (faces,) = detector.detect([astronaut[:96, :96]])
    assert faces
    assert min(face.box.x2 for face in faces) > 0
    assert min(seen) > 0


def test_a_graph_that_cannot_be_made_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    said = r"^OpenVINO cannot load the stock detector \({}\): set `device: cpu`\.$"
    with pytest.raises(DeviceError, match=said.format(r".*No such file.*")):
        made_graphs()
    program = tmp_path / "failing"
    program.write_text("#!/bin/sh\necho no >&2\necho ModelError: broken >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(DeviceError, match=said.format("ModelError: broken")):
        made_graphs()


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
