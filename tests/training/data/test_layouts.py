"""Every layout but the contest's: recognized, read, and each thing that is wrong listed."""

from __future__ import annotations

import time
import unicodedata
from pathlib import Path

import PIL.Image
import pytest

from gatecam.errors import DataError
from gatecam.training.data.layouts import open_collection, open_collections
from gatecam.training.data.rows import Collection
from gatecam.types import Box

BOXES = "image,x1,y1,x2,y2,label,suspect,group"
FACES = "image,age,gender,race"


@pytest.fixture
def write(tmp_path):
    """Writes a table with a dot of a picture for each name given; gives the folder."""

    def build(table: str, lines: list[str], pictures: tuple[str, ...] = ("a.jpg", "b.png")) -> Path:
        folder = tmp_path / "data"
        for name in pictures:
            path = folder / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.new("RGB", (8, 8)).save(path)
        (folder / table).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    return build


def told(collection: Collection) -> list[tuple[str, str, str]]:
    return [(problem.where, problem.what, problem.done) for problem in collection.problems]


def test_boxes_are_read(write):
    folder = write(
        "faces.csv", [BOXES, "a.jpg,1,2,3,4,with_mask,0,7", "a.jpg,4,2,6,4,with_incorrect_mask,1,7"]
    )
    collection = open_collection(folder)
    assert collection.layout == "a CSV with boxes"
    first, second = collection.rows
    assert (first.box, first.mask, first.gender, first.age, first.suspect, first.key) == (
        Box(1, 2, 3, 4),
        0,
        -1,
        -1,
        False,
        "7",
    )
    assert (second.mask, second.suspect) == (1, True)
    assert first.image == folder / "images" / "a.jpg"
    assert told(collection) == [("images", "pictures are not in faces.csv: 1, such as b.png", "not used")]


def test_boxes_need_neither_group_nor_suspect(write):
    lines = ["image,x1,y1,x2,y2,label", "a.jpg,1,2,3,4,without_mask", "b.png,1,2,3,4,mask_weared_incorrect"]
    collection = open_collection(write("any.csv", lines) / "any.csv")
    assert [(row.mask, row.suspect, row.key) for row in collection.rows] == [
        (2, False, "a.jpg"),
        (1, False, "b.png"),
    ]
    assert told(collection) == [
        ("any.csv", "people are unknown", "each picture counts as a different person")
    ]


@pytest.mark.parametrize("corners", ["x,y,w,h", "xmin,ymin,xmax,ymax", "x1,y1,x2,bottom"])
def test_columns_of_boxes_that_are_not_known_are_told(write, corners):
    lines = [f"image,{corners},label", "a.jpg,1,2,3,4,with_mask", "b.png,1,2,3,4,with_mask"]
    collection = open_collection(write("any.csv", lines))
    assert collection.layout == "a CSV of faces"
    assert ("any.csv", f"columns are not known: {', '.join(corners.split(','))}", "not used") in told(
        collection
    )


BAD_BOX = "box is not valid: expected numbers, x1 < x2 and y1 < y2, got"
LEFT_OUT = [
    ("b.png,1,2,3,4,hat,0,9", "label is not valid: 'hat'"),
    *(
        (f"b.png,{box},with_mask,0,9", f"{BAD_BOX} {box}")
        for box in ("x,2,3,4", "1,nan,3,4", "1,2,inf,4", "-inf,2,3,4", "1,2,1e308,4", "3,2,3,4", "-9,2,-3,4")
    ),
    ("b.png,1", f"{BAD_BOX} 1,,,"),
    (",1,2,3,4,with_mask,0,9", "picture is missing: none is named"),
    ("c.jpg,1,2,3,4,with_mask,0,9", "picture is missing: c.jpg"),
    ("b.png,1,2,3,4,with_mask,0,9,9", "line has too many values: expected 8, got 9"),
    ('"b.png,1,2,3,4,with_mask,0,9', "line cannot be read: unexpected end of data"),
    ("a.jpg,1,2,3,4,with_mask,0,7", "face is listed twice"),
]


