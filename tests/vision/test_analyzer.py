"""The analyzer: faces are looked for in the region alone, and told in pixels of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatecam.errors import DeviceError
from gatecam.geometry import region_box
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import CameraEntry, Config, DetectorConfig
from gatecam.types import Box, Detection, Expected, Prediction
from gatecam.vision import analyzer as analyzer_module
from gatecam.vision.analyzer import NetworkAnalyzer
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.device import Backend

REGION = (0.25, 0.05, 0.9, 0.8)
LANDMARKS = np.arange(10, dtype=np.float32).reshape(5, 2)


class ScriptedDetector:
    """Finds the same face in the corner of all that it is shown, and notes what that was."""

    def __init__(self) -> None:
        self.images: list[np.ndarray] = []
        self.hints: list[list[Box] | None] = []
        self.smallest_px: list[int] = []

    def detect(self, images, hints=None, smallest_px=None):
        self.smallest_px = smallest_px
        self.images.extend(images)
        self.hints.extend(hints)
        return [[Detection(Box(1, 2, 31, 42), 0.9, LANDMARKS)] for _ in images]

    def apply(self, config):
        self.config = config


@pytest.fixture
def detector(monkeypatch) -> ScriptedDetector:
    scripted = ScriptedDetector()
    monkeypatch.setattr(analyzer_module, "build_detector", lambda config, device: scripted)
    return scripted


def analyzer_of(region=None, telemetry=None, **detector) -> NetworkAnalyzer:
    config = Config(device="cpu", detector=DetectorConfig(region=region, **detector))
    return NetworkAnalyzer(config, telemetry)


def noise(width=100, height=80, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_the_detector_sees_the_region_of_each_picture_without_a_copy(detector):
    images = [noise(100, 80), noise(33, 21)]
    analyzer_of((0.25, 0.1, 0.75, 1.0)).analyze(images)
    for seen, part, image in zip(
        detector.images, (np.s_[8:80, 25:75], np.s_[2:21, 8:25]), images, strict=True
    ):
        np.testing.assert_array_equal(seen, image[part])
        assert np.shares_memory(seen, image)


def test_boxes_and_landmarks_are_told_in_pixels_of_the_picture(detector):
    ((face,),) = analyzer_of((0.25, 0.1, 0.75, 1.0)).analyze([noise()])
    assert face.detection.box == Box(26, 10, 56, 50)
    np.testing.assert_array_equal(face.detection.landmarks, LANDMARKS + np.array([25, 8]))
    assert face.detection.landmarks.dtype == np.float32
    assert face.detection.score == 0.9


def test_hints_are_told_in_pixels_of_the_region(detector):
    hints = [[Box(30, 20, 40, 30)], None]
    analyzer_of((0.25, 0.1, 0.75, 1.0)).analyze([noise()] * 2, hints)
    assert detector.hints == [[Box(5, 12, 15, 22)], None]


def test_a_picture_that_is_not_to_be_looked_at_is_not_searched(detector):
    images = [noise(seed=seed) for seed in range(4)]
    found = analyzer_of().analyze(images, [[], None, [], [Box(0, 0, 9, 9)]])
    assert [len(faces) for faces in found] == [0, 1, 0, 1]
    assert len(detector.images) == 2
    assert detector.hints == [None, [Box(0, 0, 9, 9)]]


def test_nothing_to_look_at_takes_no_time_of_the_detector(detector):
    telemetry = Telemetry()
    analyzer = analyzer_of(telemetry=telemetry)
    assert analyzer.analyze([]) == []
    assert analyzer.analyze([noise()] * 2, [[], []]) == [[], []]
    assert detector.images == []
    assert not telemetry.latencies()


def test_a_crop_reaches_beyond_the_region(detector):
    """A face at the region's edge is judged as in the whole picture, margin and all."""
    image, region = noise(), (0.25, 0.1, 0.75, 1.0)
    ((face,),) = analyzer_of(region).analyze([image])
    classifier = FaceClassifier(Config().classifier.weights, Backend("cpu"))
    box = face.detection.box
    boxes = np.array([[box.x1, box.y1, box.x2, box.y2]], np.float32)
    (whole,) = classifier.classify([image], [boxes])
    np.testing.assert_allclose(face.prediction.mask, whole.mask, atol=1e-6)
    (cut,) = classifier.classify([image[8:80, 25:75]], [boxes - np.array([25, 8, 25, 8], np.float32)])
    assert np.abs(cut.mask - whole.mask).max() > 1e-4


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (19, 19)])
def test_a_region_of_the_smallest_picture_is_a_pixel_at_least(detector, size):
    analyzer_of((0.5, 0.5, 0.55, 0.55)).analyze([noise(*size)])
    assert min(detector.images[0].shape) >= 1


