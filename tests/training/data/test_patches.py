"""Cutting patches around faces, labelled or still to be found, and caching them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from gatecam.errors import DataError
from gatecam.geometry import iou
from gatecam.training.data import patches as data
from gatecam.training.data.layouts import open_collection
from gatecam.training.data.patches import PATCH_PX, Faces, load_faces
from gatecam.training.data.rows import Collection, Row
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


def pictures_of(faces: Faces) -> list[Image]:
    return [patch[:h, :w] for patch, (h, w) in zip(faces.patches, faces.sizes, strict=True)]


def test_patches_of_a_photograph_show_its_faces(ilc):
    calls = []
    faces, skipped = load_faces(open_collection(ilc), lambda *at: calls.append(at))
    assert skipped == []
    assert calls[-1] == (2, 2)
    assert len(faces) == 4
    assert faces.mask.tolist() == [0, 1, 2, 2]
    assert faces.suspect.tolist() == [False, True, False, False]
    assert faces.keys.tolist() == ["7", "7", "8", "8"]
    assert faces.images.tolist() == ["images/two.png"] * 2 + ["images/one.png"] * 2
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
    faces, _ = load_faces(open_collection(ilc), quiet)
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
    faces, _ = load_faces(open_collection(ilc), quiet)
    x1, y1, x2, y2 = faces.boxes[3].round().astype(int)
    assert (x2 - x1, y2 - y1) == (40, 30)
    assert np.array_equal(faces.patches[3, y1:y2, x1:x2], astronaut[300:330, 400:440])


def test_cut_out_faces_are_whole_and_not_enlarged(utkface):
    faces, skipped = load_faces(open_collection(utkface), quiet)
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
    rows = open_collection(ilc)
    (ilc / "images" / "two.png").write_bytes(b"no picture")
    calls = []
    faces, skipped = load_faces(rows, lambda *at: calls.append(at))
    assert faces.images.tolist() == ["images/one.png"] * 2
    assert [problem.where for problem in skipped] == ["images/two.png"]
    assert skipped[0].what.startswith("picture cannot be read: not a picture")
    assert calls[-1] == (2, 2)


def test_a_box_beyond_the_picture_is_listed(ilc):
    with (ilc / "faces.csv").open("a") as file:
        file.write("one.png,900,900,950,950,with_mask,0,9\n")
    faces, skipped = load_faces(open_collection(ilc), quiet)
    assert len(faces) == 4
    assert [problem.where for problem in skipped] == ["images/one.png"]
    assert skipped[0].what == "box lies outside the picture"


def test_without_any_readable_picture_there_is_one_sentence(ilc):
    rows = open_collection(ilc)
    for path in (ilc / "images").iterdir():
        path.unlink()
    with pytest.raises(
        DataError, match=r"ilc: none of its pictures can be used \(picture cannot be read: there is no .*\.$"
    ):
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

    def counted(collection, detector, progress):
        cuts.append(len(collection.rows))
        return cut_all(collection, detector, progress)

    monkeypatch.setattr(data, "_cut_all", counted)
    return cuts


def test_a_cache_is_written_once_and_then_read(utkface, tmp_path, count_cuts):
    cache = tmp_path / "new" / "folder" / "faces.npz"
    rows = open_collection(utkface)
    cut, _ = load_faces(rows, quiet, cache)
    again, skipped = load_faces(rows, quiet, cache)
    assert count_cuts == [2]
    assert skipped == []
    assert_same(cut, again)
    assert [path.name for path in cache.parent.iterdir()] == ["faces.npz"]


def test_labels_are_never_those_of_the_cache(utkface, tmp_path, count_cuts):
    cache = tmp_path / "faces.npz"
    load_faces(open_collection(utkface), quiet, cache)
    table = utkface / "people.csv"
    table.write_text(table.read_text().replace("29,female", "31,male"))
    changed, _ = load_faces(open_collection(utkface), quiet, cache)
    assert (changed.age.tolist(), changed.gender.tolist()) == ([1, 2], [0, 0])
    assert count_cuts == [2]


def test_a_cache_of_other_boxes_is_made_anew(ilc, tmp_path, count_cuts):
    cache = tmp_path / "faces.npz"
    load_faces(open_collection(ilc), quiet, cache)
    table = ilc / "faces.csv"
    table.write_text(table.read_text().replace("400,300,440,330", "390,300,440,330"))
    changed, _ = load_faces(open_collection(ilc), quiet, cache)
    assert changed.face_px[3] == 30
    assert count_cuts == [4, 4]


def test_a_changed_picture_is_cut_anew(utkface, tmp_path, count_cuts):
    cache, picture = tmp_path / "faces.npz", utkface / "images" / "b.jpg"
    collection = open_collection(utkface)
    before, _ = load_faces(collection, quiet, cache)
    PIL.Image.open(picture).convert("L").save(picture)
    after, _ = load_faces(collection, quiet, cache)
    assert count_cuts == [2, 2]
    assert not np.array_equal(before.patches[1], after.patches[1])
    assert np.array_equal(before.patches[0], after.patches[0])


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half an archive"])
def test_a_damaged_cache_is_made_anew(utkface, tmp_path, count_cuts, content):
    cache = tmp_path / "faces.npz"
    cache.write_bytes(content)
    rows = open_collection(utkface)
    for _ in range(2):
        assert len(load_faces(rows, quiet, cache)[0]) == 2
    assert count_cuts == [2]


def test_an_archive_of_something_else_is_no_cache(utkface, tmp_path, count_cuts):
    cache = tmp_path / "faces.npz"
    np.savez(cache, other=np.zeros(3))
    assert len(load_faces(open_collection(utkface), quiet, cache)[0]) == 2
    assert count_cuts == [2]


def test_pictures_left_out_are_told_of_from_the_cache_too_and_used_once_mended(utkface, tmp_path, count_cuts):
    cache, picture = tmp_path / "faces.npz", utkface / "images" / "b.jpg"
    collection, content = open_collection(utkface), picture.read_bytes()
    picture.write_bytes(b"")
    for _ in range(2):
        faces, skipped = load_faces(collection, quiet, cache)
        assert faces.rows.tolist() == [0]
        assert [(problem.where, problem.done) for problem in skipped] == [("images/b.jpg", "left out")]
    assert count_cuts == [2]
    picture.write_bytes(content)
    faces, skipped = load_faces(collection, quiet, cache)
    assert (faces.rows.tolist(), skipped) == ([0, 1], [])


def person(tmp_path: Path, pictures: dict[str, Image]) -> Collection:
    """Pictures of one person, whose face is still to be found."""
    rows = []
    for name, image in pictures.items():
        PIL.Image.fromarray(image).save(tmp_path / name)
        rows.append(Row(tmp_path / name, None, 2, 0, 0, False, "person"))
    return Collection("people", "made up", tmp_path, rows, [])


def test_the_face_of_a_large_picture_is_the_largest_found(tmp_path, astronaut):
    photo = np.full((900, 1400, 3), 90, np.uint8)
    photo[100:612, 700:1212] = astronaut  # with a smaller face beside it
    photo[200:456, 100:356] = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    faces, problems = load_faces(person(tmp_path, {"a.png": photo}), quiet)
    assert problems == []
    assert faces.detected.tolist() == [True]
    assert 80 < faces.face_px[0] < 130
    alone, _ = load_faces(person(tmp_path, {"b.png": np.array(astronaut)}), quiet)
    assert alone.face_px[0] == pytest.approx(faces.face_px[0], abs=8)


def test_a_face_that_is_not_found_is_where_the_others_of_the_person_are(tmp_path, astronaut):
    hidden = np.full((256, 256, 3), 90, np.uint8)
    pictures = {"a.png": np.array(astronaut), "b.png": np.tile(hidden, (3, 3, 1)), "c.png": hidden}
    faces, problems = load_faces(person(tmp_path, pictures), quiet)
    assert faces.detected.tolist() == [True, False, False]
    assert np.isnan(faces.landmarks[1:]).all()
    assert faces.face_px[1] == pytest.approx(faces.face_px[0] * 768 / 512, rel=0.01)
    assert faces.face_px[2] == pytest.approx(faces.face_px[0] * 256 / 512, rel=0.01)
    assert {problem.done for problem in problems} == {
        "cropped where the person's other pictures show the face"
    }
    assert [problem.where for problem in problems] == ["b.png", "c.png"]


def test_a_face_that_is_found_nowhere_is_the_picture(tmp_path):
    grey = np.full((400, 300, 3), 90, np.uint8)
    faces, problems = load_faces(person(tmp_path, {"a.png": grey, "b.png": grey[:100, :80]}), quiet)
    assert faces.face_px.tolist() == [300, 80]
    assert faces.sizes.tolist() == [[160, 120], [100, 80]]
    assert [(problem.where, problem.done) for problem in problems] == [("a.png", "the whole picture is used")]


def test_taking_rows_takes_them_of_every_field(make_faces):
    faces = make_faces([0, 1, 2, 1], keys=["a", "b", "c", "d"])
    taken = faces.take(np.array([True, False, False, True]))
    assert len(taken) == 2
    assert taken.mask.tolist() == [0, 1]
    assert taken.keys.tolist() == ["a", "d"]
    assert taken.patches[:, 0, 0, 0].tolist() == [0, 3]
    assert all(len(getattr(taken, field.name)) == 2 for field in fields(Faces))