@pytest.mark.parametrize(("line", "what"), LEFT_OUT)
def test_a_line_of_boxes_that_cannot_be_used_is_listed_and_the_others_are_read(write, line, what):
    lines = [BOXES, "a.jpg,1,2,3,4,with_mask,0,7", "", line, "b.png,2,2,3,3,without_mask,0,8"]
    collection = open_collection(write("faces.csv", lines))
    problem = next(p for p in collection.problems if p.where == "faces.csv:4")
    assert problem.what == what
    assert problem.done.startswith(("left out", "used once"))
    assert [(row.image.name, row.mask, row.suspect) for row in collection.rows] == [
        ("a.jpg", 0, False),
        ("b.png", 2, False),
    ]


@pytest.mark.parametrize(
    ("line", "what", "done", "kept"),
    [
        (
            "b.png,1,2,3,4,with_mask,maybe,9",
            "suspect is neither 0 nor 1: 'maybe'",
            "treated as doubtful",
            ("b.png", True, "9"),
        ),
        (
            "b.png,1,2,3,4,with_mask,0,",
            "group is missing",
            "treated as a group of its own",
            ("b.png", False, "b.png"),
        ),
        (
            "B.PNG,1,2,3,4,with_mask,0,9",
            "picture has a different name: B.PNG exists as b.png",
            "used",
            ("b.png", False, "9"),
        ),
        (
            "b.jpeg,1,2,3,4,with_mask,0,9",
            "picture has a different name: b.jpeg exists as b.png",
            "used",
            ("b.png", False, "9"),
        ),
        (
            "a.jpg,1,2,3,4,without_mask,0,7",
            "face is listed twice with other labels",
            "the first is used and marked doubtful",
            ("a.jpg", True, "7"),
        ),
        (
            "a.jpg,5,2,7,4,with_mask,0,8",
            "picture is in two groups: 7, 8",
            "assigned to 7",
            ("a.jpg", False, "7"),
        ),
    ],
)
def test_a_line_of_boxes_that_is_amiss_is_listed_and_used(write, line, what, done, kept):
    collection = open_collection(write("faces.csv", [BOXES, "a.jpg,1,2,3,4,with_mask,0,7", line]))
    (problem,) = [p for p in collection.problems if p.where == "faces.csv:3"]
    assert (problem.what, problem.done) == (what, done)
    last = collection.rows[-1]
    assert (last.image.name, last.suspect, last.key) == kept
    assert last.mask == 0


def test_faces_are_read_as_bare(write):
    collection = open_collection(write("people.csv", [FACES, "a.jpg,29,female,White", "b.png,60.5,male,"]))
    first, second = collection.rows
    assert (first.mask, first.gender, first.age, first.years, first.race) == (2, 1, 0, 29, "white")
    assert (second.mask, second.gender, second.age, second.years, second.race) == (2, 0, 2, 60, "")
    assert (first.box, first.key, first.suspect) == (None, "a.jpg", False)


@pytest.mark.parametrize(
    ("line", "labels", "what"),
    [
        ("b.png,old,female,white", (1, -1), "age is not valid: 'old'"),
        ("b.png,-3,female,white", (1, -1), "age is not valid: '-3'"),
        ("b.png,20,?,white", (-1, 0), "gender is not valid: '?'"),
        ("b.png,20", (-1, 0), "gender is not valid: ''"),
    ],
)
def test_a_face_of_one_wrong_label_keeps_the_other(write, line, labels, what):
    collection = open_collection(write("people.csv", [FACES, "a.jpg,29,female,white", line]))
    assert (collection.rows[1].gender, collection.rows[1].age) == labels
    (problem,) = [p for p in collection.problems if p.where == "people.csv:3"]
    assert (problem.what, problem.done) == (what, "left unknown")


