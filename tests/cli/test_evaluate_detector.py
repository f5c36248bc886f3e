"""`gatecam evaluate-detector` end to end, on a few scenes of one portrait and the stock weights."""

from __future__ import annotations

import json
from pathlib import Path

import PIL.Image
import pytest

from gatecam.training.scores import detector_report
from gatecam.training.scores import detector_speed as detection_speed
from gatecam.types import Box, Detection

SIDE = 160
FACE = (62, 31, 104, 87)  # of the portrait in a scene of SIDE px
COUNT = 5


@pytest.fixture(scope="module")
def scenes(tmp_path_factory, astronaut) -> Path:
    """Scenes with one face; the label of the first lies where there is none."""
    root = tmp_path_factory.mktemp("scenes")
    picture = PIL.Image.fromarray(astronaut[0:320, 60:380]).resize((SIDE, SIDE))
    lines = ["image,x1,y1,x2,y2,label,suspect,group"]
    (root / "images").mkdir()
    for i in range(COUNT):
        picture.save(root / "images" / f"{i}.png")
        lines.append(f"{i}.png,{','.join(map(str, _face(i)))},without_mask,0,{i}")
    (root / "faces.csv").write_text("\n".join(lines))
    return root


def _face(i: int) -> tuple[int, int, int, int]:
    return FACE if i else (110, 110, 150, 150)


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr(detection_speed, "SIZES_PX", ((128, 96),))
    monkeypatch.setattr(detection_speed, "REPEATS", 1)
    monkeypatch.setattr(detection_speed, "FRAMES", 1)


def evaluate(gatecam, scenes: Path, *words: str | Path):
    return gatecam("evaluate-detector", "--data", scenes, "--weights", "stock", "--part", "all", *words)


class Teacher:
    """Is sure of the face of the scenes, and not of a place beside it."""

    def detect(self, images):
        beside = Box(0, 100, 50, 150)
        return [[Detection(Box(*FACE), 0.6), Detection(beside, 0.4)] for _ in images]


def test_a_detector_is_scored_told_and_written(gatecam, scenes, tmp_path, save_picture, monkeypatch):
    pytest.importorskip("matplotlib")
    save_picture("empty/a.png")
    (tmp_path / "face.onnx").touch()
    monkeypatch.setattr(detector_report, "load_teacher", lambda path: Teacher())
    words = ["--json", "s.json", "--page", "s.html", "--errors", "false.csv", "--empty", "empty"]
    ended = evaluate(gatecam, scenes, *words, "--teacher", "face.onnx")
    assert ended.code == 0, ended.err
    values = json.loads((tmp_path / "s.json").read_text())
    stock, teacher = values["detectors"]
    assert teacher["weights"] == "face"
    precision = teacher["scores"]["0.3"]["precision"]["all"]
    assert (precision["count"], precision["of"]) == (COUNT - 1, COUNT), "the second one is not sure enough"
    assert teacher["scores"]["0.3"]["precise"] is None
    assert teacher["false_alarms"]["detections"] == 1
    assert "They flatter these teachers" in " ".join(ended.out.split())
    assert "mask: none" in ended.out
    assert "mask: correct" not in ended.out, "no face has that state"
    assert "Widest gaps" not in ended.out, "no group is large enough"
    score = stock["scores"]["0.5"]
    recall = {name: (rate["count"], rate["of"]) for name, rate in score["recall"].items()}
    assert recall["all"] == recall["mask: none"] == (COUNT - 1, COUNT)
    assert recall["mask: correct"] == (0, 0)
    assert score["precision"]["all"]["share"] == (COUNT - 1) / COUNT
    assert score["average_precision"] > 0.5
    joint = stock["joint"]["all"]["mask"]
    assert joint["found"]["share"] == (COUNT - 1) / COUNT
    assert joint["recall_found"]["none"]["of"] == COUNT - 1
    assert stock["false_alarms"]["pictures"]["of"] == 1
    assert values["parameters"]["min_face_px"] == 32
    assert values["thresholds"]["pnet_threshold"] > values["lowered_thresholds"]["pnet_threshold"]
    assert values["speed"][0]["times_as_fast"]["stock"] > 0
    assert (tmp_path / "false.csv").read_text().splitlines()[1].startswith("images/0.png,")
    page = (tmp_path / "s.html").read_text()
    assert "Faces that stock misses at IoU 0.3: 1" in page
    assert "images/0.png: 110,110,150,150; none, 40 px" in page
    assert "False detections of stock at IoU 0.3: 1" in page
    assert page.count("<figure>") == 2 + stock["false_alarms"]["detections"]
    assert max(map(len, ended.out.splitlines())) <= 100


def test_a_face_that_is_known_to_be_real_is_no_error(gatecam, scenes, tmp_path):
    (tmp_path / "known.csv").write_text(f"image,x1,y1,x2,y2\n0.png,{','.join(map(str, FACE))}")
    ended = evaluate(gatecam, scenes, "--known", "known.csv", "--json", "s.json")
    assert ended.code == 0, ended.err
    score = json.loads((tmp_path / "s.json").read_text())["detectors"][0]["scores"]["0.5"]
    assert score["precision"]["all"]["share"] == 1.0
    assert score["recall"]["all"]["count"] == COUNT - 1
    assert score["ignored"] == 1


def test_landmarks_are_told_of_by_mask_state(gatecam, scenes, tmp_path, astronaut):
    (tmp_path / "people").mkdir()
    PIL.Image.fromarray(astronaut[25:205, 135:315]).resize((128, 128)).save(tmp_path / "people" / "a.png")
    (tmp_path / "people" / "people.csv").write_text("image,age,gender,race\na.png,40,female,white")
    ended = evaluate(gatecam, scenes, "--landmarks", "people", "--json", "s.json")
    assert ended.code == 0, ended.err
    landmarks = json.loads((tmp_path / "s.json").read_text())["detectors"][0]["landmarks"]
    assert list(landmarks) == ["correct", "incorrect", "none"]
    assert landmarks["none"]["found"]["share"] == 1.0
    assert "eye distance" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json", "missing/s.json"], "its folder does not exist"),
        (["--page", "s.html", "--errors", "s.html"], "is asked for twice"),
        (["--errors", "known.csv", "--known", "known.csv"], "is read, so it cannot be written"),
        (["--part", "test"], "without a split file there is no test part"),
        (["--weights", "nothing"], "no such weights"),
        (["--known", "missing.csv"], "there is no such file"),
        (["--teacher", "known.csv"], "expected a name that ends in .onnx"),
        (["--teacher", "damaged.onnx"], "is not a network of CenterFace or YuNet"),
        (["--classifier", "nothing"], "no such weights"),
        (["--known", "known.csv"], "none of its pictures is in the data"),
        (["--empty", "missing"], "there is no such file or folder"),
        (["--min-face-px", "100"], "the part all contains no face of 100 px or more"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_before_the_work(gatecam, scenes, tmp_path, words, said):
    (tmp_path / "known.csv").write_text("image,x1,y1,x2,y2\nelsewhere.png,1,1,40,40")
    (tmp_path / "damaged.onnx").write_text("no network")
    ended = evaluate(gatecam, scenes, *words)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "s.html").exists()
