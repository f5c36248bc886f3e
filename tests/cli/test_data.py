"""`gatecam data stats` and `gatecam data split`: what they print, write and refuse."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest

from tests.contest import ContestTree


@pytest.fixture
def people(tmp_path, astronaut) -> Path:
    """A contest folder of forty people."""
    face = PIL.Image.fromarray(astronaut[45:180, 157:292]).resize((16, 16))
    tree = ContestTree(tmp_path / "people", face)
    for i in range(40):
        tree.add(f"{i:06d}_{('male', 'female')[i % 2]}_Asian_{(20, 40, 60)[i // 2 % 3]}")
    tree.lines.append("000099,male,Asian,20,gone")
    return tree.save()


def test_stats_show_counts_and_problems_and_write_a_page(gatecam, people):
    ended = gatecam("data", "stats", people, "--page", "page.html")
    assert ended.code == 0, ended.err
    assert "40 people or scenes, 280 pictures, 280 faces." in " ".join(ended.out.split())
    for word in ("contest", "17: none, female, >=60", "folder is missing", "left out", "page.html"):
        assert word in ended.out
    assert "folder is missing: gone" in Path("page.html").read_text()


def test_stats_of_several_collections_add_them_up(gatecam, people, tmp_path):
    (tmp_path / "more" / "correct").mkdir(parents=True)
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "more" / "correct" / "a.png")
    ended = gatecam("data", "stats", people, tmp_path / "more")
    assert ended.code == 0
    said = " ".join(ended.out.split())
    assert "all together" in said
    assert "41 people or scenes, 281 pictures, 281 faces." in said


def test_names_and_words_in_brackets_are_shown_as_they_are(gatecam, tmp_path):
    folder = tmp_path / "door [old]"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        PIL.Image.new("RGB", (8, 8)).save(folder / name)
    (folder / "faces.csv").write_text("image,label,race\na.png,[/x],\nb.png,mask,[y]\n")
    ended = gatecam("data", "stats", folder)
    assert ended.code == 0, ended.err
    assert "door [old]: 2 problems" in ended.out
    for word in ("'[/x]'", "[y]"):
        assert word in ended.out
    ended = gatecam("data", "split", folder, "--out", "split.csv", "--validation", "0", "--test", "0")
    assert "door [old]: 1 faces" in ended.out


def test_unlabelled_pictures_are_said_to_be(gatecam, tmp_path):
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "info.csv").write_text("ImageID\na.jpg\n")
    ended = gatecam("data", "stats", tmp_path / "eval")
    assert ended.code == 0
    assert "unlabelled" in ended.out
    assert "picture is missing" in ended.out


def test_a_split_is_written_and_shown_and_its_problems_told(gatecam, people):
    ended = gatecam("data", "split", people, "--out", "split.csv", "--test", "0.2")
    assert ended.code == 0
    assert "people: train.csv:42: folder is missing: gone; left out" in ended.err
    assert "warning" not in ended.err
    lines = Path("split.csv").read_text().splitlines()
    assert lines[0] == "collection,image,part"
    assert len(lines) == 281
    folders = [(line.split("/")[1], line.rsplit(",", 1)[1]) for line in lines[1:]]
    assert len(set(folders)) == 40
    assert [sum(part == p for _, part in set(folders)) for p in ("train", "validation", "test")] == [28, 4, 8]
    assert "280 faces" in ended.out
    again = gatecam("data", "split", people, "--out", "split.csv", "--test", "0.2")  # replaces a split
    assert again.code == 0
    assert Path("split.csv").read_text().splitlines() == lines


def test_a_split_by_image_warns_of_people_in_two_parts(gatecam, people):
    ended = gatecam("data", "split", people, "--out", "split.csv", "--by", "image")
    assert ended.code == 0
    (warning,) = [line for line in ended.err.splitlines() if "warning" in line]
    assert "people or scenes are in more than one part" in warning
    assert "will be too good" in warning


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data", "stats", "gone"), "there is no such file or folder"),
        (("data", "stats", "people", "--page", "gone/page.html"), "its folder does not exist"),
        (("data", "split", "people", "--out", "gone/split.csv"), "its folder does not exist"),
        (("data", "split", "people", "--out", "people/train.csv"), "exists but is not a split file"),
        (("data", "split", "people", "--out", "people"), "people: "),
        (("data", "split", "people", "people", "--out", "s.csv"), "is given twice"),
        (("data", "split", "people", "--out", "s.csv", "--test", "0.95"), "nothing is left to train on"),
        (("data", "split", "people", "--out", "s.csv", "--test", "0.001"), "test would be empty"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(gatecam, people, words, said):
    table = (people / "train.csv").read_text()
    ended = gatecam(*words)
    assert ended.code == 2
    assert ended.out == ""
    (line,) = [line for line in ended.err.splitlines() if "folder is missing: gone" not in line]
    assert said in line
    assert (people / "train.csv").read_text() == table
    assert not Path("s.csv").exists()
