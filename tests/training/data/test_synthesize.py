"""Bare faces become people of seven pictures, and a run that was stopped goes on."""

from __future__ import annotations

import csv
import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatecam.capture.images import read_image
from gatecam.errors import DataError, OutputError
from gatecam.training.data import synthesize as module
from gatecam.training.data.layouts import open_collection
from gatecam.training.data.patches import Portrait
from gatecam.training.data.rows import Problem, Row
from gatecam.training.data.synthesize import Synthesis, candidates_of, synthesize
from gatecam.types import Image

Run = Callable[..., Synthesis]


def row(name: str, gender: int = 1, years: int = 45, mask: int = 2, **others: object) -> Row:
    age = int(years >= 30) + int(years >= 60)
    return Row(Path(name), None, mask, gender, age, False, name, years, "asian", **others)  # type: ignore[arg-type]


def rows(count: int) -> list[tuple[Row, str]]:
    return [(row(f"{i}.jpg", gender=i % 2, years=20 + i * 7), f"made-up/{i}.jpg") for i in range(count)]


@pytest.fixture
def portrait(astronaut) -> Image:
    return np.array(astronaut[40:200, 145:305])


@pytest.fixture
def run(monkeypatch, portrait, tmp_path) -> Run:
    """Draws people into `tmp_path / "out"`, all from the astronaut; faces named are not found."""
    landmarks = np.array([[60, 61], [102, 63], [81, 90], [57, 100], [100, 102]], np.float32)

    def draw(count: int = 2, seed: int = 0, unfound: Sequence[str] = (), of: int = 4) -> Synthesis:
        def found(wanted: Sequence[Row], notes: list[Problem]):
            for one in wanted:
                yield Portrait(one, portrait, None if one.image.name in unfound else landmarks)

        monkeypatch.setattr(module, "portraits", found)
        return synthesize(candidates_of(rows(of), seed), tmp_path / "out", count, seed, lambda done: None)

    return draw


def pictures(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_race_of_two_words_with_a_slash_makes_one_folder():
    person = replace(row("a.jpg"), race="hispanic/latino")
    (candidate,) = candidates_of([(person, "a.jpg")], seed=0)
    assert candidate.folder == "000001_female_Hispanic-latino_45"


def test_candidates_are_bare_faces_of_known_labels_one_a_person():
    twice = row("a.jpg")
    others = [row("b.jpg", mask=0), row("c.jpg", gender=-1), row("d.jpg", years=-1), row("e.jpg")]
    candidates = candidates_of([(one, one.key) for one in (twice, twice, *others)], seed=0)
    assert sorted(candidate.source for candidate in candidates) == ["a.jpg", "e.jpg"]
    assert {candidate.folder[:6] for candidate in candidates} == {"000001", "000002"}
    with pytest.raises(DataError, match="no bare face with gender and age"):
        candidates_of([(row("b.jpg", mask=0), "b.jpg")], seed=0)


def test_people_have_seven_pictures_in_the_contests_layout(run, tmp_path):
    done = run(3)
    collection = open_collection(tmp_path / "out")
    assert not collection.problems
    assert [one.mask for one in collection.rows].count(0) == 15
    assert len(collection.rows) == 21
    by_folder = {candidate.folder: candidate.row for candidate in done.people}
    for one in collection.rows:
        source = by_folder[one.key]
        assert (one.gender, one.age, one.years, one.race) == (
            source.gender,
            source.age,
            source.years,
            "asian",
        )
    kinds = {one.image.stem: one.kind for one in collection.rows[:7]}
    assert kinds["mask1"].endswith(", right")
    assert len({kinds[f"mask{i}"] for i in range(1, 6)}) == 5
    assert not kinds["incorrect_mask"].endswith(", right")


def test_lists_tell_people_and_sources(run, tmp_path, portrait):
    done = run(2)
    people, sources = table(tmp_path / "out" / "train.csv"), table(tmp_path / "out" / "sources.csv")
    assert list(people[0]) == ["id", "gender", "race", "age", "path"]
    assert [line["path"] for line in people] == [candidate.folder for candidate in done.people]
    assert people[0]["race"] == "Asian"
    assert [line["source"] for line in sources] == [candidate.source for candidate in done.people]
    assert len(table(tmp_path / "out" / "masks.csv")) == 14
    shots = [read_image(path) for path in (tmp_path / "out").rglob("*.jpg")]
    assert all(shot.shape == portrait.shape for shot in shots)
    assert len({shot.tobytes() for shot in shots}) == 14


def test_the_same_seed_gives_the_same_pictures(run, tmp_path):
    run(1, seed=3)
    before = pictures(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "before")
    run(1, seed=3)
    assert pictures(tmp_path / "out") == before


def test_a_stopped_run_goes_on_with_nothing_lost_and_nothing_changed(run, tmp_path):
    out = tmp_path / "out"
    run(3)
    whole = pictures(out)
    second, third = sorted(path for path in (out / "images").iterdir())[1:3]
    (third / "normal.jpg").unlink()  # a kill while the third person was drawn
    third.rename(out / "images" / f"{third.name}.part")
    (out / "train.csv").unlink()
    kept = (second / "mask1.jpg").stat().st_mtime_ns
    lines = (out / "masks.csv").read_text().splitlines(keepends=True)
    (out / "masks.csv").write_text("".join(lines[:-3]))
    run(3)
    assert pictures(out) == whole
    assert (second / "mask1.jpg").stat().st_mtime_ns == kept


def test_more_people_are_added_to_those_there(run, tmp_path):
    run(1)
    few = pictures(tmp_path / "out" / "images")
    run(3)
    more = pictures(tmp_path / "out" / "images")
    assert {name: more[name] for name in few} == few
    assert len(more) == 21


def test_faces_that_are_not_found_are_left_out_and_named(run, tmp_path):
    first = candidates_of(rows(4), 0)[0]
    done = run(4, unfound=[first.row.image.name])
    assert len(done.people) == 3
    assert [(problem.where, problem.done) for problem in done.problems] == [(first.source, "left out")]


def test_a_folder_of_something_else_is_left_alone(run, tmp_path):
    run(1, seed=0)
    with pytest.raises(OutputError, match=r"another seed\. Choose another folder"):
        run(1, seed=1)
    (tmp_path / "out").rename(tmp_path / "before")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("dear diary")
    with pytest.raises(OutputError, match="is not empty"):
        run(1)
    assert (tmp_path / "out" / "diary.txt").exists()


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(run, tmp_path, monkeypatch):
    write, written = Path.write_bytes, []

    def full(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) == 10:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left on device\)\. Free some space"):
        run(2)
    run(2)
    assert len(pictures(tmp_path / "out" / "images")) == 14
