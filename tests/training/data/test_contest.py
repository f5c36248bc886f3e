"""The contest's folders, clean and with all their dirt: every row right, every problem told, nothing lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import PIL.Image
import pytest

from gatecam.errors import DataError
from gatecam.training.data.layouts import open_collection
from gatecam.training.data.rows import Collection, Row
from tests.contest import HEAD, SEVEN, ContestTree


@pytest.fixture
def tree(tmp_path, astronaut) -> ContestTree:
    return ContestTree(tmp_path / "train", PIL.Image.fromarray(astronaut[45:180, 157:292]).resize((64, 64)))


def told(collection: Collection) -> list[tuple[str, str, str]]:
    return [(problem.where, problem.what, problem.done) for problem in collection.problems]


def labels(row: Row) -> tuple[int, int, int, int]:
    return row.mask, row.gender, row.age, row.years


def test_a_clean_tree_gives_seven_pictures_a_person_and_no_problem(tree):
    tree.add("000001_female_Asian_45")
    tree.add("000002_male_Asian_29")
    collection = open_collection(tree.save())
    assert (collection.name, collection.layout) == ("train", "the contest's, one folder per person")
    assert told(collection) == []
    assert [row.image.stem for row in collection.rows[:7]] == sorted(SEVEN)
    assert {labels(row) for row in collection.rows[:7]} == {(0, 1, 1, 45), (1, 1, 1, 45), (2, 1, 1, 45)}
    assert Counter(row.mask for row in collection.rows) == {0: 10, 1: 2, 2: 2}
    assert [row.mask for row in collection.rows if row.image.stem == "incorrect_mask"] == [1, 1]
    assert {labels(row)[1:] for row in collection.rows[7:]} == {(0, 0, 29)}
    assert {(row.race, row.box, row.suspect) for row in collection.rows} == {("asian", None, False)}
    assert len({row.key for row in collection.rows[:7]}) == 1
    assert collection.rows[0].key != collection.rows[7].key
    assert all(row.image.is_file() for row in collection.rows)


def test_the_folder_the_csv_and_the_images_alone_give_the_same_rows(tree):
    tree.add("000001_female_Asian_45")
    tree.add("000002-1_male_Asian_60")
    root = tree.save()
    whole = open_collection(root).rows
    assert open_collection(root / "train.csv").rows == whole
    assert open_collection(root / "images").rows == whole
    (root / "train.csv").unlink()
    assert open_collection(root).rows == whole


@pytest.mark.parametrize(
    ("line", "labels_kept", "what", "done"),
    [
        ("000001,female,Asian,0,FOLDER", (1, 1, 45), "age is not valid: '0'", "45, from the folder's name"),
        (
            "000001,female,Asian,abc,FOLDER",
            (1, 1, 45),
            "age is not valid: 'abc'",
            "45, from the folder's name",
        ),
        (
            "000001,female,Asian,200,FOLDER",
            (1, 1, 45),
            "age is not valid: '200'",
            "45, from the folder's name",
        ),
        ("000001,female,Asian,-1,FOLDER", (1, 1, 45), "age is not valid: '-1'", "45, from the folder's name"),
        ("000001,,Asian,45,FOLDER", (1, 1, 45), "gender is not valid: ''", "female, from the folder's name"),
        (
            "000001,male,Asian,45,FOLDER",
            (-1, 1, 45),
            "gender differs from the folder's name: male, female",
            "left unknown",
        ),
        (
            "000001,female,Asian,60,FOLDER",
            (1, -1, -1),
            "age differs from the folder's name: 60, 45",
            "left unknown, because the age bands differ",
        ),
        (
            "000001,female,Asian,46,FOLDER",
            (1, 1, 46),
            "age differs from the folder's name: 46, 45",
            "the CSV's value is used",
        ),
        (
            "000009,female,Asian,45,FOLDER",
            (1, 1, 45),
            "id differs from the folder's name: 000009, 000001",
            "the CSV's value is used",
        ),
    ],
)
def test_a_wrong_value_is_listed_and_the_other_labels_stay(tree, line, labels_kept, what, done):
    folder = "000001_female_Asian_45"
    tree.add(folder, line.replace("FOLDER", folder).split(","))
    collection = open_collection(tree.save())
    assert {labels(row)[1:] for row in collection.rows} == {labels_kept}
    assert told(collection) == [("train.csv:2", what, done)]


def test_an_age_that_neither_csv_nor_folder_know_stays_unknown(tree):
    tree.add("000001_female_Asian_abc", ("000001", "female", "Asian", "?", "000001_female_Asian_abc"))
    collection = open_collection(tree.save())
    assert {labels(row)[1:] for row in collection.rows} == {(1, -1, -1)}
    assert told(collection) == [("train.csv:2", "age is not valid: '?'", "left unknown")]
    named = open_collection(tree.root / "images")
    assert named.rows == collection.rows
    assert told(named) == [("000001_female_Asian_abc", "age is not valid: 'abc'", "left unknown")]


def test_an_id_of_two_people_makes_two_people(tree):
    tree.add("000001_female_Asian_45")
    tree.add("000001_male_Asian_20")
    collection = open_collection(tree.save())
    assert len({row.key for row in collection.rows}) == 2
    assert told(collection) == [
        (
            "train.csv:3",
            "id is used twice: 000001",
            "treated as a different person from 000001_female_Asian_45",
        )
    ]


def test_two_folders_of_one_id_and_like_labels_may_be_one_person_and_are_never_parted(tree):
    tree.add("000001_female_Asian_59")
    tree.add("000001_female_Asian_60")
    collection = open_collection(tree.save())
    assert len(collection.rows) == 14
    assert len({row.key for row in collection.rows}) == 1
    assert told(collection)[0][2] == "treated as the same person as 000001_female_Asian_59"


def test_a_person_listed_twice_is_taken_once(tree):
    tree.add("000001_female_Asian_45")
    tree.lines.append(tree.lines[-1])
    collection = open_collection(tree.save())
    assert len(collection.rows) == 7
    assert told(collection) == [
        ("train.csv:3", "person is listed twice: 000001_female_Asian_45", "used once")
    ]


def test_labels_on_which_two_lines_of_a_person_differ_are_unknown(tree):
    tree.add("000001_female_Asian_45")
    tree.lines.append("000001,female,Asian,47,000001_female_Asian_45")
    collection = open_collection(tree.save())
    assert {labels(row)[1:] for row in collection.rows} == {(1, -1, -1)}
    assert "person is listed twice with other labels: 000001_female_Asian_45" in {
        w for _, w, _ in told(collection)
    }


def test_missing_folders_pictures_and_lines_are_listed_and_the_rest_is_read(tree):
    tree.add("000001_female_Asian_45", stems=("mask1", "normal"))
    tree.add("000002_male_Asian_20", ("000002", "male", "Asian", "20", "elsewhere"))
    tree.lines += ['000003,male,"Asian,20,x', "000004,male,Asian,20,x,more", "000005,male"]
    collection = open_collection(tree.save())
    assert [row.image.stem for row in collection.rows] == ["mask1", "normal"]
    assert sorted(told(collection)) == [
        ("images", "folders are not in train.csv: 1, such as 000002_male_Asian_20", "not used"),
        (
            "images/000001_female_Asian_45",
            "picture is missing: mask2, mask3, mask4, mask5, incorrect_mask",
            "the other pictures are used",
        ),
        ("train.csv:3", "folder is missing: elsewhere", "left out"),
        ("train.csv:4", "line cannot be read: unexpected end of data", "left out"),
        ("train.csv:5", "line has too many values: expected 5, got 6", "left out"),
        ("train.csv:6", "folder is missing: no path is given", "left out"),
    ]


def test_files_of_systems_are_told_of_once_and_odd_files_each(tree):
    folder = tree.add("000001_female_Asian_45")
    for name in ("._mask1.jpg", ".DS_Store", "Thumbs.db"):
        (folder / name).write_bytes(b"x")
    (tree.root / "images" / ".DS_Store").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    (folder / "mask1.bmp").write_bytes(b"x")
    mask2 = next(folder.glob("mask2.*"))
    mask2.rename(folder / "mask2.jfi")
    mask3 = next(folder.glob("mask3.*"))
    mask3.rename(folder / "mask3.txt").write_bytes(b"no picture")
    next(folder.glob("mask4.*")).write_bytes(b"")
    collection = open_collection(tree.save())
    where = "images/000001_female_Asian_45"
    assert sorted(path.image.stem for path in collection.rows) == [
        "incorrect_mask",
        "mask1",
        "mask2",
        "mask5",
        "normal",
    ]
    by_place = {place: (what, done) for place, what, done in told(collection)}
    assert by_place["images"] == ("files of an operating system: 4, such as .DS_Store", "ignored")
    assert by_place[f"{where}/mask1.bmp"] == (
        "picture exists twice, with two extensions",
        "mask1.jpg is used",
    )
    assert by_place[f"{where}/mask2.jfi"] == (
        "file extension is unexpected: .jfi",
        "used, because it is a picture",
    )
    assert by_place[f"{where}/mask3.txt"] == ("file extension is unexpected: .txt", "left out")
    assert by_place[f"{where}/mask4.JPG"] == ("picture is empty", "left out")
    assert by_place[f"{where}/notes.txt"][0].startswith("file is not one of mask1, mask2")
    assert by_place[where][0] == "picture is missing: mask3, mask4"
    assert len(by_place) == len(collection.problems) == 7


def test_what_covers_a_face_is_read_from_the_masks_beside_it(tree):
    folder = tree.add("000001_female_Asian_45")
    root = tree.save()
    (root / "masks.csv").write_text(
        "path,file,kind\n"
        f'{folder.name},mask1.jpg,"surgical, right"\n'
        f"{folder.name},incorrect_mask.jpg,under_chin\n"
    )
    kinds = {row.image.stem: row.kind for row in open_collection(root).rows}
    assert kinds == {**dict.fromkeys(SEVEN, ""), "mask1": "surgical, right", "incorrect_mask": "under_chin"}


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-8"), (",", "cp949")])
def test_tables_of_korean_and_other_spreadsheets_are_read(tree, delimiter, encoding):
    folder = tree.add("000001_female_Asian_45")
    table = tree.save() / "train.csv"
    text = f"{HEAD}\r\n000001,여성,동양인,45,{folder.name}\r\n".replace(",", delimiter)
    table.write_bytes(text.encode(encoding))
    collection = open_collection(tree.root)
    assert {labels(row)[1:] for row in collection.rows} == {(1, 1, 45)}
    assert told(collection) == [
        ("train.csv:2", "race differs from the folder's name: 동양인, asian", "left unknown")
    ]


def test_a_folder_that_is_no_person_is_listed(tree):
    tree.add("000001_female_Asian_45")
    (tree.root / "images" / "others").mkdir()
    collection = open_collection(tree.root / "images")
    assert len(collection.rows) == 7
    assert told(collection) == [
        ("others", "folder is not a person's: expected id_gender_race_age", "left out")
    ]


def test_nothing_usable_is_one_sentence_that_says_what_was_amiss(tree):
    tree.lines.append("000001,female,Asian,45,000001_female_Asian_45")
    with pytest.raises(
        DataError, match=r"contains no usable face \(train\.csv:2: folder is missing: .*\)\. .*\.$"
    ):
        open_collection(tree.save())


def test_a_folder_above_collections_names_them(tree):
    tree.add("000001_female_Asian_45")
    tree.save()
    with pytest.raises(
        DataError, match=r"contains collections but is not one itself\. Choose train inside it\.$"
    ):
        open_collection(Path(tree.root.parent))
