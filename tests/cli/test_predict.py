"""`gatecam predict`: one line of JSON a picture, in order; bad pictures are told and skipped."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.app import build_finder
from gatecam.capture import images
from gatecam.capture.images import read_image
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Detection, Face, Prediction

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.png"
SKY = PIL.Image.new("RGB", (128, 96), (90, 120, 200))


@pytest.fixture
def judged(make_face) -> Face:
    prediction = Prediction(
        np.array([0.1, 0.2, 0.7], np.float32),
        np.array([0.25, 0.75], np.float32),
        np.array([0.5, 0.3, 0.2], np.float32),
    )
    return Face(Detection(Box(44.04, 28, 84, 68.06), 0.98765), prediction)


@pytest.fixture
def one_face(analyze, judged):
    return analyze(itertools.repeat([judged]))


def lines_of(text: str):
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_as_the_design_has_it(gatecam, one_face, save_picture):
    save_picture("a.jpg")
    ended = gatecam("predict", "a.jpg")
    assert ended.code == 0
    assert ended.err.splitlines() == [
        "gatecam: loading the networks…",
        "gatecam: 1 picture, 1 face: 0 with the mask worn right, 0 worn wrong, 1 without; "
        "written to standard output; 0 skipped",
    ]
    assert lines_of(ended.out) == [
        {
            "image": "a.jpg",
            "faces": [
                {
                    "box": [44.0, 28.0, 84.0, 68.1],
                    "score": 0.9877,
                    "mask": {"correct": 0.1, "incorrect": 0.2, "none": 0.7},
                    "gender": {"male": 0.25, "female": 0.75},
                    "age": {"<30": 0.5, "30-59": 0.3, ">=60": 0.2},
                    "class_id": 15,
                }
            ],
        }
    ]


def test_a_picture_without_faces_has_an_empty_list(gatecam, analyze, save_picture):
    analyze([])
    save_picture("a.jpg")
    assert lines_of(gatecam("predict", "a.jpg").out) == [{"image": "a.jpg", "faces": []}]


def test_pictures_come_in_the_order_given_and_folders_in_natural_order(gatecam, one_face, save_picture):
    names = [f"folder/{number}.png" for number in range(1, 21)]
    for name in [*names, "z.jpg", "a.jpg"]:
        save_picture(name)
    ended = gatecam("predict", "z.jpg", "folder", "a.jpg", "--out", "out.jsonl")
    assert (ended.code, ended.out) == (0, "")
    lines = lines_of((save_picture("x.png").parent / "out.jsonl").read_text(encoding="utf-8"))
    assert [line["image"] for line in lines] == ["z.jpg", *names, "a.jpg"]
    assert max(one_face.batches) == images.BATCH


def test_large_pictures_are_judged_in_smaller_batches(gatecam, one_face, save_picture, monkeypatch):
    monkeypatch.setattr(images, "BATCH_PIXELS", 2 * 128 * 96)
    for number in range(7):
        save_picture(f"folder/{number}.png")
    gatecam("predict", "folder")
    assert one_face.batches == [3, 3, 1]


def test_unreadable_pictures_are_told_and_skipped_with_exit_1(gatecam, one_face, save_picture, tmp_path):
    for number in range(3):
        save_picture(f"folder/{number}.jpg")
    (tmp_path / "folder/0a.jpg").write_text("no picture")
    (tmp_path / "folder/2a.jpg").touch()
    ended = gatecam("predict", "folder")
    assert ended.code == 1
    assert [line["image"] for line in lines_of(ended.out)] == [f"folder/{number}.jpg" for number in range(3)]
    assert [line.split(":")[1] for line in ended.err.splitlines()[1:]] == [
        " skipped folder/0a.jpg",
        " skipped folder/2a.jpg",
        " 3 pictures, 3 faces",
    ]
    assert ended.err.endswith("3 without; written to standard output; 2 skipped\n")


def test_nothing_but_unreadable_pictures_is_exit_1_as_well(gatecam, one_face, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    ended = gatecam("predict", "a.jpg", "--out", "out.jsonl")
    assert ended.code == 1
    assert ended.err.splitlines()[1].startswith("gatecam: skipped a.jpg: ")
    assert "0 pictures, 0 faces" in ended.err.splitlines()[2]
    assert (tmp_path / "out.jsonl").read_bytes() == b""


@pytest.mark.parametrize("words", [["missing.jpg"], ["empty"], ["a.jpg", "[red]missing"]])
def test_a_path_without_pictures_is_one_sentence_and_exit_2(gatecam, one_face, save_picture, tmp_path, words):
    save_picture("a.jpg")
    (tmp_path / "empty").mkdir()
    (tmp_path / "out.jsonl").write_text("of an earlier run")
    ended = gatecam("predict", *words, "--out", "out.jsonl")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"gatecam: {words[-1]}: ")
    assert ended.err.count("\n") == 1
    assert (tmp_path / "out.jsonl").read_text() == "of an earlier run"


@pytest.mark.parametrize(
    "words",
    [
        ["--out", "missing/out.jsonl"],
        ["--out", "folder"],
        ["--out", "a.jpg"],
        ["--annotate", "a.jpg"],
        ["--annotate", "a.jpg/sub"],
        ["--annotate", "."],
        ["--annotate", "folder/.."],
    ],
)
def test_an_output_that_cannot_be_or_destroys_is_one_sentence(
    gatecam, one_face, save_picture, tmp_path, words
):
    before = save_picture("a.jpg").read_bytes()
    (tmp_path / "folder").mkdir()
    ended = gatecam("predict", "a.jpg", *words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("gatecam: ")
    assert ended.err.count("\n") == 1
    assert (tmp_path / "a.jpg").read_bytes() == before


def test_the_output_may_lie_in_the_folder_that_is_read(gatecam, one_face, save_picture, tmp_path):
    save_picture("folder/a.jpg")
    for _ in range(2):
        assert gatecam("predict", "folder", "--out", "folder/faces.jsonl").code == 0
        assert len((tmp_path / "folder/faces.jsonl").read_text().splitlines()) == 1


def test_pictures_of_one_name_are_drawn_side_by_side(gatecam, one_face, save_picture, tmp_path):
    for name in ("one/a.jpg", "two/a.jpg", "two/b.bmp", "three/A.JPG"):
        save_picture(name)
    ended = gatecam("predict", "one", "two", "three", "one/a.jpg", "--annotate", "drawn")
    assert ended.code == 0
    drawn = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert drawn == {"a.jpg", "a-2.jpg", "b.png", "A-3.JPG", "a-4.jpg"}


def test_drawn_faces_are_blurred_unless_asked_otherwise(
    gatecam, one_face, save_picture, monkeypatch, tmp_path
):
    monkeypatch.setattr("gatecam.app.build_finder", build_finder)  # the real one
    before = read_image(save_picture("a.png")).astype(float)
    gatecam("predict", "a.png", "--annotate", "blurred")
    gatecam("predict", "a.png", "--annotate", "clear", "--no-blur")
    inside = np.s_[36:60, 52:76]
    assert np.abs(read_image(tmp_path / "blurred/a.png") - before)[inside].mean() > 30
    assert (read_image(tmp_path / "clear/a.png") == before)[inside].all()
    assert (read_image(tmp_path / "clear/a.png") != before).any()


def test_a_crop_is_one_face_as_large_as_the_picture(gatecam, judged, save_picture, monkeypatch):
    class Classifier:
        def classify_crops(self, images):
            return [judged.prediction for _ in images]

    monkeypatch.setattr("gatecam.app.build_crop_classifier", lambda config: Classifier())
    save_picture("a.jpg")
    save_picture("dot.png", PIL.Image.new("RGB", (1, 1)))
    first, second = lines_of(gatecam("predict", "a.jpg", "dot.png", "--crops").out)
    assert [face["box"] for face in first["faces"]] == [[0, 0, 128, 96]]
    assert [face["box"] for face in second["faces"]] == [[0, 0, 1, 1]]
    assert (first["faces"][0]["score"], first["faces"][0]["class_id"]) == (1, 15)


@pytest.mark.parametrize(
    "name", ["가 나.jpg", "[red].jpg", "naïve\n.jpg", b"\xff.jpg".decode(errors="surrogateescape")]
)
def test_any_name_comes_back_as_it_was(gatecam, one_face, save_picture, name):
    save_picture(name)
    for words in ([], ["--out", "out.jsonl"]):
        ended = gatecam("predict", name, *words)
        assert ended.code == 0
        text = (save_picture("x.png").parent / "out.jsonl").read_text() if words else ended.out
        assert [line["image"] for line in lines_of(text)] == [name]


def test_the_analyzer_sees_upright_rgb_whatever_the_file(gatecam, one_face, save_picture, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "gatecam.app.build_analyzer",
        lambda *parts: type(
            "Spy", (), {"analyze": lambda self, images: seen.extend(images) or [[] for _ in images]}
        )(),
    )
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    save_picture("0.jpg", SKY, exif=turned)
    save_picture("1.png", SKY.convert("L"))
    save_picture("2.png", SKY.convert("RGBA"))
    save_picture("3.png", SKY.resize((1, 1)))
    assert gatecam("predict", ".").code == 0
    assert [image.shape for image in seen] == [(128, 96, 3), (96, 128, 3), (96, 128, 3), (1, 1, 3)]
    assert all(image.dtype == np.uint8 for image in seen)


@pytest.mark.parametrize("words", [["predict", "0.png"], ["predict", "0.png", "--submission", "o.csv"]])
def test_the_cameras_door_and_region_do_not_apply_to_pictures(
    gatecam, one_face, save_picture, monkeypatch, tmp_path, words
):
    (tmp_path / "config.yaml").write_text(
        "detector: {door_width_m: 1, door_distance_m: 2, region: [0, 0, 0.1, 0.1], onet_threshold: 0.8}",
        encoding="utf-8",
    )
    save_picture("0.png")
    given = []
    monkeypatch.setattr(
        "gatecam.app.build_analyzer",
        lambda config, telemetry: given.append(config.detector) or one_face,
    )
    assert gatecam(*words).code == 0
    assert given == [DetectorConfig(onet_threshold=0.8)]


def test_the_real_parts_find_one_face_however_the_file_stores_it(gatecam, save_picture):
    with PIL.Image.open(ASTRONAUT) as opened:
        astronaut = opened.convert("RGB")
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    save_picture("0.png", astronaut)
    save_picture("1.png", astronaut.transpose(PIL.Image.Transpose.ROTATE_90), exif=turned)
    save_picture("2.png", astronaut.convert("RGBA"))
    save_picture("3.png", astronaut.resize((1, 1)))
    ended = gatecam("predict", "0.png", "1.png", "2.png", "3.png")
    assert ended.code == 0
    upright, *same, dot = [line["faces"] for line in lines_of(ended.out)]
    assert len(upright) == 1
    assert same == [upright, upright]
    assert dot == []
    for head in ("mask", "gender", "age"):
        assert sum(upright[0][head].values()) == pytest.approx(1, abs=0.001)
