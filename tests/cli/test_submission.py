"""`gatecam predict --submission`: one answer a picture, in order, whatever is amiss."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.capture import images
from gatecam.capture.images import read_image
from gatecam.labels import class_parts
from gatecam.training.scores import submission
from gatecam.types import Box, Detection, Face, Prediction

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.png"


def face_of(class_index: int, box: tuple[float, float, float, float] = (44, 28, 84, 68)) -> Face:
    parts = zip((3, 2, 3), class_parts(class_index), strict=True)
    return Face(
        Detection(Box(*box), 0.99),
        Prediction(*(np.eye(width, dtype=np.float32)[index] for width, index in parts)),
    )


@pytest.fixture
def see(analyze):
    """Has the analyzer find in the pictures one face each of these classes."""
    return lambda *classes: analyze([[face_of(c)] for c in classes])


@pytest.fixture
def crops_seen(monkeypatch) -> list[np.ndarray]:
    """What the crop classifier is shown; it takes all for class 17."""
    seen: list[np.ndarray] = []

    class Classifier:
        def classify_crops(self, images):
            seen.extend(images)
            return [face_of(17).prediction for _ in images]

    monkeypatch.setattr("gatecam.app.build_crop_classifier", lambda config: Classifier())
    return seen


@pytest.fixture
def lay_out(tmp_path, save_picture):
    """A contest's folder: `info.csv` with these names, `images/` with pictures of those named second."""

    def make(names: list[str], pictures: list[str] | None = None) -> None:
        for name in names if pictures is None else pictures:
            save_picture(f"eval/images/{name}")
        text = "".join(f"{name},0\n" for name in names)
        (tmp_path / "eval").mkdir(exist_ok=True)
        (tmp_path / "eval/info.csv").write_text(f"ImageID,ans\n{text}", encoding="utf-8")

    return make