@pytest.mark.parametrize(
    ("columns", "values", "row"),  # row: mask, gender, years, kind, boxed
    [
        ("label,kind,suspect", "with_mask,N95,0", (0, -1, -1, "n95", False)),  # the set `crops`
        ("label,kind,suspect", "without_mask,none,0", (2, -1, -1, "", False)),
        ("gender,label", "female,with_mask", (0, 1, -1, "", False)),  # the set `masked_gender`
        ("label", "with_incorrect_mask", (1, -1, -1, "", False)),
        ("gender", "male", (-1, 0, -1, "", False)),
        ("age", "31", (-1, -1, 31, "", False)),
        ("age,gender", "31,male", (2, 0, 31, "", False)),  # nobody wears a mask in sets of ages and genders
        ("age,gender,label,group", "29,f,incorrect,p1", (1, 1, 29, "", False)),
        ("x1,y1,x2,y2", "1,2,3,4", (-1, -1, -1, "", True)),
        ("x1,y1,x2,y2,gender", "1,2,3,4,f", (-1, 1, -1, "", True)),
        ("x1,y1,x2,y2,age,gender", "1,2,3,4,31,m", (2, 0, 31, "", True)),
        ("x1,y1,x2,y2,label,age,gender", "1,2,3,4,,31,m", (-1, 0, 31, "", True)),  # a doubtful mask
    ],
)
def test_any_known_columns_are_a_layout_and_what_is_missing_is_unknown(write, columns, values, row):
    (read,) = open_collection(write("faces.csv", [f"image,{columns}", f"a.jpg,{values}"])).rows
    assert (read.mask, read.gender, read.years, read.kind, read.box is not None) == row


def test_pictures_may_lie_beside_the_table_or_deeper(write, tmp_path):
    folder = write("people.csv", [FACES, "a.jpg,29,female,", r"deep\b.png,30,male,"], ("a.jpg", "deep/b.png"))
    (folder / "images" / "a.jpg").rename(folder / "a.jpg")
    collection = open_collection(folder)
    assert [row.image for row in collection.rows] == [folder / "a.jpg", folder / "images" / "deep" / "b.png"]


def test_pictures_whose_names_macos_spelt_are_found(write):
    on_disk, listed = (unicodedata.normalize(form, "가족/나.jpg") for form in ("NFD", "NFC"))
    collection = open_collection(write("people.csv", [FACES, f"{listed},29,female,"], (on_disk,)))
    assert [row.image.name for row in collection.rows] == [Path(on_disk).name]
    assert not any("different name" in what for _, what, _ in told(collection))


def test_pictures_whose_names_differ_only_in_case_are_two(write):
    folder = write("people.csv", [FACES, "A.jpg,29,female,", "a.jpg,30,male,"], ("A.jpg", "a.jpg"))
    assert [row.image.name for row in open_collection(folder).rows] == ["A.jpg", "a.jpg"]


