"""The classifier and the analyzer: every face judged, in order; fake and real analyzer keep one contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gatecam.errors import ModelError
from gatecam.geometry import iou
from gatecam.labels import HEADS
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import ClassifierConfig, Config
from gatecam.types import Box, Detection, Face, Prediction
from gatecam.vision.analyzer import NetworkAnalyzer
from gatecam.vision.classifier import CHUNK, FaceClassifier, load_classifier
from gatecam.vision.crops import CropSpec, crop_faces
from gatecam.vision.device import Backend
from gatecam.vision.fake import FakeAnalyzer
from gatecam.vision.network import served_weights
from gatecam.vision.weights import ModelSpec, save_weights

CPU = Backend("cpu")
SPEC = ModelSpec(
    name="lively",
    architecture="mobilefacenet/three",
    crop=CropSpec(size=48, margin=0.15, mean=127.5, std=128.0),
    temperature={"mask": 1.0, "gender": 2.0, "age": 3.0},
)


@pytest.fixture
def save_as(tmp_path, lively_network):
    """Saves the lively network under some spec and returns its path as a setting."""

    def save(spec: ModelSpec = SPEC, name: str = "lively") -> str:
        path = tmp_path / f"{name}.safetensors"
        save_weights(path, served_weights(lively_network), spec)
        return str(path)

    return save


@pytest.fixture
def classifier(save_as) -> FaceClassifier:
    return FaceClassifier(save_as(), CPU)


def rows_of(predictions: list[Prediction]) -> np.ndarray:
    return np.array([np.concatenate([p.mask, p.gender, p.age]) for p in predictions])


def random_faces(astronaut: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    corner = rng.uniform(-30, 450, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 120, (count, 2))], 1)
    return astronaut, boxes.astype(np.float32)


def test_probabilities_of_each_head_sum_to_one(classifier, astronaut):
    image, boxes = random_faces(astronaut, 5)
    predictions = classifier.classify([image], [boxes])
    assert len(predictions) == 5
    for prediction in predictions:
        for probabilities in (prediction.mask, prediction.gender, prediction.age):
            assert probabilities.sum() == pytest.approx(1, abs=1e-5)
            assert (probabilities >= 0).all()
            assert probabilities.dtype == np.float32


def test_predictions_keep_the_order_of_images_and_boxes(classifier, astronaut):
    image, boxes = random_faces(astronaut, 6)
    images = [image, image[:, ::-1], image[:200], image]
    split = [boxes[:2], boxes[2:3], boxes[:0], boxes[3:]]
    together = rows_of(classifier.classify(images, split))
    alone = [
        *classifier.classify([image], [boxes[:1]]),
        *classifier.classify([image], [boxes[1:2]]),
        *classifier.classify([image[:, ::-1]], [boxes[2:3]]),
        *(classifier.classify([image], [box[None]])[0] for box in boxes[3:]),
    ]
    assert together == pytest.approx(rows_of(alone), abs=1e-4)
    distances = np.abs(together[:, None] - together[None]).max(2) + np.eye(6)
    assert distances.min() > 0.01, "faces too alike to tell their order"


def test_no_faces_give_no_predictions(classifier, astronaut):
    assert classifier.classify([], []) == []
    assert classifier.classify([astronaut], [np.zeros((0, 4), np.float32)]) == []
    assert classifier.classify_crops([]) == []


def test_a_crowd_of_more_than_a_chunk_is_judged_like_each_alone(classifier, astronaut):
    count = 3 * CHUNK + 8
    image, boxes = random_faces(astronaut, count)
    together = rows_of(classifier.classify([image], [boxes]))
    assert together.shape == (count, 8)
    for row in (0, CHUNK - 1, CHUNK, 2 * CHUNK, count - 1):
        alone = rows_of(classifier.classify([image], [boxes[row : row + 1]]))
        assert together[row] == pytest.approx(alone[0], abs=1e-4)


def test_a_crop_is_judged_whole_without_a_margin(save_as, astronaut):
    with_margin = FaceClassifier(save_as(), CPU)
    without = FaceClassifier(save_as(replace(SPEC, crop=SPEC.crop.without_margin()), "tight"), CPU)
    face = astronaut[60:172, 170:282]
    full = np.array([[0.0, 0.0, 112.0, 112.0]], np.float32)
    as_crop = rows_of(with_margin.classify_crops([face]))
    assert as_crop == pytest.approx(rows_of(without.classify([face], [full])), abs=1e-5)
    assert np.abs(as_crop - rows_of(with_margin.classify([face], [full]))).max() > 1e-3


def test_crops_of_unlike_sizes_are_judged_in_order(classifier, astronaut):
    parts = [np.s_[60:172, 170:282], np.s_[:1, :1], np.s_[100:140, 200:220], np.s_[:]]
    crops = [astronaut[part] for part in parts]
    together = rows_of(classifier.classify_crops(crops))
    alone = rows_of([classifier.classify_crops([crop])[0] for crop in crops])
    assert together == pytest.approx(alone, abs=1e-4)


def test_the_temperature_flattens_probabilities(save_as, astronaut):
    image, boxes = random_faces(astronaut, 4)
    cold = FaceClassifier(save_as(), CPU).classify([image], [boxes])
    temperature = {**SPEC.temperature, "mask": 2 * SPEC.temperature["mask"]}
    warm = FaceClassifier(save_as(replace(SPEC, temperature=temperature), "warm"), CPU).classify(
        [image], [boxes]
    )
    for before, after in zip(cold, warm, strict=True):
        root = np.sqrt(before.mask)
        assert after.mask == pytest.approx(root / root.sum(), abs=1e-4)
        assert after.gender == pytest.approx(before.gender, abs=1e-5)


def test_it_computes_what_the_network_before_folding_computes(save_as):
    weights = save_as()
    network, spec = load_classifier(weights)
    crops = np.random.default_rng(0).normal(size=(2, 48, 48, 3)).astype(np.float32)
    assert not network.training
    assert spec.crop == SPEC.crop
    with torch.inference_mode():
        plain = network(torch.from_numpy(crops).permute(0, 3, 1, 2))
    folded = FaceClassifier(weights, CPU)._network(crops)
    for name, of_head in zip(HEADS, folded, strict=True):
        assert np.allclose(plain[name], of_head, atol=1e-3 * float(plain[name].abs().max()))


@pytest.mark.parametrize("architecture", ["mobilefacenet/joint18", "resnet18/joint18"])
def test_any_architecture_is_served_alike(tmp_path, make_lively, astronaut, architecture):
    network = make_lively(architecture)
    path = tmp_path / "other.safetensors"
    network.load_state_dict(served_weights(network))  # rounded, as they are saved
    save_weights(path, served_weights(network), replace(SPEC, architecture=architecture))
    image, boxes = random_faces(astronaut, 3)
    for head in ("mask", "gender", "age"):
        found = [getattr(p, head) for p in FaceClassifier(str(path), CPU).classify([image], [boxes])]
        with torch.no_grad():
            crops = torch.from_numpy(crop_faces([image], [boxes], SPEC.crop)).permute(0, 3, 1, 2)
            logits = network(crops)[head] / SPEC.temperature[head]
        assert np.array(found) == pytest.approx(logits.softmax(1).numpy(), abs=1e-4)


@pytest.mark.parametrize("architecture", ["mobilefacenet/three", "resnet18/three", "gap-3heads"])
def test_weights_of_another_network_are_one_sentence(tmp_path, architecture):
    path = tmp_path / "other.safetensors"
    save_weights(path, {"conv1.conv.weight": torch.zeros(2)}, replace(SPEC, architecture=architecture))
    said = rf"other\.safetensors: not the weights of the network .* \({architecture}\); [^\n]*\.$"
    with pytest.raises(ModelError, match=said):
        FaceClassifier(str(path), CPU)


# The contract of FaceAnalyzer: one face in the first picture of `pictures`, none in the second.


@pytest.fixture
def pictures(astronaut) -> list[np.ndarray]:
    return [astronaut, np.zeros((90, 160, 3), np.uint8)]


@pytest.fixture
def real(save_as) -> NetworkAnalyzer:
    return NetworkAnalyzer(Config(device="cpu", classifier=ClassifierConfig(weights=save_as())))


@pytest.fixture(params=["fake", "torch"])
def analyzer(request, make_face) -> FaceAnalyzer:
    if request.param == "torch":
        return request.getfixturevalue("real")
    return FakeAnalyzer([[make_face(224, 116, 90)], []])


def test_an_analyzer_gives_a_list_of_faces_an_image(analyzer, pictures):
    found = analyzer.analyze(pictures)
    assert [len(faces) for faces in found] == [1, 0]
    assert all(isinstance(faces, list) for faces in found)
    (face,) = found[0]
    assert isinstance(face, Face)
    assert isinstance(face.detection, Detection)
    assert iou(face.detection.box, Box(180, 61, 268, 172)) > 0.5
    assert 0 <= face.prediction.class_id < 18


def test_an_analyzer_gives_the_same_faces_batch_by_batch(analyzer, pictures):
    found = [faces for picture in pictures for faces in analyzer.analyze([picture])]
    assert [len(faces) for faces in found] == [1, 0]


def test_an_analyzer_gives_no_lists_for_no_images(analyzer):
    assert analyzer.analyze([]) == []


def test_an_analyzer_takes_hints(analyzer, pictures):
    found = analyzer.analyze(pictures, hints=[[Box(180, 61, 268, 172)], []])
    assert [len(faces) for faces in found] == [1, 0]


def test_an_analyzer_leaves_the_pictures_as_they_are(analyzer, pictures):
    before = [picture.copy() for picture in pictures]
    analyzer.analyze(pictures)
    assert all(np.array_equal(a, b) for a, b in zip(before, pictures, strict=True))


def test_a_fake_goes_on_with_its_script_and_then_finds_nobody(make_face, pictures):
    one, two, three = make_face(), make_face(), make_face()
    fake = FakeAnalyzer([[one], [], [two, three]])
    assert fake.analyze(pictures) == [[one], []]
    assert fake.analyze(pictures) == [[two, three], []]
    assert fake.analyze([]) == []
    assert fake.batches == [2, 2, 0]


def test_each_face_gets_its_own_prediction(real, astronaut):
    tiled = np.concatenate([astronaut, astronaut[:, ::-1], (astronaut * 0.5).astype(np.uint8)], axis=1)
    (faces,) = real.analyze([tiled])
    assert len(faces) == 3
    for face in faces:
        box = face.detection.box
        alone = real._classifier.classify([tiled], [np.array([[box.x1, box.y1, box.x2, box.y2]], np.float32)])
        assert rows_of([face.prediction]) == pytest.approx(rows_of(alone), abs=1e-4)


def test_pictures_in_any_memory_order_are_taken(real, astronaut):
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    views = [astronaut[:, ::-1], mirrored, np.asfortranarray(mirrored)]
    boxes = [faces[0].detection.box for faces in real.analyze(views)]
    assert boxes[0] == boxes[1] == boxes[2]


def test_a_crop_is_judged_by_the_face_in_it_whatever_its_margin(real, astronaut):
    (face,) = real.analyze([astronaut])[0]
    x1, y1, x2, y2 = (
        round(v)
        for v in (face.detection.box.x1, face.detection.box.y1, face.detection.box.x2, face.detection.box.y2)
    )
    margins = [60, 30]
    crops = [astronaut[max(0, y1 - by) : y2 + by, max(0, x1 - by) : x2 + by] for by in margins]
    blank = np.full((40, 60, 3), 90, np.uint8)
    judged = rows_of(real.classify_crops([crops[0], blank, crops[1]]))
    expected = rows_of([face.prediction])[0]
    assert judged[0] == pytest.approx(expected, abs=0.03)
    assert judged[2] == pytest.approx(expected, abs=0.08)
    as_it_is = real._classifier.classify_crops([blank])
    assert judged[1] == pytest.approx(rows_of(as_it_is)[0], abs=1e-6)
    assert real.classify_crops([]) == []


def test_stages_are_timed_a_frame_the_classifier_where_a_face_is_judged(astronaut):
    telemetry = Telemetry()
    analyzer = NetworkAnalyzer(Config(device="cpu"), telemetry)
    analyzer.analyze([np.zeros((200, 200, 3), np.uint8)])
    assert {latency.stage: latency.count for latency in telemetry.latencies()} == {"detect": 1}
    analyzer.analyze([astronaut, np.zeros((200, 200, 3), np.uint8)])
    assert {latency.stage: latency.count for latency in telemetry.latencies()} == {"detect": 3, "classify": 1}
