"""Findings in made-up pictures and labels."""

import csv
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from gatecam.errors import OutputError
from gatecam.training.data.check import (
    Kind,
    Picture,
    duplicate_findings,
    file_findings,
    label_findings,
    listed_findings,
    person_findings,
    pictures_of,
    spoils,
    write_findings,
)
from gatecam.training.data.check_duplicates import Pair, find_duplicates, groups_of
from gatecam.training.data.check_files import GREY_PX, examine_pictures
from gatecam.training.data.check_labels import Contradiction, contradictions, features_of
from gatecam.training.data.check_page import write_check_page
from gatecam.training.data.rows import Collection, Problem, Row
from gatecam.types import Box
from gatecam.vision.crops import CropSpec


def quiet(done, total):
    pass


def blocks(seed):
    """(96, 96, 3): blocks of 6 px in colours of chance, unlike those of any other seed."""
    colours = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return colours.repeat(6, axis=0).repeat(6, axis=1)


def row(path, key="a", mask=2, gender=0, box=None):
    return Row(Path(path), box, mask, gender, 0, False, key)


def collection(*rows, problems=()):
    return Collection("set", "a CSV of faces", Path("/set"), list(rows), list(problems))


def saved(path, image, **options):
    PIL.Image.fromarray(image).save(path, **options)
    return path


def fault_of(path):
    (told,) = examine_pictures([path], quiet)
    return told.fault


def test_a_good_picture_has_no_fault_and_leaves_a_grey_copy(tmp_path):
    (told,) = examine_pictures([saved(tmp_path / "a.png", blocks(0))], quiet)
    assert (told.fault, told.oddity) == ("", "")
    assert told.grey.shape == (GREY_PX, GREY_PX)
    assert told.grey.std() > 20


def test_an_empty_file_a_text_and_a_missing_one_are_damaged(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
    assert fault_of(tmp_path / "empty.jpg") == "the file is empty"
    assert "not a picture" in fault_of(tmp_path / "text.jpg")
    assert "no such picture" in fault_of(tmp_path / "missing.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_file_cut_short_is_damaged(tmp_path, suffix):
    path = saved(tmp_path / f"a{suffix}", blocks(0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert "damaged" in fault_of(path)


def test_a_jpeg_that_ends_early_but_properly_is_damaged(tmp_path):
    path = saved(tmp_path / "a.jpg", blocks(0), quality=90)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10] + b"\xff\xd9")
    assert "never decoded" in fault_of(path)


def test_a_picture_in_a_grey_frame_is_whole(tmp_path):
    framed = np.full((128, 128, 3), 128, np.uint8)
    framed[16:112, 16:112] = blocks(0)
    assert fault_of(saved(tmp_path / "a.png", framed)) == ""


def test_a_picture_of_one_colour_is_damaged(tmp_path):
    assert "a single colour" in fault_of(saved(tmp_path / "a.png", np.full((96, 96, 3), 90, np.uint8)))


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("png.jpg", (96, 96), "a PNG file, although its name ends in .jpg"),
        ("tiny.png", (20, 40), "very small: 20 × 40 px"),
        ("long.png", (600, 60), "very long: 600 × 60 px"),
    ],
)
def test_an_odd_picture_is_told_as_odd(tmp_path, name, size, said):
    path = tmp_path / name
    PIL.Image.fromarray(blocks(0)).resize(size).save(path, format="PNG")
    (told,) = examine_pictures([path], quiet)
    assert (told.fault, told.oddity) == ("", said)


def grey(image):
    return cv2.resize(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (GREY_PX, GREY_PX), interpolation=cv2.INTER_AREA
    )


def as_jpeg(image):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    ("change", "mirrored"),
    [
        (as_jpeg, False),
        (lambda image: cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA), False),
        (lambda image: np.clip(image * 0.7 - 10, 0, 255).astype(np.uint8), False),
        (lambda image: image[20:490, 30:500], False),
        (lambda image: image[:, ::-1].copy(), True),
        (lambda image: as_jpeg(image[25:487, 480:20:-1].copy()), True),
    ],
    ids=["re-encoded", "smaller", "darker", "cropped", "mirrored", "all at once"],
)
def test_a_changed_copy_is_found(astronaut, change, mirrored):
    greys = np.stack([grey(blocks(1)), grey(astronaut), grey(blocks(2)), grey(change(astronaut))])
    (pair,) = find_duplicates(greys, quiet)
    assert (pair.first, pair.second, pair.mirrored) == (1, 3, mirrored)
    assert pair.likeness > 0.85


