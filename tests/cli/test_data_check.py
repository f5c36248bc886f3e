"""`gatecam data check` on small folders."""

import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest


def blocks(seed, side=96):
    colours = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return PIL.Image.fromarray(colours).resize((side, side), PIL.Image.Resampling.NEAREST)


@pytest.fixture
def people(tmp_path):
    """Makes a folder of `count` unlike pictures, each of another person, men and women in turn."""

    def make(count, name="people"):
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        lines = ["image,age,gender,race"]
        for i in range(count):
            blocks(i).save(folder / "images" / f"{i}.png")
            lines.append(f"{i}.png,{40},{('male', 'female')[i % 2]},white")
        (folder / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    return make


def split_file(folder, **parts):
    lines = ["collection,image,part", *(f"people,images/{i[1:]}.png,{part}" for i, part in parts.items())]
    (folder.parent / "split.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_good_pictures_pass_and_leave_a_page(gatecam, people, tmp_path):
    people(4)
    ended = gatecam("data", "check", "people", "--no-labels")
    assert ended.code in (0, None), ended
    assert "written: check.html" in ended.out
    html = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert "people (a CSV of faces, 4 faces)" in html
    assert "Labels were not compared" in html


def test_a_damaged_picture_ends_with_1_after_the_page_is_written(gatecam, people, tmp_path):
    (people(4) / "images" / "2.png").write_bytes(b"")
    ended = gatecam("data", "check", "people", "--no-labels", "--page", "p.html", "--csv", "p.csv")
    assert ended.code == 1
    assert "damaged picture: people: images/2.png: the file is empty" in ended.out
    assert "images/2.png" in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "damaged picture,1,people,images/2.png," in (tmp_path / "p.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("part", "code", "said"),
    [("test", 1, "one photograph in two parts"), ("train", 0, "one photograph of two people")],
)
def test_a_copy_in_another_part_is_a_leak(gatecam, people, part, code, said):
    folder = people(4)
    blocks(0, side=64).save(folder / "images" / "3.png", quality=40)
    split_file(folder, _0="train", _1="train", _2="train", _3=part)
    ended = gatecam("data", "check", "people", "--no-labels", "--split", "split.csv")
    assert (ended.code or 0) == code
    assert f"{said}: people: images/0.png, people: images/3.png" in ended.out


def test_a_wrong_label_is_contradicted(gatecam, people, tmp_path, monkeypatch):
    folder = people(30)
    table = folder / "people.csv"
    table.write_text(table.read_text().replace("\n8.png,40,male", "\n8.png,40,female"), encoding="utf-8")

    def features(network, faces, spec, progress):
        numbers = np.array([int(Path(image).stem) for image in faces.images])
        return np.repeat(numbers[:, None] % 2, 256, 1).astype(np.float32)

    monkeypatch.setattr("gatecam.training.data.run_check.features_of", features)
    ended = gatecam("data", "check", "people", "--folds", "3")
    assert ended.out.count("contradicted label: ") == 1
    assert "contradicted label: people: images/8.png: gender labelled female" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--page", "no/p.html"), "no/p.html"),
        (("--csv", "people/people.csv"), "people.csv"),
        (("--split", "none.csv"), "none.csv"),
    ],
)
def test_what_cannot_work_is_refused_before_the_work(gatecam, people, tmp_path, words, said):
    folder = people(4)
    before = (folder / "people.csv").read_text(encoding="utf-8")
    ended = gatecam("data", "check", "people/people.csv", "--no-labels", *words)
    assert ended.code == 2
    assert said in ended.err
    assert "open:" not in ended.err
    assert (folder / "people.csv").read_text(encoding="utf-8") == before


def test_the_extra_that_judges_labels_is_named_before_the_work(gatecam, people, monkeypatch):
    people(4)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    ended = gatecam("data", "check", "people")
    assert ended.code == 2
    assert "pip install 'gatecam[train]'" in ended.err
