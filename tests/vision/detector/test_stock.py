"""The detector: equal to the library's, and right where the library fails."""

from __future__ import annotations

import io
import random
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import facenet_pytorch
import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F

from gatecam.config import DetectorConfig
from gatecam.errors import ModelError
from gatecam.geometry import iou
from gatecam.types import Box, Detection, Image
from gatecam.vision.detector.stock import Candidates, IntegralImages, MtcnnDetector, _load, _nms_by_smaller

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector(DetectorConfig(), CPU)


def detect(detector: MtcnnDetector, images: Iterable[Image]) -> list[list[Detection]]:
    return detector.detect([torch.from_numpy(np.array(image)) for image in images])


def library_detections(library: facenet_pytorch.MTCNN, image: Image) -> list[Detection]:
    boxes, scores, landmarks = library.detect(np.array(image), landmarks=True)
    if boxes is None:
        return []
    return [
        Detection(Box(*map(float, box)), float(score), np.asarray(points, np.float32))
        for box, score, points in zip(boxes, scores, landmarks, strict=True)
    ]


def pairs_of(ours: list[Detection], theirs: list[Detection]) -> list[tuple[Detection, Detection]]:
    """Detections of the same face: IoU of 0.9 and more, scores within 0.02; each is used once."""
    left = list(ours)
    pairs = []
    for other in theirs:
        near = [d for d in left if iou(d.box, other.box) >= 0.9 and abs(d.score - other.score) <= 0.02]
        if near:
            best = max(near, key=lambda d: iou(d.box, other.box))
            left.remove(best)
            pairs.append((best, other))
    return pairs


def assert_equal_to_the_library(config: DetectorConfig, images: list[Image], at_least: int) -> None:
    """99 % of the library's faces are ours, ours has at most 1 % more, and the landmarks agree."""
    library = facenet_pytorch.MTCNN(
        keep_all=True,
        min_face_size=config.smallest_face_px(640),
        thresholds=[config.pnet_threshold, config.rnet_threshold, config.onet_threshold],
        factor=config.pyramid_factor,
    )
    ours = detect(MtcnnDetector(config, CPU), images)
    theirs = [library_detections(library, image) for image in images]
    pairs = [pair for found in zip(ours, theirs, strict=True) for pair in pairs_of(*found)]
    expected = sum(map(len, theirs))
    assert expected >= at_least, "too few faces to prove anything"
    assert len(pairs) >= 0.99 * expected
    assert sum(map(len, ours)) - len(pairs) <= 0.01 * expected
    for mine, other in pairs:
        assert np.abs(mine.landmarks - other.landmarks).max() <= 0.05 * other.box.width


def resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def crowd(astronaut: Image, rows: int, columns: int, side: int) -> Image:
    return np.tile(resized(astronaut[:256, 96:352], side, side), (rows, columns, 1))


@pytest.fixture(scope="module")
def portraits(astronaut) -> list[Image]:
    """One face many ways: sizes, sides, light, over each edge, in a crowd, turned, and pictures without."""
    mixed = np.concatenate([crowd(astronaut, 2, 2, 120), crowd(astronaut, 1, 1, 240)], axis=1)
    return [
        astronaut,
        astronaut[:, ::-1],
        resized(astronaut, 200, 200),
        resized(astronaut, 301, 417),
        np.clip(astronaut * 1.5, 0, 255).astype(np.uint8),
        (astronaut * 0.3).astype(np.uint8),
        astronaut[:, 200:],
        astronaut[:, :246],
        astronaut[85:],
        astronaut[:150],
        cv2.warpAffine(astronaut, cv2.getRotationMatrix2D((224, 116), 20, 1), (512, 512)),
        crowd(astronaut, 4, 5, 128),
        mixed,
        np.full((200, 300, 3), 127, np.uint8),
        astronaut[200:],
    ]


@pytest.mark.parametrize(
    "config",
    [
        DetectorConfig(),
        DetectorConfig(min_face_px=20),
        DetectorConfig(pyramid_factor=0.6, pnet_threshold=0.5, rnet_threshold=0.6, onet_threshold=0.8),
    ],
    ids=["defaults", "small faces", "other thresholds"],
)
def test_it_finds_what_the_library_finds(portraits, config):
    assert_equal_to_the_library(config, portraits, at_least=30)


