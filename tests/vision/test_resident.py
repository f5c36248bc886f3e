"""The analysis of a GPU, run on the CPU: one upload, and faces, verdicts and events of eager torch."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from gatecam.app import open_replay
from gatecam.capture.video import VideoFile
from gatecam.config import Config, DetectorConfig
from gatecam.store.video import VideoWriter
from gatecam.telemetry import Telemetry
from gatecam.types import Box, Expected, Face, Image
from gatecam.vision import resident
from gatecam.vision.analyzer import TorchAnalyzer
from gatecam.vision.detector.build import load_detector
from gatecam.vision.detector.cascade_fixed import FixedCascade
from gatecam.vision.resident import Asked, ResidentAnalysis
from gatecam.vision.upload import upload
from gatecam.vision.weights import find_weights
from tests.clips import write_demo

CPU = torch.device("cpu")
GPU_TOLERANCES = {"box": 1.5, "score": 0.03, "classes": 0.05}  # half precision
TOLERANCES = {"box": 0.2, "score": 3e-3, "classes": 0.01}  # OpenCV cuts by fixed-point numbers


def resident_analyzer(config: Config) -> TorchAnalyzer:
    """What is built for a GPU, on the CPU and in float32."""
    analyzer = TorchAnalyzer(config.model_copy(update={"device": "cpu"}))
    networks, _ = load_detector(find_weights(config.detector.weights))
    detector = FixedCascade(config.detector, networks, CPU)
    analyzer._detector = detector
    analyzer._resident = ResidentAnalysis(detector, analyzer._classifier, CPU)
    return analyzer


@pytest.fixture(scope="module")
def pair() -> tuple[TorchAnalyzer, TorchAnalyzer]:
    config = Config(device="cpu", detector=DetectorConfig(detect_every=1))
    return TorchAnalyzer(config), resident_analyzer(config)


def assert_same(
    found: list[list[Face]], expected: list[list[Face]], box: float, score: float, classes: float
) -> None:
    assert [len(faces) for faces in found] == [len(faces) for faces in expected]
    for faces, others in zip(found, expected, strict=True):
        for one, other in zip(faces, others, strict=True):
            a, b = one.detection, other.detection
            corners = [[getattr(d.box, name) for name in ("x1", "y1", "x2", "y2")] for d in (a, b)]
            np.testing.assert_allclose(*corners, atol=box)
            np.testing.assert_allclose(a.landmarks, b.landmarks, atol=box)
            assert a.score == pytest.approx(b.score, abs=score)
            assert one.judged is other.judged
            for head in ("mask", "gender", "age"):
                np.testing.assert_allclose(
                    getattr(one.prediction, head), getattr(other.prediction, head), atol=classes
                )


def pictures(astronaut: Image) -> list[Image]:
    """Some with a face, one with three, one small, one empty; of unlike sizes and orders in memory."""
    three = np.concatenate([astronaut, astronaut[:, ::-1], (astronaut * 0.6).astype(np.uint8)], axis=1)
    small = astronaut[:300, 100:420]
    return [astronaut, three, small[:, ::-1], np.full((200, 320, 3), 90, np.uint8), np.asfortranarray(small)]


def test_frames_of_any_size_and_order_are_uploaded_side_by_side(astronaut):
    given = [*pictures(astronaut), np.zeros((1, 1, 3), np.uint8)]
    uploaded = upload(given, CPU)
    assert uploaded.pixels.shape == (sum(one.shape[0] * one.shape[1] for one in given), 3)
    for image, frame in zip(given, uploaded.frames(), strict=True):
        np.testing.assert_array_equal(frame.numpy(), image)
        assert frame.untyped_storage().data_ptr() == uploaded.pixels.untyped_storage().data_ptr()


def test_faces_and_verdicts_are_those_of_torch(pair, astronaut):
    eager, fixed = pair
    given = pictures(astronaut)
    expected = eager.analyze(given)
    assert [len(faces) for faces in expected] == [1, 3, 1, 0, 1]
    assert_same(fixed.analyze(given), expected, **TOLERANCES)
    assert_same(fixed.analyze(given[3:4]), [[]], **TOLERANCES)


def test_hints_and_regions_are_those_of_torch(astronaut):
    config = Config(device="cpu", detector=DetectorConfig(region=(0.2, 0.05, 0.9, 0.8)))
    eager, fixed = TorchAnalyzer(config), resident_analyzer(config)
    hints = [[Box(180, 61, 268, 172)], None, []]
    expected = eager.analyze([astronaut] * 3, hints)
    assert [len(faces) for faces in expected] == [1, 1, 0]
    assert_same(fixed.analyze([astronaut] * 3, hints), expected, **TOLERANCES)


def test_a_crowd_is_judged_in_further_tables(pair, astronaut, monkeypatch):
    eager, fixed = pair
    given = pictures(astronaut)[:3]
    monkeypatch.setattr(resident, "JUDGED", 1)
    tables = []
    judge = ResidentAnalysis.judge
    monkeypatch.setattr(ResidentAnalysis, "judge", lambda *a: tables.append(judge(*a)) or tables[-1])
    assert_same(fixed.analyze(given), eager.analyze(given), **TOLERANCES)
    assert [len(table) for table in tables] == [3, 3]


def test_what_is_known_of_a_face_is_told_again(pair, astronaut):
    known = pair[0].analyze([astronaut])[0][0].prediction
    expected = [[Expected(Box(180, 61, 268, 172), 0.0, known)]]
    for analyzer in pair:
        ((face,),) = analyzer.analyze([astronaut], None, None, expected)
        assert not face.judged
        assert face.prediction is known


def test_too_small_a_picture_holds_nothing(pair):
    assert pair[1].analyze([np.zeros((1, 1, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)]) == [[], []]


def test_a_batch_is_one_stage(astronaut):
    telemetry = Telemetry()
    analyzer = resident_analyzer(Config())
    analyzer._telemetry = telemetry
    analyzer.analyze([astronaut] * 2)
    assert [(one.stage, one.count) for one in telemetry.latencies()] == [("analyze", 2)]


def test_an_archive_is_searched_whole_in_batches_with_the_same_events(tmp_path, monkeypatch):
    whole, part = tmp_path / "demo.mp4", tmp_path / "clip.mp4"
    write_demo(whole)
    with VideoFile(whole) as frames, VideoWriter(part, 30.0) as writer:
        for frame in islice(frames, 44):
            writer.write(frame.image, frame.time_s)
    fixed = resident_analyzer(Config())
    asked = []
    analyze = fixed.analyze
    monkeypatch.setattr(fixed, "analyze", lambda *given: asked.append(given) or analyze(*given))
    eager = events_of(part, TorchAnalyzer(Config(device="cpu")))
    monkeypatch.setattr(TorchAnalyzer, "device", "cuda")
    assert events_of(part, fixed) == eager
    assert eager
    assert [len(given[0]) for given in asked] == [8, 8, 8, 8, 8, 4]
    assert all(len(given) == 1 for given in asked), "no hints"


def events_of(path: Path, analyzer: TorchAnalyzer) -> list[object]:
    with open_replay(Config(device="cpu"), path, analyzer, Telemetry()) as replay:
        return [
            (event.kind, event.track_id, event.verdict, event.frame)
            for step in replay.steps
            for event in step.events
        ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_finds_and_judges_alike_and_is_waited_for_once(pair, astronaut, caplog):
    gpu = TorchAnalyzer(Config(device="cuda"))
    given = pictures(astronaut)
    assert_same(gpu.analyze(given), pair[0].analyze(given), **GPU_TOLERANCES)
    assert gpu.device == "cuda"
    assert not caplog.records
    asked = Asked([Box(0, 0, i.shape[1], i.shape[0]) for i in given], [None] * len(given), [32] * len(given))
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.inference_mode():
            uploaded = upload(given, torch.device("cuda"))
            ranked = gpu._resident.rank(uploaded, asked)
            gpu._resident.judge(uploaded, ranked, 0)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_demo_gives_the_same_events_on_a_gpu(tmp_path):
    write_demo(tmp_path / "demo.mp4")
    told = [event[:3] for event in events_of(tmp_path / "demo.mp4", TorchAnalyzer(Config(device="cuda")))]
    cpu = [event[:3] for event in events_of(tmp_path / "demo.mp4", TorchAnalyzer(Config(device="cpu")))]
    assert told == cpu