def answers(path: Path) -> list[tuple[str, int]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        head, *lines = csv.reader(file)
    assert head == ["ImageID", "ans"]
    return [(name, int(answer)) for name, answer in lines]


def test_answers_stand_in_the_order_of_info_csv(gatecam, see, lay_out, tmp_path):
    lay_out(["b.jpg", "c.png", "a.jpeg"])
    see(7, 0, 15)
    ended = gatecam("predict", "eval", "--submission", "s.csv")
    assert (ended.code, ended.out) == (0, "")
    assert answers(tmp_path / "s.csv") == [("b.jpg", 7), ("c.png", 0), ("a.jpeg", 15)]
    assert b"\r" not in (tmp_path / "s.csv").read_bytes()


def test_info_csv_itself_may_be_given(gatecam, see, lay_out, tmp_path):
    lay_out(["b.jpg", "a.jpg"])
    see(7, 3)
    assert gatecam("predict", "eval/info.csv", "--submission", "s.csv").code == 0
    assert answers(tmp_path / "s.csv") == [("b.jpg", 7), ("a.jpg", 3)]


def test_without_info_csv_pictures_go_by_their_file_names(gatecam, see, save_picture, tmp_path):
    names = ["10.png", "9.png", "가, 나.png", b"\xff.png".decode(errors="surrogateescape")]
    for name in names:
        save_picture(f"folder/{name}")
    see(1, 2, 3, 4)
    assert gatecam("predict", "folder", "--submission", "s.csv").code == 0
    assert sorted(name for name, _ in answers(tmp_path / "s.csv")) == sorted(names)
    assert [answer for _, answer in answers(tmp_path / "s.csv")] == [1, 2, 3, 4]


def test_of_several_faces_the_largest_is_judged(gatecam, analyze, save_picture, tmp_path):
    save_picture("a.jpg")
    analyze([[face_of(1, (0, 0, 20, 20)), face_of(2, (40, 20, 90, 80)), face_of(3, (90, 0, 120, 40))]])
    gatecam("predict", "a.jpg", "--submission", "s.csv")
    assert answers(tmp_path / "s.csv") == [("a.jpg", 2)]


def test_where_no_face_is_found_the_place_of_the_others_faces_is_judged(
    gatecam, analyze, crops_seen, save_picture, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "gatecam.vision.weights.read_spec", lambda path: type("", (), {"crop": type("", (), {"margin": 0.5})})
    )
    for name in ("a.png", "b.png", "c.png", "e.png"):
        save_picture(name)
    large = PIL.Image.fromarray(read_image(tmp_path / "a.png")).resize(
        (256, 192), PIL.Image.Resampling.NEAREST
    )
    save_picture("d.png", large)
    boxes = [(40, 20, 72, 52), (44, 24, 76, 56), (0, 0, 128, 96)]
    analyze([*([face_of(5, box)] for box in boxes), [], []])
    ended = gatecam("predict", *(f"{name}.png" for name in "abcde"), "--submission", "s.csv")
    assert ended.code == 0
    said = "no face was found in 2 of 5 pictures; they are classified at the median box of the other pictures"
    assert said in ended.err
    assert [answer for _, answer in answers(tmp_path / "s.csv")] == [5, 5, 5, 17, 17]
    # the median box (40, 20) to (76, 56) has its middle at (58, 38) and a side of 36, with its margin 54
    assert np.array_equal(crops_seen[1], read_image(tmp_path / "e.png")[11:65, 31:85])
    assert np.array_equal(crops_seen[0], np.array(large)[22:130, 62:170])


def test_where_no_picture_shows_a_face_each_is_judged_whole(
    gatecam, analyze, crops_seen, save_picture, tmp_path
):
    for name in ("a.png", "b.png"):
        save_picture(name)
    analyze([])
    ended = gatecam("predict", "a.png", "b.png", "--submission", "s.csv")
    assert ended.code == 0
    assert "2 of 2 pictures; they are classified whole" in ended.err
    assert [image.shape for image in crops_seen] == [(96, 128, 3), (96, 128, 3)]
    assert answers(tmp_path / "s.csv") == [("a.png", 17), ("b.png", 17)]


def test_crops_are_judged_whole_without_a_detector(gatecam, crops_seen, save_picture, tmp_path):
    save_picture("a.png")
    ended = gatecam("predict", "a.png", "--crops", "--submission", "s.csv")
    assert ended.code == 0
    assert ended.err.splitlines()[-1] == (
        "gatecam: 1 picture, 1 face: 0 with the mask worn right, 0 worn wrong, 1 without; "
        "written to s.csv; 0 answered unseen, 0 left out"
    )
    assert np.array_equal(crops_seen[0], read_image(tmp_path / "a.png"))
    assert answers(tmp_path / "s.csv") == [("a.png", 17)]


def test_missing_and_unreadable_pictures_get_a_line_are_listed_and_exit_1(gatecam, see, lay_out, tmp_path):
    lay_out(["a.jpg", "gone.jpg", "b.jpg", "broken.jpg"], ["a.jpg", "b.jpg"])
    (tmp_path / "eval/images/broken.jpg").write_text("no picture")
    see(7, 8)
    ended = gatecam("predict", "eval", "--submission", "s.csv")
    assert ended.code == 1
    unseen = submission.UNREADABLE_CLASS
    assert answers(tmp_path / "s.csv") == [
        ("a.jpg", 7),
        ("gone.jpg", unseen),
        ("b.jpg", 8),
        ("broken.jpg", unseen),
    ]
    listed = [line for line in ended.err.splitlines() if f"class {unseen} is assumed" in line]
    assert [Path(line.split(": ")[2]).name for line in listed] == ["gone.jpg", "broken.jpg"]


def test_a_line_that_names_no_picture_is_listed_with_exit_1(gatecam, see, lay_out, tmp_path):
    lay_out(["a.jpg", "", "b.jpg"], ["a.jpg", "b.jpg"])
    see(7, 8)
    ended = gatecam("predict", "eval", "--submission", "s.csv")
    assert ended.code == 1
    assert "info.csv:3: " in ended.err
    assert answers(tmp_path / "s.csv") == [("a.jpg", 7), ("b.jpg", 8)]


def test_pictures_are_judged_in_batches(gatecam, see, lay_out, tmp_path):
    lay_out([f"{number}.jpg" for number in range(20)])
    analyzer = see(*(number % 18 for number in range(20)))
    gatecam("predict", "eval", "--submission", "s.csv")
    assert max(analyzer.batches) == images.BATCH
    assert [answer for _, answer in answers(tmp_path / "s.csv")] == [number % 18 for number in range(20)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval", "--submission", "missing/s.csv"], "missing/s.csv: its folder does not exist"),
        (["eval", "--submission", "eval"], "eval: is a folder"),
        (["eval", "--submission", "eval/info.csv"], "eval/info.csv: is read"),
        (["eval/images/a.jpg", "--submission", "eval/images/a.jpg"], "a.jpg: is read"),
        (["eval", "--submission", "s.csv", "--out", "o.jsonl"], "--submission is written alone"),
        (["eval", "--submission", "s.csv", "--annotate", "drawn"], "--submission is written alone"),
        (["gone", "--submission", "s.csv"], "gone: there is no such file or folder"),
        (["gone.csv", "--submission", "s.csv"], "gone.csv: there is no such file or folder"),
        (["people.csv", "--submission", "s.csv"], "people.csv: has no column ImageID"),
        (["eval", "other", "--submission", "s.csv"], "other/a.jpg: has the same name as eval/images/a.jpg"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_before_the_work(
    gatecam, see, lay_out, save_picture, tmp_path, words, said
):
    lay_out(["a.jpg"])
    save_picture("other/a.jpg")
    (tmp_path / "people.csv").write_text("image,age,gender\nother/a.jpg,30,female\n")
    before = (tmp_path / "eval/info.csv").read_bytes()
    analyzer = see(7)
    ended = gatecam("predict", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err.splitlines()[-1]
    assert analyzer.batches == []
    assert (tmp_path / "eval/info.csv").read_bytes() == before


def test_the_real_parts_answer_alike_with_and_without_the_detector(gatecam, save_picture, tmp_path):
    with PIL.Image.open(ASTRONAUT) as opened:
        save_picture("a.png", opened.convert("RGB"))
    save_picture("b.png", PIL.Image.new("RGB", (64, 64), (90, 120, 200)))
    assert gatecam("predict", "a.png", "b.png", "--submission", "s.csv").code == 0
    (_, astronaut), (_, sky) = answers(tmp_path / "s.csv")
    assert class_parts(astronaut)[:2] == (2, 1)  # a woman without a mask
    assert 0 <= sky < 18