@pytest.mark.data
@pytest.mark.slow
def test_it_finds_what_the_library_finds_in_photographs(shared_data):
    with tarfile.open(shared_data / "ilc.tar") as tar:
        names = sorted(name for name in tar.getnames() if name.startswith("ilc/images/"))
        chosen = random.Random(0).sample(names, 25)
        images = [photograph(tar, name) for name in chosen]
    assert_equal_to_the_library(DetectorConfig(), images, at_least=40)


def photograph(tar: tarfile.TarFile, name: str) -> Image:
    member = tar.extractfile(name)
    assert member is not None
    with PIL.Image.open(io.BytesIO(member.read())) as image:
        return np.array(image.convert("RGB"))


def test_a_batch_of_unlike_sizes_gives_what_each_picture_gives(detector, portraits):
    tiny = [np.zeros((1, 1, 3), np.uint8), np.zeros((5, 700, 3), np.uint8)]
    images = [tiny[0], *portraits, tiny[1], portraits[0]]
    together = detect(detector, images)
    assert len(together) == len(images)
    for image, found in zip(images, together, strict=True):
        (alone,) = detect(detector, [image])
        assert len(found) == len(alone)
        for a, b in zip(found, alone, strict=True):
            corners = [(d.box.x1, d.box.y1, d.box.x2, d.box.y2, d.score) for d in (a, b)]
            assert corners[0] == pytest.approx(corners[1], abs=1e-3)
            assert a.landmarks == pytest.approx(b.landmarks, abs=1e-3)


def test_a_face_is_where_it_is_and_its_landmarks_are_in_order(detector, astronaut):
    ((face,),) = detect(detector, [astronaut])
    assert iou(face.box, Box(180, 61, 268, 172)) > 0.9
    assert face.score > 0.99
    eye_l, eye_r, nose, mouth_l, mouth_r = face.landmarks
    assert eye_l[0] < nose[0] < eye_r[0]
    assert mouth_l[0] < mouth_r[0]
    assert max(eye_l[1], eye_r[1]) < nose[1] < min(mouth_l[1], mouth_r[1])
    assert all(face.box.x1 < x < face.box.x2 and face.box.y1 < y < face.box.y2 for x, y in face.landmarks)


