"""No face of the clips can be read in what leaves the program: see `tests/readable.py`."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

pytest.importorskip("fastapi")

from gatecam.app import build_analyzer, build_finder
from gatecam.geometry import iou
from gatecam.pictures.draw import blur_faces, draw_faces
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from gatecam.types import Box, Face, Image
from gatecam.web.tokens import Role
from tests.readable import Reader, annotated_pictures, kept_pictures, live_pictures

CLIPS = ("again.mkv", "bird.mkv", "book.mkv", "eat.mkv", "learn.mkv", "face-demographics-walking.gif")


PRINTS = {"again.mkv": Box(230, 165, 400, 360)}  # a skull on a hoodie, which facenet-pytorch takes for a face


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return build_analyzer(Config(), Telemetry())


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.load()


def faces_in(image: Image, reader: Reader, clip: str) -> list[Face]:
    """The faces of a camera's picture, without the prints that are taken for one."""
    there = reader.faces(image)
    where = PRINTS.get(clip)
    return [face for face in there if where is None or iou(face.detection.box, where) < 0.4]


def decoded(jpeg: bytes) -> Image:
    return np.array(PIL.Image.open(io.BytesIO(jpeg)))


def scaled(image: Image, like: Image) -> Image:
    return (
        image
        if image.shape == like.shape
        else cv2.resize(image, like.shape[1::-1], interpolation=cv2.INTER_AREA)
    )


def check_live(
    path: Path, analyzer: FaceAnalyzer, reader: Reader, role: Role, every: int, least: int
) -> None:
    faces = 0
    for step, jpeg in live_pictures(path, analyzer, role, every):
        sent = decoded(jpeg)
        true = scaled(step.frame.image, sent)
        there = faces_in(true, reader, path.name)
        faces += len(there)
        assert list(reader.readable(sent, true, there)) == [], step.frame.index
    assert faces >= least


@pytest.mark.data
@pytest.mark.parametrize("role", [Role.DOOR, Role.OPERATOR])
@pytest.mark.parametrize("clip", CLIPS)
def test_no_face_can_be_read_in_a_live_picture(clip, role, shared_data, analyzer, reader):
    check_live(shared_data / "videos" / clip, analyzer, reader, role, every=5, least=6)


@pytest.mark.parametrize("role", [Role.DOOR, Role.OPERATOR])
def test_no_face_of_the_demo_can_be_read_in_a_live_picture(demo, role, analyzer, reader):
    check_live(demo, analyzer, reader, role, every=13, least=20)


@pytest.mark.data
@pytest.mark.parametrize("clip", CLIPS)
def test_no_face_can_be_read_in_an_annotated_video(clip, shared_data, analyzer, reader):
    faces = 0
    for step, sent in annotated_pictures(shared_data / "videos" / clip, analyzer):
        if step.frame.index % 5:
            continue
        there = faces_in(step.frame.image, reader, clip)
        faces += len(there)
        assert list(reader.readable(sent, step.frame.image, there)) == [], step.frame.index
    assert faces >= 6


def check_kept(path: Path, analyzer: FaceAnalyzer, reader: Reader, folder: Path) -> None:
    """Look for faces in snapshots, and for those of people in videos, where prints on clothes may stay."""
    faces = {False: 0, True: 0}
    for step, kept, is_video in kept_pictures(path, analyzer, folder, every=20):
        there = reader.faces(step.frame.image)
        if is_video:
            there = [face for face in there if any(iou(face.detection.box, t.box) > 0.3 for t in step.tracks)]
        faces[is_video] += len(there)
        assert list(reader.readable(kept, step.frame.image, there)) == [], (step.frame.index, is_video)
    assert min(faces.values()) >= 3


@pytest.mark.data
@pytest.mark.parametrize("clip", CLIPS)
def test_no_face_can_be_read_in_the_pictures_of_alerts(clip, shared_data, analyzer, reader, tmp_path):
    check_kept(shared_data / "videos" / clip, analyzer, reader, tmp_path / "kept")


def test_no_face_of_the_demo_can_be_read_in_the_pictures_of_alerts(demo, analyzer, reader, tmp_path):
    check_kept(demo, analyzer, reader, tmp_path / "kept")


def test_no_face_can_be_read_in_a_drawn_picture(astronaut, analyzer, reader):
    finder = build_finder(Config())
    (faces,) = analyzer.analyze([astronaut])
    hidden = [*(face.detection.box for face in faces), *finder.find(astronaut)]
    there = reader.faces(astronaut)
    assert there
    assert list(reader.readable(draw_faces(astronaut, faces, hidden), astronaut, there)) == []


PHOTOGRAPHS, SMALLEST_PX, UNCOVERED = 16, 16, 0.35


@pytest.mark.data
def test_of_a_crowds_faces_hardly_any_is_left_in_a_drawn_picture(shared_data):
    """Of photographs with many labelled faces: those of which more than a third is not hidden."""
    finder = build_finder(Config(), thorough=True)
    faces = left = 0
    for image, boxes in crowds(shared_data / "ilc.tar"):
        hidden = finder.find(image)
        blurred = (blur_faces(image, hidden) != image).any(axis=2)
        for x1, y1, x2, y2 in boxes:
            faces += 1
            left += blurred[y1:y2, x1:x2].mean() < 1 - UNCOVERED
    assert faces > 150
    assert left <= 3  # 1; without the second cascade it were 8


def crowds(tar: Path) -> Iterator[tuple[Image, list[tuple[int, int, int, int]]]]:
    with tarfile.open(tar) as archive:
        rows = io.TextIOWrapper(archive.extractfile("ilc/faces.csv"), "utf-8")
        boxes: dict[str, list[tuple[int, int, int, int]]] = {}
        for row in csv.DictReader(rows):
            x1, y1, x2, y2 = (max(0, round(float(row[name]))) for name in ("x1", "y1", "x2", "y2"))
            if min(x2 - x1, y2 - y1) >= SMALLEST_PX:
                boxes.setdefault(row["image"], []).append((x1, y1, x2, y2))
        many = [name for name in sorted(boxes) if len(boxes[name]) >= 10]
        for name in many[:: len(many) // PHOTOGRAPHS][:PHOTOGRAPHS]:
            picture = PIL.Image.open(archive.extractfile(f"ilc/images/{name}")).convert("RGB")
            yield np.array(picture), boxes[name]


def test_the_reader_reads_what_is_not_blurred_or_hardly(astronaut, reader, analyzer):
    there = reader.faces(astronaut)
    assert any("not blurred" in line for line in reader.readable(astronaut, astronaut, there))
    soft = cv2.GaussianBlur(astronaut, (0, 0), 4) // 2 + 60
    assert list(reader.readable(soft, astronaut, there))
    boxes = [face.detection.box for face in there]
    assert not list(reader.readable(blur_faces(astronaut, boxes), astronaut, there))