def test_another_part_of_a_photograph_and_black_pictures_are_no_duplicates(astronaut):
    black = np.zeros((GREY_PX, GREY_PX), np.uint8)
    halves = [grey(astronaut[:256].copy()), grey(astronaut[256:].copy())]
    assert find_duplicates(np.stack([*halves, black, black]), quiet) == []


def test_linked_pairs_are_one_group():
    pairs = [Pair(1, 2, 1, False), Pair(4, 5, 1, False), Pair(2, 3, 1, False), Pair(3, 1, 1, False)]
    assert groups_of(pairs) == [[1, 2, 3], [4, 5]]


def picture(name, part="train", key="a", mask=2):
    return Picture("set", name, Path("/set") / name, part, (row(f"/set/{name}", key, mask),))


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (picture("b", part="test"), Kind.LEAK),
        (picture("b", key="other"), Kind.TWO_PEOPLE),
        (picture("b"), Kind.AGAIN),
    ],
)
def test_what_duplicates_mean_depends_on_their_parts_and_people(other, kind):
    (finding,) = duplicate_findings([picture("a"), other], [Pair(0, 1, 0.9, True)])
    assert finding.kind == kind
    assert finding.detail == "likeness 0.90, mirrored"


def test_duplicates_that_are_labelled_otherwise_say_so():
    (finding,) = duplicate_findings([picture("a"), picture("b", mask=1)], [Pair(0, 1, 0.9, False)])
    assert finding.detail == "likeness 0.90, labelled mask none / incorrect"


def test_a_person_in_two_parts_is_one_finding_that_counts_pictures():
    rows = [row("/set/1", "a"), row("/set/2", "a"), row("/set/3", "a"), row("/set/4", "b")]
    (finding,) = person_findings([collection(*rows)], [["train", "test", "train", "train"]])
    assert finding.kind == Kind.PERSON
    assert finding.detail == "a: pictures 2 in train, 1 in test"
    assert [place.image for place in finding.places] == ["1", "2"]


def test_a_picture_of_many_faces_is_one_picture():
    faces = collection(
        row("/set/1", box=Box(0, 0, 9, 9)), row("/set/1", box=Box(9, 9, 20, 20)), row("/set/2")
    )
    pictures = pictures_of([faces], [["train", "train", "test"]])
    assert [(p.name, p.part, len(p.rows)) for p in pictures] == [("1", "train", 2), ("2", "test", 1)]