def test_the_real_detector_finds_in_the_region_what_it_finds_in_the_cut(astronaut):
    part = region_box(REGION, 512, 512)
    corner = np.array([part.x1, part.y1])
    cut = astronaut[int(part.y1) : int(part.y2), int(part.x1) : int(part.x2)].copy()
    (by_hand,) = analyzer_of(weights="stock", min_face_px=40).analyze([cut])
    (found,) = analyzer_of(REGION, weights="stock", min_face_px=40).analyze([astronaut])
    assert len(found) == len(by_hand) >= 1
    for ours, theirs in zip(found, by_hand, strict=True):
        a, b = ours.detection, theirs.detection
        assert (a.box.x1, a.box.y1) == pytest.approx((b.box.x1 + part.x1, b.box.y1 + part.y1), abs=1e-3)
        assert (a.box.x2, a.box.y2) == pytest.approx((b.box.x2 + part.x1, b.box.y2 + part.y1), abs=1e-3)
        assert a.score == pytest.approx(b.score, abs=1e-4)
        np.testing.assert_allclose(a.landmarks, b.landmarks + corner, atol=1e-3)


def test_a_face_outside_the_region_is_not_found(astronaut):
    (found,) = analyzer_of((0.0, 0.5, 1.0, 1.0), weights="stock", min_face_px=40).analyze([astronaut])
    assert found == []


def test_each_cameras_door_and_region_hold_for_its_own_pictures(detector):
    entries = (
        CameraEntry(name="left", source="0", region=(0.0, 0.0, 0.5, 1.0)),
        CameraEntry(name="right", source="1", min_face_px=50),
    )
    config = Config(device="cpu", cameras=entries)
    analyzer = NetworkAnalyzer(config)
    analyzer.analyze([noise()] * 2, None, ["right", "left"])
    assert [tuple(image.shape) for image in detector.images] == [(80, 100, 3), (80, 50, 3)]
    assert detector.smallest_px == [50, 32]
    analyzer.apply(Config(device="cpu", detector=DetectorConfig(min_face_px=20)))
    analyzer.analyze([noise()], None, ["right"])
    assert detector.smallest_px == [20]


def failing_once(detector, monkeypatch, text: str) -> NetworkAnalyzer:
    """An analyzer whose backend fails at its first look, and whose networks load again in no time."""
    analyzer = analyzer_of()
    monkeypatch.setattr(analyzer_module, "FaceClassifier", lambda *given: analyzer._classifier)
    detect, fails = detector.detect, [True]

    def once_failing(images, hints=None, smallest_px=None):
        if fails.pop() if fails else False:
            raise RuntimeError(f"{text}\nmore")
        return detect(images, hints, smallest_px)

    monkeypatch.setattr(detector, "detect", once_failing)
    return analyzer


@pytest.mark.parametrize(
    ("openvino", "backend", "reason"),
    [
        ((True, "OpenVINO 1"), "openvino", "OpenVINO 1, float32"),
        (
            (False, "none"),
            "cpu",
            "the GPU failed: CUDA error: an illegal memory access was encountered, no OpenVINO (none)",
        ),
    ],
)
def test_a_gpu_that_fails_leaves_the_work_to_the_cpu(
    detector, caplog, monkeypatch, openvino, backend, reason
):
    monkeypatch.setattr("gatecam.vision.device.describe_openvino", lambda: openvino)
    analyzer = failing_once(detector, monkeypatch, "CUDA error: an illegal memory access was encountered")
    monkeypatch.setattr(analyzer, "_backend", Backend("cuda"))
    ((face,),) = analyzer.analyze([noise()])
    assert face.detection.score == 0.9
    assert (analyzer.device, analyzer.reason) == (backend, reason)
    assert "The GPU failed (CUDA error: an illegal memory access was encountered)" in caplog.text


