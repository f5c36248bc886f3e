"""Scenes: what is known of a picture's faces, what is set aside, and what is drawn on copies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.errors import SourceError
from gatecam.training.data.rows import Row
from gatecam.training.detector import teaching as teaching_of
from gatecam.training.detector.scenes import (
    BoxFit,
    boxed_scene,
    dressed_scene,
    empty_scene,
    portrait_scene,
)
from gatecam.training.detector.teaching import LONGEST_PX, Teaching, read_scene_picture, taught
from gatecam.types import Box
from tests.training.portrait_scenes import BOX, LANDMARKS, portrait_scene_of

BARE, CORRECT = 2, 0


def row_of(image: Path, box: tuple[float, ...] | None = BOX, mask: int = BARE, suspect: bool = False) -> Row:
    return Row(image, Box(*box) if box else None, mask, -1, -1, suspect, image.name)


def found_row(box: tuple[float, ...], score: float = 0.99, landmarks=LANDMARKS) -> list[float]:
    return [*box, score, *np.array(landmarks).flatten()]


def teaching_for(image: Path, *rows: list[float]) -> Teaching:
    return Teaching({str(image): np.array(rows, np.float32).reshape(-1, 15)})


@pytest.fixture
def picture(astronaut, tmp_path) -> Path:
    PIL.Image.fromarray(astronaut).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def nothing(done: int, total: int) -> None:
    """Nobody looks at the progress."""


# Scenes with boxes


def test_a_bare_face_that_was_found_has_landmarks_and_a_masked_one_has_none(picture):
    teaching = teaching_for(picture, found_row(BOX))
    bare = boxed_scene([row_of(picture)], teaching)
    assert bare.boxes.tolist() == [list(BOX)]
    assert bare.landmarks[0].tolist() == [list(point) for point in LANDMARKS]
    masked = boxed_scene([row_of(picture, mask=CORRECT)], teaching)
    assert np.isnan(masked.landmarks).all()
    assert masked.masks.tolist() == [CORRECT]
    assert len(masked.ignored) == 0, "the face that was found is the one with the box"


def test_landmarks_of_another_face_are_not_taken(picture):
    elsewhere = (300.0, 300.0, 380.0, 400.0)
    scene = boxed_scene([row_of(picture)], teaching_for(picture, found_row(elsewhere, 0.95)))
    assert np.isnan(scene.landmarks).all()
    assert scene.ignored.tolist() == [list(elsewhere)], "a sure face without a box teaches nothing"


def test_an_unsure_face_without_a_box_is_background(picture):
    scene = boxed_scene([row_of(picture)], teaching_for(picture, found_row((300, 300, 380, 400), 0.85)))
    assert len(scene.ignored) == 0


def test_doubtful_faces_and_listed_ones_without_a_box_are_ignored(picture):
    rows = [row_of(picture), row_of(picture, (300, 300, 350, 360), suspect=True)]
    scene = boxed_scene(rows, teaching_for(picture), [Box(10, 20, 30, 40)])
    assert scene.boxes.tolist() == [list(BOX)]
    assert scene.ignored.tolist() == [[10, 20, 30, 40], [300, 300, 350, 360]]


def test_a_large_picture_is_shrunk_with_all_that_lies_in_it(astronaut, tmp_path):
    PIL.Image.fromarray(astronaut).resize((2 * LONGEST_PX, LONGEST_PX)).save(tmp_path / "b.png")
    rows = [row_of(tmp_path / "b.png", (100, 200, 300, 400))]
    scene = boxed_scene(rows, teaching_for(tmp_path / "b.png"), [Box(2, 4, 6, 8)])
    assert scene.image.shape == (LONGEST_PX // 2, LONGEST_PX, 3)
    assert scene.boxes.tolist() == [[50, 100, 150, 200]]
    assert scene.ignored.tolist() == [[1, 2, 3, 4]]


# Portraits


def test_a_portrait_has_the_box_that_its_landmarks_say(picture):
    shape = np.array(LANDMARKS, np.float32)
    rng = np.random.default_rng(0)
    faces = [shape * rng.uniform(0.5, 2) + rng.uniform(-50, 300, 2) for _ in range(60)]
    faces = [face + rng.normal(0, 0.5, (5, 2)) for face in faces]
    eyes = [face[1] - face[0] for face in faces]
    boxes = [  # as a labeller would have it who goes by the distance of the eyes
        [face[0, 0] - e[0], face[0, 1] - e[0], face[1, 0] + e[0], face[3, 1] + e[0]]
        for face, e in zip(faces, eyes, strict=True)
    ]
    fit = BoxFit.of(np.array(faces, np.float32), np.array(boxes, np.float32))
    scene = portrait_scene(row_of(picture, None), teaching_for(picture, found_row((1, 1, 2, 2))), fit)
    assert scene.boxes[0] == pytest.approx([204 - 43, 108 - 43, 247 + 43, 146 + 43], abs=3)


def test_a_portrait_without_a_fit_has_the_box_that_was_found_of_its_largest_face(picture):
    teaching = teaching_for(picture, found_row((1, 1, 9, 9), 1.0), found_row(BOX, 0.9))
    scene = portrait_scene(row_of(picture, None), teaching, None)
    assert scene.boxes.tolist() == [list(BOX)]
    assert scene.landmarks[0].tolist() == [list(point) for point in LANDMARKS]


def test_a_portrait_whose_face_was_not_found_is_none(picture):
    assert portrait_scene(row_of(picture, None), teaching_for(picture), None) is None


def test_a_picture_without_faces_has_none(astronaut):
    scene = empty_scene(astronaut)
    assert (scene.boxes.shape, scene.landmarks.shape, scene.ignored.shape) == ((0, 4), (0, 5, 2), (0, 4))


# Copies with masks


def test_a_mask_is_drawn_over_the_face_and_the_landmarks_stay(astronaut):
    scene = portrait_scene_of(astronaut)
    states = set()
    for seed in range(8):
        dressed = dressed_scene(scene, np.random.default_rng(seed))
        states.add(int(dressed.masks[0]))
        if dressed.masks[0] == CORRECT:
            changed = np.abs(dressed.image.astype(int) - astronaut).max(2) > 12
            assert changed[130:165, 200:252].mean() > 0.6
            assert not changed[400:].any()
        assert dressed.landmarks is scene.landmarks
        assert np.array_equal(dressed.boxes, scene.boxes)
    assert states == {0, 1, 2}
    assert scene.masks.tolist() == [BARE]


def test_nothing_is_drawn_on_masked_faces_and_those_without_landmarks(astronaut):
    rng = np.random.default_rng(0)
    assert dressed_scene(portrait_scene_of(astronaut, CORRECT), rng) is None
    scene = portrait_scene_of(astronaut)
    unknown = replace(scene, landmarks=np.full((1, 5, 2), np.nan, np.float32))
    assert dressed_scene(unknown, rng) is None
    profile = scene.landmarks.copy()
    profile[0, 1] = profile[0, 0] + [4, 0]
    assert dressed_scene(replace(scene, landmarks=profile), rng) is None


# What the stock weights find


@pytest.fixture
def portraits(astronaut, tmp_path) -> list[Path]:
    """The portrait, a cut-out of its face, and a file that is no picture."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    PIL.Image.fromarray(astronaut).save(folder / "whole.png")
    PIL.Image.fromarray(astronaut[55:180, 170:285]).save(folder / "face.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return [folder / "whole.png", folder / "face.png", folder / "broken.png"]


def test_the_stock_weights_find_faces_also_in_cut_outs(portraits, tmp_path):
    cache = tmp_path / "cache" / "found.npz"
    found, problems = taught(portraits, portraits[0].parent, True, nothing, cache)
    ((box, score, landmarks),) = found.of(portraits[0])
    assert score > 0.9
    assert abs(box.x1 - BOX[0]) < 15
    assert np.abs(landmarks - np.array(LANDMARKS)).max() < 8
    ((_, _, inside),) = found.of(portraits[1])
    assert np.abs(inside - (landmarks - [170, 55])).max() < 6, "in px of the cut-out, not of its border"
    assert str(portraits[2]) not in found.found
    assert [(problem.where, problem.done) for problem in problems] == [("broken.png", "left out")]
    assert problems[0].what.startswith("picture cannot be read: ")


def test_what_was_found_is_taken_from_the_cache_until_a_picture_changes(portraits, tmp_path, monkeypatch):
    cache = tmp_path / "cache" / "found.npz"
    first = taught(portraits, portraits[0].parent, True, nothing, cache)
    with monkeypatch.context() as patch:
        patch.setattr(teaching_of, "_teach", lambda *parts: pytest.fail("searched again"))
        again = taught(portraits, portraits[0].parent, True, nothing, cache)
    assert again[1] == first[1]
    assert list(again[0].found) == list(first[0].found)
    assert all(np.array_equal(again[0].found[name], rows) for name, rows in first[0].found.items())
    PIL.Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(portraits[1])
    changed, _ = taught(portraits, portraits[0].parent, True, nothing, cache)
    assert changed.of(portraits[1]) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_cache_is_made_anew(portraits, tmp_path, content):
    cache = tmp_path / "found.npz"
    cache.write_bytes(content)
    found, _ = taught(portraits[:1], portraits[0].parent, True, nothing, cache)
    assert len(found.of(portraits[0])) == 1
    with np.load(cache) as stored:
        assert json.loads(str(stored["problems"])) == []


def test_a_picture_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(SourceError):
        read_scene_picture(tmp_path / "none.png")
