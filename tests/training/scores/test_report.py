"""What is scored, on which faces, by group; and the page that tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import Collection, Row
from gatecam.training.scores.page import page_of
from gatecam.training.scores.report import Evaluation, fitted_temperatures, report_of
from gatecam.training.scores.sets import SHOTS, Judged, as_they_are, dressed, judge, pictures_of
from gatecam.training.scores.slices import slices_of
from gatecam.vision.crops import CropSpec
from gatecam.vision.network import build_network

ONE = {"mask": 1.0, "gender": 1.0, "age": 1.0}
CROP = CropSpec(size=64, margin=0.3, mean=127.5, std=128.0)


def collection_of(faces: Faces, name: str = "door") -> Collection:
    labels = zip(faces.mask, faces.gender, faces.age, faces.keys, strict=True)
    rows = [Row(Path("x.png"), None, int(m), int(g), int(a), False, str(k)) for m, g, a, k in labels]
    return Collection(name, "boxes", Path(), rows, [])


@pytest.fixture
def judged_as(make_faces) -> Callable[..., Judged]:
    """Builds faces judged to have the masks given, as sure as given, whose gender and age are all right."""

    def build(mask: list[int], said: Sequence[int], sure: float = 3.0, **labels: list) -> Judged:
        faces = make_faces(mask, **labels)
        one_hot = {"mask": (np.array(said), 3), "gender": (faces.gender, 2), "age": (faces.age, 3)}
        logits = {
            head: torch.nn.functional.one_hot(torch.tensor(np.maximum(values, 0)), width).float() * sure
            for head, (values, width) in one_hot.items()
        }
        return Judged(as_they_are(collection_of(faces), faces), faces.kinds, logits)

    return build


def test_faces_with_doubtful_labels_and_small_ones_are_left_out_and_counted(judged_as):
    judged = judged_as([0, 1, 2, -1, 0], [0, 1, 2, 0, 1], suspect=[False, True, False, False, False])
    judged.pictures.faces.face_px[4] = 31
    report = report_of(judged, ONE).heads["mask"]
    assert report.score.faces == 2
    assert report.score.micro_f1 == 1.0
    assert report.left_out == {"no label": 1, "doubtful label": 1, "under 32 px": 1}


def test_heads_are_scored_that_the_pictures_tell_something_of(make_faces):
    masks = make_faces([0, 1, 2])
    assert as_they_are(collection_of(masks), masks).heads == ("mask",)
    bare = make_faces([2, 2], gender=[0, 1], age=[0, 1])
    pictures = as_they_are(collection_of(bare), bare)
    assert pictures.heads == ("gender", "age")
    assert "all labelled none" in pictures.about
    people = make_faces([0, 2], gender=[0, 1], age=[0, 1])
    assert as_they_are(collection_of(people), people).heads == ("mask", "gender", "age", "class")


def test_a_part_of_one_mask_state_is_scored_if_its_collection_shows_others(make_faces):
    faces = make_faces([0, 1, 2, 2])
    held = faces.take(faces.mask == 2)
    assert "mask" in as_they_are(collection_of(faces), held).heads


def test_a_bare_face_is_dressed_as_seven_pictures_the_same_each_time(make_faces):
    faces = make_faces([2, 2, 2], gender=[0, 1, 1], age=[0, 1, 2])
    faces.landmarks[1] = np.nan
    pictures = dressed(collection_of(faces), faces)
    assert pictures.rows.tolist() == [0] * 7 + [2] * 7
    assert pictures.states.tolist() == [*SHOTS, *SHOTS]
    assert "No mask could be drawn on 1 faces" in pictures.about
    first, kind = pictures.patch(0)
    again, same_kind = pictures.patch(0)
    assert (first.image == again.image).all()
    assert kind == same_kind != ""
    assert (first.image != pictures.patch(1)[0].image).any()
    assert (first.image != faces.patches[0, :120, :120]).any()


def test_a_collection_that_shows_masks_itself_is_not_dressed(make_faces):
    faces = make_faces([0, 2], gender=[0, 1], age=[0, 1])
    assert dressed(collection_of(faces), faces) is None


def test_the_network_judges_every_picture_and_says_what_covers_it(make_faces):
    faces = make_faces([2, 2], gender=[0, 1], age=[0, 2])
    (_, drawn) = pictures_of([(collection_of(faces), faces)], drawn=True)
    judged = judge(build_network("mobilefacenet", "three").eval(), CROP, drawn, lambda *_: None)
    assert {head: tuple(x.shape) for head, x in judged.logits.items()} == {
        "mask": (14, 3),
        "gender": (14, 2),
        "age": (14, 3),
    }
    assert all(judged.kinds[:6] != "")
    assert judged.truth("class").tolist() == [0] * 5 + [6, 12] + [5] * 5 + [11, 17]


def test_groups_are_scored_apart_and_only_large_ones_make_a_gap(judged_as):
    count = 250
    said = np.array([0, 1] * (count // 2))
    said[:30:2] = 1  # 15 of the first 100 faces are missed
    judged = judged_as([0, 1] * (count // 2), said, gender=[0] * 100 + [1] * 150, age=[0] * count)
    judged.pictures.faces.races[:], judged.pictures.faces.races[240:] = "w", "o"
    report = report_of(judged, ONE).heads["mask"]
    found = {(s.attribute, s.group): (s.faces, s.micro_f1) for s in report.slices}
    assert found == {
        ("gender", "male"): (100, 0.85),
        ("gender", "female"): (150, 1.0),
        ("race", "w"): (240, 0.9375),
        ("race", "o"): (10, 1.0),
    }
    (gap,) = report.gaps
    assert (gap.attribute, gap.width, gap.best, gap.worst) == ("gender", 0.15, "female", "male")
    low, high = next(s.interval for s in report.slices if s.group == "male")
    assert low < 0.85 < high


def test_small_faces_stand_in_the_sizes_though_not_in_the_score(judged_as):
    judged = judged_as([0, 1, 0, 1], [0, 1, 1, 1])
    judged.pictures.faces.face_px[:] = (128, 64, 31, 63.5)
    sizes = [(s.group, s.faces, s.micro_f1) for s in slices_of("mask", judged)]
    assert sizes == [
        ("under 32 px", 1, 0.0),
        ("32 to 63 px", 1, 1.0),
        ("64 to 127 px", 1, 1.0),
        ("128 px and more", 1, 1.0),
    ]


def test_mistakes_come_most_confident_first_and_one_a_person(judged_as):
    judged = judged_as([0, 0, 1, 1], [1, 1, 0, 1], keys=["a", "a", "b", "c"])
    judged.logits["mask"][1] *= 2
    mistakes = report_of(judged, ONE).heads["mask"].mistakes
    assert [(m.index, m.true, m.predicted) for m in mistakes] == [
        (1, "correct", "incorrect"),
        (2, "incorrect", "correct"),
    ]
    assert mistakes[0].probability > mistakes[1].probability


def test_a_head_without_usable_faces_and_labels_that_never_occur_are_said(judged_as):
    some = report_of(judged_as([0, 1], [0, 1]), ONE)
    assert some.notes[0].startswith("mask: no face is labelled none, so nothing is known")
    none = report_of(judged_as([0, 1], [0, 1], suspect=[True, True]), ONE)
    assert none.heads == {}
    assert none.notes == ["mask: no score, because no face is large enough and has a certain label."]


def test_a_temperature_is_fitted_on_enough_faces_as_they_are(judged_as):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    said = np.where(rng.random(300) < 0.8, truth, (truth + 1) % 3)
    sets = [judged_as(truth.tolist(), said, sure=9.0)]
    assert set(fitted_temperatures(sets)) == {"mask"}
    temperature, faces = fitted_temperatures(sets)["mask"]
    assert faces == 300
    before, after = (report_of(sets[0], {**ONE, "mask": t}).heads["mask"].score for t in (1, temperature))
    assert before.ece > 0.15 > 0.03 > after.ece
    assert fitted_temperatures([judged_as([0, 1], [0, 1])]) == {}


def evaluation_of(sets: list[Judged]) -> Evaluation:
    reports = [report_of(judged, ONE) for judged in sets]
    return Evaluation("<door>", "0" * 64, ONE, {}, {"part": "validation"}, reports)


def test_the_page_says_what_was_scored_and_shows_the_mistakes(judged_as, tmp_path):
    pytest.importorskip("matplotlib")
    sets = [judged_as([0, 0, 1, 2], [1, 0, 1, 2], gender=[0, 1, 0, 1], age=[0, 1, 2, 0])]
    page_of(evaluation_of(sets), sets).write(tmp_path / "scores.html")
    text = (tmp_path / "scores.html").read_text()
    for said in (
        "&lt;door&gt;",
        "Where it fails",
        "the 18 classes",
        "correct predicted as incorrect",
        "0.png",
    ):
        assert said in text
    assert text.count("confusion matrix") == 4
    assert "<door>" not in text
    assert "http" not in text


def test_everything_is_in_the_json(judged_as):
    sets = [judged_as([0, 1, 2], [0, 1, 1], gender=[0, 1, 0], age=[0, 1, 2])]
    values = json.loads(json.dumps(evaluation_of(sets).as_json(), allow_nan=False))
    mask = values["sets"][0]["heads"]["mask"]
    assert mask["micro_f1"] == 0.6667
    assert mask["confusion"] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert mask["mistakes"][0]["image"] == "2.png"
    assert evaluation_of(sets).summary()["door"]["mask"]["macro_f1"] == mask["macro_f1"]