def test_an_openvino_that_fails_leaves_the_work_to_torch(detector, caplog, monkeypatch):
    analyzer = failing_once(detector, monkeypatch, "Exception from src/infer_request.cpp:1")
    monkeypatch.setattr(analyzer, "_backend", Backend("openvino"))
    ((face,),) = analyzer.analyze([noise()])
    assert face.detection.score == 0.9
    assert (analyzer.device, analyzer.reason) == (
        "cpu",
        "OpenVINO failed: Exception from src/infer_request.cpp:1",
    )
    assert (
        "OpenVINO failed (Exception from src/infer_request.cpp:1): the networks run on torch" in caplog.text
    )


def test_an_int8_that_fails_leaves_the_work_to_float32(detector, caplog, monkeypatch):
    monkeypatch.setattr("gatecam.vision.device.describe_openvino", lambda: (True, "OpenVINO 1"))
    analyzer = failing_once(detector, monkeypatch, "no kernel")
    monkeypatch.setattr(analyzer, "_backend", Backend("openvino", precision="int8"))
    ((face,),) = analyzer.analyze([noise()])
    assert face.detection.score == 0.9
    assert (analyzer.device, analyzer.reason) == ("openvino", "float32, because int8 failed: no kernel")
    assert "OpenVINO in int8 failed (no kernel): the networks run on OpenVINO until" in caplog.text


@pytest.mark.parametrize("picked", ["openvino", "cuda"])
def test_networks_that_do_not_load_where_auto_would_have_them_go_to_torch(monkeypatch, caplog, picked):
    class Failing:
        def __init__(self, weights, backend):
            if backend.name != "cpu":
                raise DeviceError(f"{backend.name} cannot run the networks")

    monkeypatch.setattr(analyzer_module, "build_detector", lambda config, backend: ScriptedDetector())
    monkeypatch.setattr(analyzer_module, "FaceClassifier", Failing)
    monkeypatch.setattr(analyzer_module, "pick_precise_backend", lambda *given: Backend(picked))
    monkeypatch.setattr("gatecam.vision.device.describe_openvino", lambda: (True, "OpenVINO 1"))
    analyzer = NetworkAnalyzer(Config(device="auto"))
    assert (analyzer.device, analyzer.reason) == ("cpu", "OpenVINO failed: openvino cannot run the networks")
    assert "the networks run on torch on the CPU" in caplog.text
    with pytest.raises(DeviceError, match=f"{picked} cannot run"):
        NetworkAnalyzer(Config(device=picked))


def test_a_gpu_without_memory_for_the_networks_is_told_in_a_sentence(monkeypatch):
    def full(config, backend):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(analyzer_module, "build_detector", full)
    monkeypatch.setattr(analyzer_module, "pick_precise_backend", lambda *given: Backend("cuda"))
    with pytest.raises(DeviceError, match=r"CUDA cannot be used: the GPU's memory is full, end other"):
        NetworkAnalyzer(Config(device="cuda"))


def test_what_fails_on_the_cpu_is_no_ones_to_mend(detector, monkeypatch):
    def failing(images, hints=None, smallest_px=None):
        raise RuntimeError("broken")

    monkeypatch.setattr(detector, "detect", failing)
    with pytest.raises(RuntimeError, match="broken"):
        analyzer_of().analyze([noise()])


def test_a_known_face_is_not_judged_again(detector):
    known = Prediction(*(np.full(n, 1 / n, np.float32) for n in (3, 2, 3)))
    here, far = Box(2, 3, 32, 43), Box(60, 3, 90, 43)
    analyzer = analyzer_of()

    def judged(*tracks):
        ((face,),) = analyzer.analyze([noise()], None, None, [tracks])
        assert face.judged == (face.prediction is not known)
        return face.judged

    assert judged()
    assert not judged(Expected(here, True, known), Expected(far, True, known))
    assert judged(Expected(here, True)), "a track of which nothing is known"
    assert judged(Expected(far, True, known)), "a face of another"