def test_the_unlabelled_half_keeps_every_line_in_order(write):
    folder = write("info.csv", ["ImageID,ans", "b.png,0", "gone.jpg,0", "a.jpg,0"])
    collection = open_collection(folder)
    assert collection.layout == "the contest's unlabelled half"
    assert [row.image.name for row in collection.rows] == ["b.png", "gone.jpg", "a.jpg"]
    assert {(row.mask, row.gender, row.age) for row in collection.rows} == {(-1, -1, -1)}
    assert told(collection) == [
        ("info.csv", "column ans holds no true labels", "not used"),
        ("info.csv:3", "picture is missing: gone.jpg", "kept, because a submission needs its line"),
    ]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("0", (0, 0, 0)),
        ("17", (2, 1, 2)),
        ("00", (0, 0, 0)),
        ("class_3", (0, 1, 0)),
        ("with_mask", (0, -1, -1)),
        ("Correct", (0, -1, -1)),
        ("incorrect mask", (1, -1, -1)),
        ("without-mask", (2, -1, -1)),
        ("normal", (2, -1, -1)),
        ("correct_male_<30", (0, 0, 0)),
        ("with_mask_female_30-59", (0, 1, 1)),
        ("incorrect_female_under_30", (1, 1, 0)),
        ("none_male_60+", (2, 0, 2)),
    ],
)
def test_a_folder_a_class_is_read(write, name, labels):
    folder = write("notes.txt", ["x"], (f"{name}/a.jpg", f"{name}/deep/b.png", "others/c.jpg"))
    (folder / "images" / name / "._a.jpg").write_bytes(b"x")
    (folder / "images" / name / "list.txt").write_text("x")
    for root in (folder, folder / "images"):
        collection = open_collection(root)
        assert collection.layout == "one folder per class"
        assert [row.image.name for row in collection.rows] == ["a.jpg", "b.png"]
        assert {(row.mask, row.gender, row.age) for row in collection.rows} == {labels}
        assert len({row.key for row in collection.rows}) == 2
        assert {(what.partition(":")[0], done) for _, what, done in told(collection)} == {
            ("people are unknown", "each picture counts as a different person"),
            ("file extension is unexpected", "left out"),
            ("folder is not a class", "left out"),
            ("files of an operating system", "ignored"),
        }


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([""], r"its columns match no known layout \(\); expected a CSV file with .*\.$"),
        (
            ["image,race", "a.jpg,x"],
            r"layout \(image,race\); .*image and at least one of label, gender, .*\.$",
        ),
        ([FACES], r"people\.csv: contains no usable face\. .*\.$"),
        ([FACES, "c.jpg,20,male,"], r"contains no usable face \(people\.csv:2: picture is missing: c\.jpg\)"),
    ],
)
def test_a_table_of_which_nothing_can_be_used_is_told(write, lines, said):
    with pytest.raises(DataError, match=said):
        open_collection(write("people.csv", lines) / "people.csv")


def test_a_table_that_is_no_text_is_told(write):
    folder = write("people.csv", [FACES])
    (folder / "people.csv").write_bytes(b"\xff\xfe\x00\xff" * 9)
    with pytest.raises(
        DataError,
        match=r"people\.csv: not a CSV file in UTF-8 or CP949\. Save it in one of these encodings\.$",
    ):
        open_collection(folder / "people.csv")


def test_an_unknown_layout_names_those_that_are_known(write):
    folder = write("notes.txt", ["x"])
    with pytest.raises(
        DataError, match=r"layout is not recognized; expected a folder with a CSV .* 000001_fem"
    ):
        open_collection(folder)
    with pytest.raises(DataError, match=r"there is no such file or folder"):
        open_collection(folder / "missing")


def test_two_tables_in_a_folder_are_not_guessed_between(write):
    folder = write("people.csv", [FACES, "a.jpg,29,female,"])
    (folder / "more.csv").write_text(f"{FACES}\nb.png,20,male,\n")
    with pytest.raises(
        DataError, match=r"contains several tables \(more\.csv, people\.csv\)\. Choose one of them\.$"
    ):
        open_collection(folder)
    assert len(open_collection(folder / "more.csv").rows) == 1


def test_collections_of_one_name_are_told_apart_and_none_is_read_twice(write, tmp_path):
    folder = write("people.csv", [FACES, "a.jpg,29,female,"])
    (tmp_path / "other").mkdir()
    folder.rename(tmp_path / "other" / "data")
    folder = write("people.csv", [FACES, "a.jpg,29,female,"])
    both = open_collections([folder, tmp_path / "other" / "data"])
    assert [collection.name for collection in both] == ["data", "data-2"]
    with pytest.raises(DataError, match="is given twice"):
        open_collections([folder, folder / "images" / ".."])


def test_ten_thousand_faces_are_opened_without_delay(tmp_path):
    (tmp_path / "images").mkdir()
    lines = [FACES]
    for i in range(10_000):
        (tmp_path / "images" / f"{i}.jpg").touch()
        lines.append(f"{i}.jpg,20,male,")
    (tmp_path / "people.csv").write_text("\n".join(lines))
    start = time.process_time()
    assert len(open_collection(tmp_path).rows) == 10_000
    assert time.process_time() - start < 2