def clusters(count=60, seed=0):
    """Labels 0 and 1 of faces in two clear clusters, keys of three faces each."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = random.normal(size=(count, 256)).astype(np.float32)
    features += 3 * labels[:, None]
    return features, labels, np.array([str(i // 3) for i in range(count)])


def test_flipped_labels_are_found_and_no_others():
    features, labels, keys = clusters(120)
    flipped = [4, 31, 77]
    labels[flipped] = 1 - labels[flipped]
    found = contradictions(features, labels, keys, folds=5)
    assert {c.face for c in found} == set(flipped)
    assert all(c.label == labels[c.face] and c.predicted == 1 - c.label for c in found)
    assert [c.doubt for c in found] == sorted((c.doubt for c in found), reverse=True)


def test_a_label_is_judged_by_models_that_never_saw_its_key():
    """A feature that names the key would give each wrong label away as right, had the model seen it."""
    features, labels, _ = clusters(60)
    keys = np.array([str(i % 20) for i in range(60)])
    mine = keys == "5"
    labels[mine] = 1 - labels[mine]
    named = np.concatenate([features, np.tile(9 * mine[:, None], 256)], 1).astype(np.float32)
    assert {c.face for c in contradictions(named, labels, keys, folds=5)} == {5, 25, 45}


@pytest.mark.parametrize("labels", [np.full(40, -1), np.full(40, 2), np.array([0, 1] + [-1] * 38)])
def test_nothing_is_judged_where_nothing_can_be_learned(labels):
    features, _, keys = clusters(40)
    assert contradictions(features, labels, keys, folds=5) == []


def test_unknown_labels_keep_their_place_among_the_faces():
    features, labels, keys = clusters(60)
    labels = labels.copy()
    labels[:9] = -1
    labels[30] = 1 - labels[30]
    assert [c.face for c in contradictions(features, labels, keys, folds=5)] == [30]


def test_features_are_the_backbones_of_every_face(make_faces):
    from gatecam.vision.network import build_network

    network = build_network("mobilefacenet", "three").eval()
    features = features_of(network, make_faces([0, 1, 2]), CropSpec(64, 0.2, 127.5, 128.0), quiet)
    assert features.shape == (3, 512)
    assert not np.allclose(features[0], features[2])


def some_findings(tmp_path):
    files = [saved(tmp_path / f"{i}.png", blocks(i)) for i in range(3)]
    (tmp_path / "broken.png").touch()
    problem = Problem("train.csv:7", "age: expected years, got <abc>", "the age is unknown")
    rows = [row(file, str(i), box=Box(10, 10, 50, 50)) for i, file in enumerate(files)]
    rows.append(row(tmp_path / "broken.png", "9"))
    faces = Collection("set", "a CSV of faces", tmp_path, rows, [problem])
    parts = [["train", "test", "train", "train"]]
    pictures = pictures_of([faces], parts)
    return [
        *file_findings(pictures, examine_pictures([p.path for p in pictures], quiet)),
        *duplicate_findings(pictures, [Pair(0, 1, 0.93, False)]),
        *label_findings([(faces, rows[2], "train")], {"mask": [Contradiction(0, 2, 0, 0.95, 0.04)]}),
        *listed_findings([faces]),
    ]


def test_the_page_shows_what_was_found_with_its_pictures_and_nothing_from_elsewhere(tmp_path):
    write_check_page(tmp_path / "check.html", some_findings(tmp_path), "Checked: set.", True)
    html = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert html.count("<img ") == 2  # the pair side by side, and the doubtful face
    assert "set: 0.png (train) | set: 1.png (test) | likeness 0.93" in html
    assert "mask labelled none (4%), predicted correct (95%)" in html
    assert "the file is empty" in html
    assert "got &lt;abc&gt;; the age is unknown" in html
    assert "http" not in html


def test_a_doubtful_face_is_shown_without_the_rest_of_its_picture(tmp_path):
    image = np.zeros((300, 300, 3), np.uint8)
    image[100:200, 100:200] = (250, 0, 0)
    path = saved(tmp_path / "a.png", image)
    labelled = row(path, box=Box(100, 100, 200, 200))
    (finding,) = label_findings(
        [(collection(labelled), labelled, "train")], {"mask": [Contradiction(0, 2, 0, 0.9, 0.1)]}
    )
    from gatecam.training.data.check_page import _thumb

    red = _thumb(finding.places[0])[:, :, 0] > 200
    assert 0.3 < red.mean() < 0.6  # the box is 1 / 1.5² of what is shown


def test_the_csv_has_a_line_a_picture(tmp_path):
    write_findings(tmp_path / "check.csv", some_findings(tmp_path))
    with (tmp_path / "check.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["kind"], line["finding"], line["image"]) for line in lines] == [
        ("damaged picture", "1", "broken.png"),
        ("one photograph in two parts", "2", "0.png"),
        ("one photograph in two parts", "2", "1.png"),
        ("contradicted label", "3", "2.png"),
        ("problem of the collection", "4", "train.csv:7"),
    ]


def test_a_csv_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_findings(tmp_path / "no" / "check.csv", [])


def test_only_damage_and_leaks_spoil_scores(tmp_path):
    findings = some_findings(tmp_path)
    assert spoils(findings)
    assert not spoils([f for f in findings if f.kind not in (Kind.DAMAGED, Kind.LEAK)])
