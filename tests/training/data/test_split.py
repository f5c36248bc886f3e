"""Splits: no key on two sides, every part with its share, and files that say what is wrong with them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatecam.errors import DataError, OutputError
from gatecam.training.data.rows import Collection, Row
from gatecam.training.data.split import (
    FEW_ROWS,
    hashed_parts,
    parts_of,
    read_split,
    stratified_parts,
    write_split,
)

TENTHS = {"validation": 0.1, "test": 0.1}


def row(picture: str, key: str, mask: int = 2, gender: int = 0, age: int = 0) -> Row:
    return Row(Path("data") / "images" / picture, None, mask, gender, age, False, key)


def collection(rows: list[Row], name: str = "made") -> Collection:
    return Collection(name, "made up", Path("data"), rows, [])


def contest(people: int, seed: int = 0) -> Collection:
    """Seven pictures a person; a tenth of the people are 60 or over."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(people):
        gender, age = int(rng.integers(2)), int(rng.choice(3, p=[0.45, 0.45, 0.1]))
        masks = (0, 0, 0, 0, 0, 1, 2)
        rows += [row(f"{i}/{at}.jpg", f"p{i}", mask, gender, age) for at, mask in enumerate(masks)]
    return collection(rows)


def sides(of: Collection, parts: list[str]) -> dict[str, set[str]]:
    """The parts that each key is in."""
    found: dict[str, set[str]] = {}
    for one, part in zip(of.rows, parts, strict=True):
        found.setdefault(one.key, set()).add(part)
    return found


def test_a_hashed_split_keeps_keys_together_and_holds_out_a_fifth_of_few():
    made = contest(300)
    parts = hashed_parts(made, seed=0)
    assert all(len(of_key) == 1 for of_key in sides(made, parts).values())
    assert set(parts) == {"train", "validation"}
    assert 40 <= sum(of_key == {"validation"} for of_key in sides(made, parts).values()) <= 80


def test_a_hashed_split_holds_out_a_tenth_of_many():
    made = collection([row(f"{i}.jpg", str(i)) for i in range(FEW_ROWS)])
    assert 400 <= hashed_parts(made, seed=0).count("validation") <= 600


def test_a_hashed_split_stays_when_rows_are_added_or_reordered_and_another_seed_splits_otherwise():
    few, many = contest(100), contest(200)
    held_out = sides(few, hashed_parts(few, 0))
    more = sides(many, hashed_parts(many, 0))
    assert all(more[key] == of_key for key, of_key in held_out.items())
    backwards = replace(few, rows=few.rows[::-1])
    assert hashed_parts(backwards, 0) == hashed_parts(few, 0)[::-1]
    assert sides(few, hashed_parts(few, 1)) != held_out


def test_the_hash_is_the_one_of_the_shipped_weights():
    made = collection([row(f"{key}.jpg", str(key)) for key in range(12)])
    held_out = [i for i, part in enumerate(hashed_parts(made, 0)) if part == "validation"]
    assert held_out == [7]  # as the release before it held out


@pytest.mark.parametrize("people", [10, 57, 400])
def test_a_split_by_person_gives_each_part_its_share_of_people_and_tears_none(people):
    made = contest(people)
    parts = stratified_parts(made, True, TENTHS, seed=0)
    found = sides(made, parts)
    assert all(len(of_key) == 1 for of_key in found.values())
    sizes = Counter(next(iter(of_key)) for of_key in found.values())
    for part in ("validation", "test"):
        assert abs(sizes[part] - people / 10) <= 1


@pytest.mark.parametrize("by_person", [True, False])
def test_each_part_has_its_share_of_every_class(by_person):
    made = contest(1000)
    parts = stratified_parts(made, by_person, TENTHS, seed=0)
    classes = Counter((one.mask, one.gender, one.age) for one in made.rows)
    for part in ("validation", "test"):
        mine = Counter(
            (one.mask, one.gender, one.age) for one, p in zip(made.rows, parts, strict=True) if p == part
        )
        for label, count in classes.items():
            assert mine[label] == pytest.approx(count / 10, abs=8), (part, label)  # a person has 5


