"""Reading labelled folders, cutting patches, caching them, and splitting without a leak."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from gatecam.errors import DataError
from gatecam.geometry import iou
from gatecam.training import data
from gatecam.training.data import PATCH_PX, Faces, load_faces, read_ilc, read_utkface
from gatecam.types import Box, Image

ILC_HEAD = "image,x1,y1,x2,y2,label,suspect,group\n"
UTKFACE_HEAD = "image,age,gender,race\n"
FACE = "180,61,268,172"


def quiet(done: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def ilc(tmp_path, astronaut) -> Path:
    """An `ilc` folder: two faces in one picture, one in another, one in a dark corner without a face."""
    folder = tmp_path / "ilc"
    (folder / "images").mkdir(parents=True)
    PIL.Image.fromarray(np.concatenate([astronaut, astronaut[:, ::-1]], 1)).save(
        folder / "images" / "two.png"
    )
    PIL.Image.fromarray(np.array(astronaut)).save(folder / "images" / "one.png")
    (folder / "faces.csv").write_text(
        f"{ILC_HEAD}two.png,{FACE},with_mask,0,7\ntwo.png,756,61,844,172,with_incorrect_mask,1,7\n"
        f"one.png,{FACE},without_mask,0,8\none.png,400,300,440,330,without_mask,0,8\n"
    )
    return folder


@pytest.fixture
def utkface(tmp_path, astronaut) -> Path:
    """A `utkface` folder: two faces cut out, one of them 128 px wide, one small."""
    folder = tmp_path / "utkface"
    (folder / "images").mkdir(parents=True)
    face = np.array(astronaut[50:180, 160:290])
    for name, side in (("a.jpg", 128), ("b.jpg", 50)):
        resized = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        PIL.Image.fromarray(resized).save(folder / "images" / name, quality=95)
    (folder / "people.csv").write_text(f"{UTKFACE_HEAD}a.jpg,29,female,white\nb.jpg,60.5,male,other\n")
    return folder


def test_the_faces_of_ilc_are_read(ilc):
    rows = read_ilc(ilc)
    assert [row.image.name for row in rows] == ["two.png", "two.png", "one.png", "one.png"]
    assert [row.mask for row in rows] == [0, 1, 2, 2]
    assert [row.suspect for row in rows] == [False, True, False, False]
    assert [row.key for row in rows] == ["7", "7", "8", "8"]
    assert {(row.gender, row.age) for row in rows} == {(-1, -1)}
    assert rows[0].box == Box(180, 61, 268, 172)
    assert rows[0].image.is_file()


def test_the_faces_of_utkface_are_read(utkface):
    first, second = read_utkface(utkface)
    assert (first.mask, first.gender, first.age, first.key) == (2, 1, 0, "a.jpg")
    assert (second.mask, second.gender, second.age, second.key) == (2, 0, 2, "b.jpg")
    assert first.box is None
    assert not first.suspect


def test_a_table_saved_with_a_byte_order_mark_is_read(utkface):
    path = utkface / "people.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read_utkface(utkface)) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("one.png,180,61,268,172,with_hat,0,9", "label: expected with_mask or .*, got 'with_hat'"),
        ("one.png,left,61,268,172,with_mask,0,9", "x1: expected a number of 0 and more, got 'left'"),
        ("one.png,180,nan,268,172,with_mask,0,9", "y1: expected a number .* got 'nan'"),
        ("one.png,180,61,inf,172,with_mask,0,9", "x2: expected a number .* got 'inf'"),
        ("one.png,180,61,180,172,with_mask,0,9", "expected x1 < x2 and y1 < y2"),
        ("one.png,180,172,268,61,with_mask,0,9", "expected x1 < x2 and y1 < y2"),
        ("one.png,180,61,268,172,with_mask,maybe,9", "suspect: expected 0 or 1, got 'maybe'"),
        ("one.png,180,61,268,172,with_mask,0,", "group: expected a name, got nothing"),
        (",180,61,268,172,with_mask,0,9", "image: expected a name, got nothing"),
        ("one.png,180", "y1: expected a number of 0 and more, got ''"),
    ],
)
def test_a_bad_line_of_ilc_is_told_with_file_and_line(ilc, line, said):
    with (ilc / "faces.csv").open("a") as file:
        file.write(f"\n{line}\n")  # after an empty line, which counts too
    with pytest.raises(DataError, match=rf"faces\.csv:7: {said}; mend or remove the line\.$"):
        read_ilc(ilc)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.jpg,old,female,white", "age: expected a number of 0 and more, got 'old'"),
        ("a.jpg,-3,female,white", "age: expected a number .* got '-3'"),
        ("a.jpg,20,woman,white", "gender: expected male or female, got 'woman'"),
        (",20,female,white", "image: expected a name"),
    ],
)
def test_a_bad_line_of_utkface_is_told_with_file_and_line(utkface, line, said):
    with (utkface / "people.csv").open("a") as file:
        file.write(line)
    with pytest.raises(DataError, match=rf"people\.csv:4: {said}"):
        read_utkface(utkface)


@pytest.mark.parametrize("read", [read_ilc, read_utkface])
def test_a_folder_without_its_table_is_told(tmp_path, read):
    with pytest.raises(DataError, match=r"\.csv: cannot be read; give the unpacked folder that holds it\.$"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"people\.csv:1: the column image is missing; expected image, age, gender\."),
        (b"image,gender\n", r"people\.csv:1: the column age is missing"),
        (b"image,age,gender\n", r"people\.csv: no faces in it"),
        (b"image,age,gender\nj\xf6rg.jpg,20,male\n", r"people\.csv: not a CSV file in UTF-8"),
        (b'image,age,gender\n"' + b"x" * 200_000, r"people\.csv: not a CSV file in UTF-8"),
    ],
    ids=["empty", "column", "rows", "encoding", "quote"],
)
def test_a_table_that_is_none_is_told(utkface, content, said):
    (utkface / "people.csv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_utkface(utkface)


def pictures_of(faces: Faces) -> list[Image]:
    return [patch[:h, :w] for patch, (h, w) in zip(faces.patches, faces.sizes, strict=True)]


def test_patches_of_a_photograph_show_its_faces(ilc):
    calls = []
    faces, skipped = load_faces(read_ilc(ilc), lambda *at: calls.append(at))
    assert skipped == []
    assert calls[-1] == (2, 2)
    assert len(faces) == 4
    assert faces.mask.tolist() == [0, 1, 2, 2]
    assert faces.suspect.tolist() == [False, True, False, False]
    assert faces.keys.tolist() == ["7", "7", "8", "8"]
    assert faces.images.tolist() == ["two.png", "two.png", "one.png", "one.png"]
    assert faces.face_px.tolist() == [88, 88, 88, 30]
    assert faces.detected.tolist() == [True, True, True, False]
    assert np.isnan(faces.landmarks[3]).all()
    assert np.isfinite(faces.landmarks[:3]).all()
    assert faces.patches.shape == (4, PATCH_PX, PATCH_PX, 3)
    assert (faces.sizes[:3].max(1) == PATCH_PX).all()
    for picture, box in zip(pictures_of(faces)[:3], faces.boxes[:3], strict=True):
        middle = picture.shape[1] / 2, picture.shape[0] / 2
        assert ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) == pytest.approx(middle, abs=3)
    one_face_twice = faces.patches[0].astype(int) - faces.patches[2]
    assert np.abs(one_face_twice).mean() < 15
    assert np.abs(faces.patches[0].astype(int) - faces.patches[1]).mean() > 30


def test_a_large_face_is_shrunk_with_its_box_and_landmarks(ilc, astronaut):
    large = cv2.resize(astronaut, (1024, 1024), interpolation=cv2.INTER_LINEAR)
    PIL.Image.fromarray(large).save(ilc / "images" / "one.png")
    (ilc / "faces.csv").write_text(f"{ILC_HEAD}one.png,360,122,536,344,without_mask,0,8\n")
    faces, _ = load_faces(read_ilc(ilc), quiet)
    assert faces.sizes[0].tolist() == [PATCH_PX, PATCH_PX]
    assert faces.face_px.tolist() == [176]
    x1, y1, x2, y2 = faces.boxes[0]
    assert y2 - y1 == pytest.approx(
        PATCH_PX / 1.7, abs=2
    )  # the face's square and its surroundings fill the patch
    parts = (faces.landmarks[0] - (x1, y1)) / (x2 - x1, y2 - y1)
    assert parts == pytest.approx(
        np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.3, 0.75], [0.7, 0.75]]), abs=0.1
    )


def test_the_box_of_a_face_that_is_not_found_is_the_labelled_one(ilc, astronaut):
    faces, _ = load_faces(read_ilc(ilc), quiet)
    x1, y1, x2, y2 = faces.boxes[3].round().astype(int)
    assert (x2 - x1, y2 - y1) == (40, 30)
    assert np.array_equal(faces.patches[3, y1:y2, x1:x2], astronaut[300:330, 400:440])


def test_cut_out_faces_are_whole_and_not_enlarged(utkface):
    faces, skipped = load_faces(read_utkface(utkface), quiet)
    assert skipped == []
    assert faces.sizes.tolist() == [[128, 128], [50, 50]]
    assert faces.face_px.tolist() == [128, 50]
    assert faces.detected.tolist() == [True, True]
    assert (faces.gender.tolist(), faces.age.tolist()) == ([1, 0], [0, 2])
    big, small = (Box(*map(float, box)) for box in faces.boxes)
    assert iou(big, Box(*(v * 128 / 50 for v in (small.x1, small.y1, small.x2, small.y2)))) > 0.7
    for box, points in zip((big, small), faces.landmarks, strict=True):
        assert all(box.x1 < x < box.x2 and box.y1 < y < box.y2 for x, y in points)


def test_unreadable_pictures_are_listed_and_the_others_used(ilc):
    rows = read_ilc(ilc)
    (ilc / "images" / "two.png").write_bytes(b"no picture")
    calls = []
    faces, skipped = load_faces(rows, lambda *at: calls.append(at))
    assert faces.images.tolist() == ["one.png", "one.png"]
    assert [picture.image.name for picture in skipped] == ["two.png"]
    assert "not a picture" in skipped[0].reason
    assert calls[-1] == (2, 2)


def test_a_box_beyond_the_picture_is_listed(ilc):
    with (ilc / "faces.csv").open("a") as file:
        file.write("one.png,900,900,950,950,with_mask,0,9\n")
    faces, skipped = load_faces(read_ilc(ilc), quiet)
    assert len(faces) == 4
    assert [picture.image.name for picture in skipped] == ["one.png"]
    assert "a labelled box lies outside the picture" in skipped[0].reason


def test_without_any_readable_picture_there_is_one_sentence(ilc):
    rows = read_ilc(ilc)
    for path in (ilc / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"images: none of its pictures can be read; .*\.$"):
        load_faces(rows, quiet)


def assert_same(a: Faces, b: Faces) -> None:
    for field in fields(Faces):
        mine, other = getattr(a, field.name), getattr(b, field.name)
        assert mine.dtype == other.dtype, field.name
        assert np.array_equal(mine, other, equal_nan=mine.dtype.kind == "f"), field.name


@pytest.fixture
def count_cuts(monkeypatch) -> list[int]:
    """How many faces were cut, call by call: a cache that is used adds nothing."""
    cuts: list[int] = []
    cut_all = data._cut_all

    def counted(rows, progress):
        cuts.append(len(rows))
        return cut_all(rows, progress)

    monkeypatch.setattr(data, "_cut_all", counted)
    return cuts


def test_a_cache_is_written_once_and_then_read(utkface, tmp_path, count_cuts):
    cache = tmp_path / "new" / "folder" / "faces.npz"
    rows = read_utkface(utkface)
    cut, _ = load_faces(rows, quiet, cache)
    again, skipped = load_faces(rows, quiet, cache)
    assert count_cuts == [2]
    assert skipped == []
    assert_same(cut, again)
    assert [path.name for path in cache.parent.iterdir()] == ["faces.npz"]


def test_a_cache_of_other_rows_is_made_anew(utkface, tmp_path, count_cuts):
    cache = tmp_path / "faces.npz"
    load_faces(read_utkface(utkface), quiet, cache)
    table = utkface / "people.csv"
    table.write_text(table.read_text().replace("29,female", "31,female"))
    changed, _ = load_faces(read_utkface(utkface), quiet, cache)
    assert changed.age.tolist() == [1, 2]
    again, _ = load_faces(read_utkface(utkface), quiet, cache)
    assert count_cuts == [2, 2]
    assert_same(changed, again)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half an archive"])
def test_a_damaged_cache_is_made_anew(utkface, tmp_path, count_cuts, content):
    cache = tmp_path / "faces.npz"
    cache.write_bytes(content)
    rows = read_utkface(utkface)
    for _ in range(2):
        assert len(load_faces(rows, quiet, cache)[0]) == 2
    assert count_cuts == [2]


def test_an_archive_of_something_else_is_no_cache(utkface, tmp_path, count_cuts):
    cache = tmp_path / "faces.npz"
    np.savez(cache, other=np.zeros(3))
    assert len(load_faces(read_utkface(utkface), quiet, cache)[0]) == 2
    assert count_cuts == [2]


def test_skipped_pictures_are_told_of_each_time_and_used_once_they_are_mended(utkface, tmp_path):
    cache, picture = tmp_path / "faces.npz", utkface / "images" / "b.jpg"
    rows, content = read_utkface(utkface), picture.read_bytes()
    picture.write_bytes(b"")
    for _ in range(2):
        faces, skipped = load_faces(rows, quiet, cache)
        assert (len(faces), len(skipped)) == (1, 1)
    picture.write_bytes(content)
    faces, skipped = load_faces(rows, quiet, cache)
    assert (len(faces), skipped) == (2, [])


def test_taking_rows_takes_them_of_every_field(make_faces):
    faces = make_faces([0, 1, 2, 1], keys=["a", "b", "c", "d"])
    taken = faces.take(np.array([True, False, False, True]))
    assert len(taken) == 2
    assert taken.mask.tolist() == [0, 1]
    assert taken.keys.tolist() == ["a", "d"]
    assert taken.patches[:, 0, 0, 0].tolist() == [0, 3]
    assert all(len(getattr(taken, field.name)) == 2 for field in fields(Faces))


def many_faces(make_faces, keys: int, of_each: int = 3) -> Faces:
    names = [f"group {i}" for i in range(keys)] * of_each
    return make_faces([0] * len(names), keys=names, side=1)


def test_no_key_is_on_both_sides_of_a_split_and_none_is_lost(make_faces):
    faces = many_faces(make_faces, 200)
    train, held_out = faces.split(0.2, seed=0)
    assert not set(train.keys) & set(held_out.keys)
    assert set(train.keys) | set(held_out.keys) == set(faces.keys)
    assert len(train) + len(held_out) == len(faces)
    assert 20 <= len(set(held_out.keys)) <= 60


def test_a_split_stays_when_faces_are_added_or_reordered(make_faces):
    few, many = many_faces(make_faces, 100, 1), many_faces(make_faces, 200, 2)
    held_out = set(few.split(0.2, seed=0)[1].keys)
    assert held_out == set(many.split(0.2, seed=0)[1].keys) & set(few.keys)
    backwards = few.take(np.arange(len(few))[::-1])
    assert held_out == set(backwards.split(0.2, seed=0)[1].keys)


def test_another_seed_splits_otherwise(make_faces):
    faces = many_faces(make_faces, 200, 1)
    assert set(faces.split(0.2, seed=0)[1].keys) != set(faces.split(0.2, seed=1)[1].keys)


@pytest.mark.parametrize(("part", "held_out"), [(0.0, 0), (1.0, 50)])
def test_a_split_may_hold_out_nothing_or_all(make_faces, part, held_out):
    assert len(many_faces(make_faces, 50, 1).split(part, seed=0)[1]) == held_out