@pytest.mark.parametrize("size", [(1, 1), (5, 700), (700, 5), (11, 11), (39, 39), (39, 640), (40, 40)])
def test_a_frame_smaller_than_the_pyramid_has_no_faces(detector, size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert detect(detector, [noise]) == [[]]


@pytest.mark.parametrize("min_face_px", [47, 94, 147, 2000])
def test_a_frame_of_just_the_smallest_face_is_taken(min_face_px):
    # 47 * (12 / 47) is less than 12 in floating point: no pyramid level fits, and none must be needed
    detector = MtcnnDetector(DetectorConfig(min_face_px=min_face_px), CPU)
    assert detect(detector, [np.zeros((min_face_px, min_face_px, 3), np.uint8)]) == [[]]


def test_a_face_that_fills_the_frame_is_found(astronaut):
    detector = MtcnnDetector(DetectorConfig(min_face_px=12), CPU)
    ((face,),) = detect(detector, [resized(astronaut[60:172, 170:282], 40, 40)])
    assert iou(face.box, Box(4, 0, 35, 40)) > 0.7


@pytest.mark.parametrize("level", [0, 127, 255])
def test_an_even_picture_has_no_faces(detector, level):
    assert detect(detector, [np.full((240, 320, 3), level, np.uint8)]) == [[]]


def test_noise_has_no_faces(detector):
    noise = np.random.default_rng(1).integers(0, 256, (2, 240, 320, 3), dtype=np.uint8)
    assert detect(detector, noise) == [[], []]


def test_no_images_give_no_lists(detector):
    assert detector.detect([]) == []


def test_a_picture_without_faces_does_not_disturb_its_neighbours(detector, astronaut):
    black = np.zeros_like(astronaut)
    found = detect(detector, [black, astronaut, black, astronaut])
    assert [len(faces) for faces in found] == [0, 1, 0, 1]


@pytest.mark.parametrize("stage", ["pnet_threshold", "rnet_threshold", "onet_threshold"])
def test_no_candidates_left_after_a_stage_are_no_faces(stage, astronaut):
    strict = MtcnnDetector(DetectorConfig(**{stage: 1}), CPU)
    assert detect(strict, [astronaut]) == [[]]


@pytest.mark.parametrize(
    ("cut", "edge"),
    [
        ((slice(None), slice(200, None)), "x1"),
        ((slice(None), slice(None, 246)), "x2"),
        ((slice(85, None), slice(None)), "y1"),
        ((slice(None, 150), slice(None)), "y2"),
    ],
)
def test_half_a_face_at_an_edge_has_a_box_over_it(detector, astronaut, cut, edge):
    image = astronaut[cut]
    ((face,),) = detect(detector, [image])
    over = {
        "x1": -face.box.x1,
        "y1": -face.box.y1,
        "x2": face.box.x2 - image.shape[1],
        "y2": face.box.y2 - image.shape[0],
    }
    assert over[edge] > 5
    assert max(over, key=over.__getitem__) == edge


def test_every_face_of_a_crowd_is_found_best_first(detector, astronaut):
    (faces,) = detect(detector, [crowd(astronaut, 5, 6, 128)])
    cells = {(int(face.box.center[0] // 128), int(face.box.center[1] // 128)) for face in faces}
    assert len(faces) == len(cells) == 30
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True)


def greedy_by_smaller(
    boxes: np.ndarray, scores: np.ndarray, frames: np.ndarray, threshold: float
) -> list[int]:
    """The plain way: the best box left suppresses those that it overlaps; ties go to the first."""
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    kept: list[int] = []
    for row in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        for other in kept:
            size = np.minimum(boxes[row, 2:], boxes[other, 2:]) - np.maximum(boxes[row, :2], boxes[other, :2])
            overlap = np.prod(np.maximum(size + 1, 0))
            smaller = min(areas[row], areas[other])
            if frames[row] == frames[other] and overlap / smaller > np.float32(threshold):
                break
        else:
            kept.append(row)
    return kept


@pytest.mark.parametrize("seed", range(40))
def test_suppression_by_the_smaller_box_is_greedy(seed):
    rng = np.random.default_rng(seed)
    count, frame_count = int(rng.integers(0, 120)), int(rng.integers(1, 4))
    corner = rng.integers(-10, 60, (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(5, 40, (count, 2))], 1).astype(np.float32)
    scores = rng.random(count).astype(np.float32).round(1 if seed % 2 else 4)  # with odd seeds many ties
    frames = rng.integers(0, frame_count, count)
    candidates = Candidates(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(frames))
    assert _nms_by_smaller(candidates, 0.7).tolist() == greedy_by_smaller(boxes, scores, frames, 0.7)


def test_suppression_runs_down_a_chain(detector):
    corner = torch.arange(50, dtype=torch.float32)[:, None] * torch.tensor([4.0, 0.0])
    boxes = torch.cat([corner, corner + 19], 1)  # each covers 0.8 of the next, and 0.6 of the one after
    chain = Candidates(boxes, torch.linspace(1, 0.5, 50), torch.zeros(50, dtype=torch.long))
    assert _nms_by_smaller(chain, 0.7).tolist() == list(range(0, 50, 2))


def noise_images(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(0, 256, (*size, 3), generator=generator, dtype=torch.uint8) for size in sizes]


def area_resized(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """What the library does to a picture or a crop."""
    pixels = image.permute(2, 0, 1)[None].float()
    return (F.interpolate(pixels, size=(height, width), mode="area")[0] - 127.5) * 0.0078125


@pytest.mark.parametrize("size", [(13, 13), (36, 48), (37, 50), (1, 1), (90, 7), (200, 101)])
def test_whole_frames_are_resized_as_the_library_does(size):
    images = noise_images((37, 50), (90, 64), (37, 50))
    table = IntegralImages(images)
    resized_ = table.resize(torch.tensor([2, 0, 1]), *size)
    assert resized_.shape == (3, 3, *size)
    for row, index in enumerate((2, 0, 1)):
        assert torch.allclose(resized_[row], area_resized(images[index], *size), atol=1e-4)


@pytest.mark.parametrize("size", [24, 48])
def test_crops_are_cut_and_resized_as_the_library_does(size):
    images = noise_images((60, 80), (100, 30))
    boxes = torch.tensor(
        [
            [10.7, 5.2, 40.9, 35.4],
            [0.0, 0.0, 80.0, 60.0],
            [-20.6, -8.0, 30.0, 42.6],
            [60.0, 40.0, 99.0, 79.0],
            [12.0, 12.0, 14.0, 14.0],
            [-50.0, -50.0, 200.0, 200.0],
            [29.0, 99.0, 31.0, 101.0],
        ]
    )
    frames = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    crops, real = IntegralImages(images).crop(Candidates(boxes, torch.ones(7), frames), size)
    assert real.all()
    for crop, box, frame in zip(crops, boxes, frames, strict=True):
        image = images[frame]
        x1, y1, x2, y2 = (int(v) for v in box)
        x1, y1, x2, y2 = max(x1, 1), max(y1, 1), min(x2, image.shape[1]), min(y2, image.shape[0])
        assert torch.allclose(crop, area_resized(image[y1 - 1 : y2, x1 - 1 : x2], size, size), atol=1e-4)


def test_boxes_that_cover_no_pixel_are_left_out_and_the_others_keep_their_place():
    images = noise_images((60, 80))
    inside = [10.0, 10.0, 40.0, 40.0]
    outside = [
        [-30.0, 5.0, -2.0, 30.0],
        [85.0, 5.0, 99.0, 30.0],
        [5.0, -40.0, 30.0, -9.0],
        [5.0, 61.0, 9.0, 70.0],
    ]
    boxes = torch.tensor([*outside[:2], inside, *outside[2:], inside])
    candidates = Candidates(boxes, torch.ones(6), torch.zeros(6, dtype=torch.long))
    crops, real = IntegralImages(images).crop(candidates, 24)
    assert real.tolist() == [False, False, True, False, False, True]
    assert torch.equal(crops[0], crops[1])
    assert torch.allclose(crops[0], area_resized(images[0][9:40, 9:40], 24, 24), atol=1e-4)


@torch.inference_mode()
def test_boxes_that_cover_no_pixel_do_not_shift_the_others_through_the_networks(detector, astronaut):
    images = IntegralImages([torch.from_numpy(np.array(astronaut))])
    faces = torch.tensor([[165.0, 60.0, 277.0, 172.0], [170.0, 65.0, 270.0, 165.0]])
    outside = torch.tensor([[-80.0, 60.0, -5.0, 135.0], [600.0, 60.0, 675.0, 135.0]])
    mixed = torch.cat([outside[:1], faces[:1], outside[1:], faces[1:]])

    def candidates(boxes: torch.Tensor) -> Candidates:
        return Candidates(boxes, torch.ones(len(boxes)), torch.zeros(len(boxes), dtype=torch.long))

    refined = detector._refine(images, candidates(mixed))
    assert len(refined) == 1
    assert torch.allclose(refined.boxes, detector._refine(images, candidates(faces)).boxes, atol=1e-3)
    found, landmarks = detector._output(images, candidates(mixed))
    expected, points = detector._output(images, candidates(faces))
    assert len(found) == 1
    assert torch.allclose(found.boxes, expected.boxes, atol=1e-3)
    assert torch.allclose(landmarks, points, atol=1e-3)


@pytest.mark.parametrize(
    "content", [None, b"", b"no weights", "rnet"], ids=["missing", "empty", "text", "other"]
)
def test_damaged_library_weights_are_one_sentence(tmp_path, monkeypatch, content):
    (tmp_path / "data").mkdir()
    bundled = Path(facenet_pytorch.__file__).parent / "data"
    if content == "rnet":
        shutil.copy(bundled / "rnet.pt", tmp_path / "data" / "pnet.pt")
    elif content is not None:
        (tmp_path / "data" / "pnet.pt").write_bytes(content)
    monkeypatch.setattr(facenet_pytorch, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(
        ModelError, match=r"^pnet\.pt of facenet-pytorch cannot be loaded .*pip install[^\n]*\.$"
    ):
        _load(facenet_pytorch.PNet(pretrained=False), "pnet", CPU)