def test_scenes_of_many_faces_are_balanced_by_mask_state():
    rng, rows = np.random.default_rng(1), []
    for scene in range(200):
        for face in range(int(rng.integers(1, 12))):
            rows.append(row(f"{scene}-{face}.jpg", str(scene), int(rng.choice(3, p=[0.6, 0.1, 0.3])), -1, -1))
    made = collection(rows)
    parts = stratified_parts(made, True, {"validation": 0.2, "test": 0.1}, seed=0)
    assert all(len(of_key) == 1 for of_key in sides(made, parts).values())
    for mask in range(3):
        of_mask = [part for one, part in zip(rows, parts, strict=True) if one.mask == mask]
        assert of_mask.count("validation") / len(of_mask) == pytest.approx(0.2, abs=0.03)
        assert of_mask.count("test") / len(of_mask) == pytest.approx(0.1, abs=0.03)


def test_a_split_by_image_tears_people_but_no_image():
    made = contest(50)
    made = replace(made, rows=[one for one in made.rows for _ in range(2)])  # two faces a picture
    parts = stratified_parts(made, False, TENTHS, seed=0)
    assert sum(len(of_key) > 1 for of_key in sides(made, parts).values()) > 20
    assert parts[::2] == parts[1::2]


def test_a_stratified_split_is_the_same_for_the_same_seed_only():
    made = contest(100)
    first, again, other = (stratified_parts(made, True, TENTHS, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_parts_without_a_share_get_nothing_and_training_must_keep_something():
    made = contest(40)
    assert set(stratified_parts(made, True, {"validation": 0.5, "test": 0.0}, 0)) == {"train", "validation"}
    with pytest.raises(DataError, match=r"sum to less than 1\.$"):
        stratified_parts(made, True, {"validation": 0.5, "test": 0.5}, 0)


def test_a_split_that_is_written_is_read_as_it_was(tmp_path):
    made, more = contest(30), replace(contest(20, seed=1), name="more")
    parts = [stratified_parts(made, True, TENTHS, 0), stratified_parts(more, True, TENTHS, 0)]
    path = tmp_path / "split.csv"
    write_split(path, [made, more], parts)
    lines = path.read_text().splitlines()
    assert lines[0] == "collection,image,part"
    assert lines[1] == f"made,images/0/0.jpg,{parts[0][0]}"
    assert len(lines) == 1 + 50 * 7
    assert read_split(path, [more, made]) == parts[::-1]
    assert parts_of([made], path, seed=5) == parts[:1]
    assert parts_of([made], None, seed=5) == [hashed_parts(made, 5)]


def test_a_picture_that_is_not_in_the_file_is_told(tmp_path):
    path = tmp_path / "split.csv"
    write_split(path, [contest(3)], [["train"] * 21])
    with pytest.raises(
        DataError, match=r"7 pictures of made are not in it, such as images/3/0\.jpg \(it .*\.$"
    ):
        read_split(path, [contest(4)])
    with pytest.raises(
        DataError, match=r"pictures of other are not in it.* \(it lists the collections: made\)"
    ):
        read_split(path, [replace(contest(3), name="other")])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("collection,image\na,b\n", r"expected the columns collection,image,part; give a split file\.$"),
        ("", r"expected the columns"),
        (
            "collection,image,part\nmade,a.jpg,\n",
            r"split\.csv:2: expected train or validation or test, got ''",
        ),
        (
            "collection,image,part\nmade,a.jpg,dev\n",
            r"split\.csv:2: expected train or .*, got 'dev'; fix it",
        ),
        (
            "collection,image,part\nmade,a.jpg,train\nmade,a.jpg,test\n",
            r"split\.csv:3: a\.jpg is in two parts; keep one of its lines\.$",
        ),
        ("collection,image,part\nmade,j\udcf6rg.jpg,test\n", r"not a CSV file in UTF-8"),
    ],
)
def test_a_file_that_is_no_split_is_told(tmp_path, content, said):
    path = tmp_path / "split.csv"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(DataError, match=said):
        read_split(path, [])


def test_a_split_that_cannot_be_read_or_written_is_told(tmp_path):
    with pytest.raises(
        DataError, match=r"cannot be read \(No such file or directory\); give a split file\.$"
    ):
        read_split(tmp_path / "none.csv", [])
    with pytest.raises(OutputError, match=r"cannot be written \(No such file .*\); choose a folder .*\.$"):
        write_split(tmp_path / "none" / "split.csv", [contest(1)], [["train"] * 7])
