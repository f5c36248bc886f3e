"""Counts worked out by hand, picture sizes without decoding, and a page that stands alone."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import PIL.Image

from gatecam.pictures.html import Page
from gatecam.training.data.rows import Collection, Problem, Row
from gatecam.training.data.stats import Count, by_kind, measure, rarity, summarize, together
from gatecam.training.data.stats_page import add_collection, add_problems, overview
from gatecam.types import Box


def row(picture: str, key: str, mask: int, gender: int = -1, age: int = -1, **more) -> Row:
    return Row(Path("data") / picture, more.pop("box", None), mask, gender, age, False, key, **more)


ROWS = [
    row("a.jpg", "ann", 0, 1, 2, years=61, race="asian", kind="cloth"),
    row("b.jpg", "ann", 0, 1, 2, years=61, race="asian"),
    row("c.jpg", "ann", 2, 1, 2, years=61, race="asian"),
    row("d.jpg", "bob", 2, 0, 0, years=20),
    row("e.jpg", "scene", 1, box=Box(0, 0, 40, 200)),
    row("e.jpg", "scene", -1, box=Box(0, 0, 31, 31)),
]


def test_faces_people_and_pictures_are_counted():
    summary = summarize(ROWS)
    assert (summary.faces, summary.pictures, summary.people) == (6, 5, 3)
    assert summary.mask == [
        Count("correct", 2, 1),
        Count("incorrect", 1, 1),
        Count("none", 2, 2),
        Count("unknown", 1, 1),
    ]
    assert summary.gender == [Count("male", 1, 1), Count("female", 3, 1), Count("unknown", 2, 1)]
    assert summary.age == [
        Count("<30", 1, 1),
        Count("30-59", 0, 0),
        Count(">=60", 3, 1),
        Count("unknown", 2, 1),
    ]
    assert summary.race == [Count("asian", 3, 1), Count("unknown", 3, 2)]
    assert summary.kinds == [Count("cloth", 1, 1)]
    assert summary.face_px[:2] == [Count("<32 px", 1, 1), Count("32-63 px", 1, 1)]
    assert sorted(summary.years) == [20, 61]
    assert summary.pictures_a_person == {1: 2, 3: 1}
    assert overview(summary) == "3 people or scenes, 5 pictures, 6 faces."


def test_the_eighteen_classes_are_counted_in_order_with_those_that_are_absent():
    classes = summarize(ROWS).classes
    assert len(classes) == 19
    assert classes[5] == Count("5: correct, female, >=60", 2, 1)
    assert classes[12] == Count("12: none, male, <30", 1, 1)
    assert classes[17] == Count("17: none, female, >=60", 1, 1)
    assert classes[18] == Count("unknown", 2, 1)
    assert sum(count.faces == 0 for count in classes) == 15
    assert rarity(summarize(ROWS)) == (
        "Rarest class: 12: none, male, <30, 1 face in 4; most frequent: 5: correct, female, >=60, "
        "2 times as many; 15 of the 18 classes have no face."
    )


def test_labels_that_nobody_has_are_one_line():
    summary = summarize(ROWS[4:])
    assert summary.gender == summary.classes == [Count("unknown", 2, 1)]
    assert rarity(summary).startswith("No face has a mask state, a gender and an age")


def test_people_of_two_collections_are_two_people():
    ilc = Collection("ilc", "", Path("data"), ROWS, [])
    utkface = Collection("utkface", "", Path("data"), ROWS, [])
    assert summarize(together([ilc, utkface])).people == 6


def test_problems_are_grouped_by_what_stands_before_the_colon():
    problems = [
        Problem("a", "age is not valid: 0", ""),
        Problem("b", "x", ""),
        Problem("c", "age is not valid: 200", ""),
    ]
    assert {kind: [p.where for p in alike] for kind, alike in by_kind(problems).items()} == {
        "age is not valid": ["a", "c"],
        "x": ["b"],
    }
    assert list(by_kind(problems)) == ["age is not valid", "x"]


def test_sizes_are_read_and_pictures_that_are_none_listed(tmp_path):
    PIL.Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"x")
    rows = [Row(tmp_path / name, None, 2, 0, 0, False, name) for name in ("a.png", "b.png", "c.png", "a.png")]
    calls = []
    measured = measure(Collection("x", "", tmp_path, rows, []), lambda *at: calls.append(at))
    assert measured.sizes == {(30, 20): 1}
    assert [(problem.where, problem.what) for problem in measured.problems] == [
        ("b.png", "picture cannot be opened"),
        ("c.png", "picture is missing"),
    ]
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_the_page_stands_alone_and_holds_every_problem(tmp_path):
    page = Page("Data")
    add_collection(page, "<made>", "made up", summarize(ROWS), Counter({(30, 20): 5}))
    problems = [Problem(f"a{i}.jpg", f"age is not valid: '{i}<'", "left unknown") for i in range(20)]
    add_problems(page, "made", problems)
    page.write(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert html.count("<img") == 3
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert "&lt;made&gt;" in html
    assert all(f"a{i}.jpg" in html and f"&#x27;{i}&lt;&#x27;" in html for i in range(20))
    assert "30 × 20 px" in html
    assert "5: correct, female, &gt;=60" in html
