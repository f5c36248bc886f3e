"""`gatecam weights`: from archives of pictures to both files of weights, on a few pictures."""

from __future__ import annotations

import csv
import inspect
import json
import shutil
import tarfile
import zipfile
from dataclasses import asdict
from pathlib import Path

import cv2
import pytest

from gatecam.cli.train import train
from gatecam.cli.train_detector import train_detector
from gatecam.errors import DataError
from gatecam.training.classifier.recipe import Recipe
from gatecam.training.data.corrections import COLUMNS
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.weights import run as weights_run
from gatecam.training.weights.sources import (
    find_face_teachers,
    find_source,
    find_start,
    sources_of,
    start_of,
)
from gatecam.vision.classifier import load_classifier
from gatecam.vision.detector.build import load_detector
from tests.portraits import write_portraits


@pytest.fixture(scope="module")
def raw(astronaut, tmp_path_factory) -> Path:
    """The archives of `gatecam-open`, a video, and the names of two teachers."""
    root = tmp_path_factory.mktemp("raw")
    write_portraits(root, astronaut, 30, 96)
    (root / "masks").rename(root / "medical")
    (root / "people").rename(root / "fairface")
    with tarfile.open(root / "medical.tar", "w") as packed:
        packed.add(root / "medical", "medical")
    with zipfile.ZipFile(root / "fairface.zip", "w") as zipped:
        for path in sorted((root / "fairface").rglob("*")):
            zipped.write(path, path.relative_to(root))
    for name in ("medical", "fairface"):
        shutil.rmtree(root / name)
    for name in ("teachers", "videos"):
        (root / name).mkdir()
    (root / "teachers" / "one.onnx").write_bytes(b"teacher")
    (root / "videos" / ".DS_Store").touch()
    writer = cv2.VideoWriter(
        str(root / "videos" / "door.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (256, 256)
    )
    for _ in range(3):
        writer.write(cv2.cvtColor(astronaut[:256, 96:352], cv2.COLOR_RGB2BGR))
    writer.release()
    return root


def test_an_archive_is_unpacked_once_and_a_folder_is_used_as_it_is(raw, tmp_path):
    folder = find_source("medical", raw, tmp_path)
    assert (folder / "faces.csv").is_file()
    (folder / "faces.csv").unlink()
    assert not (find_source("medical", raw, tmp_path) / "faces.csv").exists(), "it is not unpacked again"
    assert find_source("medical", tmp_path, tmp_path / "other") == tmp_path / "medical"


def test_an_archive_that_changed_is_unpacked_again(tmp_path):
    for content in ("first", "second, longer"):
        with zipfile.ZipFile(tmp_path / "medical.zip", "w") as zipped:
            zipped.writestr("medical/faces.csv", content)
        folder = find_source("medical", tmp_path, tmp_path / "work")
        assert (folder / "faces.csv").read_text() == content


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "has no folder medical, medical.tar or medical.zip"), (b"no archive", "cannot be unpacked")],
)
def test_a_missing_or_damaged_archive_is_one_sentence(tmp_path, content, what):
    if content is not None:
        (tmp_path / "medical.tar").write_bytes(content)
    with pytest.raises(DataError, match=what):
        find_source("medical", tmp_path, tmp_path / "work")


def test_an_archive_with_damaged_content_is_one_sentence(tmp_path):
    archive = tmp_path / "medical.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("medical/faces.csv", "".join(map(str, range(5000))))
    content = bytearray(archive.read_bytes())
    content[60:100] = b"\xff" * 40
    archive.write_bytes(content)
    with pytest.raises(DataError, match="cannot be unpacked"):
        find_source("medical", tmp_path, tmp_path / "work")


def test_the_open_weights_learn_only_from_pictures_that_products_may_use():
    assert [source.name for source in sources_of("gatecam-open")] == ["medical", "fairface"]
    assert not any("research" in source.terms for source in sources_of("gatecam-open"))
    with pytest.raises(DataError, match=r"^other: there are no such weights\. Choose gatecam or"):
        sources_of("other")


def test_the_best_first_weights_that_are_there_are_taken_with_the_recipe_for_them(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    assert find_start(tmp_path, "gatecam") is None
    assert start_of(None).recipe == Recipe(), "from nothing"
    taken = {}
    for name in ("net.dat", "net.safetensors", "net.json", "faceres.json"):
        (folder / name).touch()
        taken[name] = [find_start(tmp_path, pair) for pair in ("gatecam", "gatecam-open")]
    assert {name: [path.name for path in paths] for name, paths in taken.items()} == {
        "net.dat": ["net.dat", "net.dat"],
        "net.safetensors": ["net.safetensors", "net.dat"],  # whose terms are not stated
        "net.json": ["net.safetensors", "net.dat"],
        "faceres.json": ["faceres.json", "faceres.json"],
    }
    (folder / "faceres-deep.json").touch()
    assert find_start(tmp_path, "gatecam").name == "faceres-deep.json"
    teachers = [path.name for path in find_face_teachers(folder / "faceres.json")]
    assert teachers == ["faceres-deep.json", "faceres.json"]
    assert find_face_teachers(folder / "net.dat") == find_face_teachers(None) == ()
    backbones = [
        start_of(folder / name).recipe.backbone for name in ("faceres.json", "a.safetensors", "a.dat")
    ]
    assert backbones == ["mobilenet_v1", "mobilefacenet", "resnet29"]
    with pytest.raises(
        DataError, match=r"net\.onnx: is not a file of first weights\. Give one that ends in \.json or"
    ):
        start_of(folder / "net.onnx")


def test_a_quick_run_makes_both_weights_and_the_same_command_ends_at_once(
    raw, gatecam, tmp_path, monkeypatch
):
    monkeypatch.setattr("gatecam.training.detector.run_label.load_teacher", _stock_teacher())
    quantized: list[str] = []
    monkeypatch.setattr(weights_run, "quantize", lambda path, *more: quantized.append(path.name))
    corrections = tmp_path / "corrections.csv"
    corrections.write_text(",".join(COLUMNS) + "\nmedical,images/0.png,,,,,none,\n")
    words = ["weights", raw, "--name", "gatecam-open", "--share", "0.001"]
    words += ["--out", tmp_path / "models", "--work", tmp_path / "work", "--corrections", corrections]
    ended = gatecam(*words)
    assert ended.code == 0, ended.err
    assert "step 6 of 6: quantize the classifier" in ended.out
    assert quantized == ["gatecam-open-faces.safetensors"]
    labelled = csv.DictReader((tmp_path / "work" / "labelled" / "medical" / "faces.csv").open())
    assert {row["label"] for row in labelled if row["image"].endswith("/0.png")} == {"none"}
    _, detector = load_detector(tmp_path / "models" / "gatecam-open-mtcnn.safetensors")
    _, classifier = load_classifier(str(tmp_path / "models" / "gatecam-open-faces.safetensors"))
    for spec in (detector, classifier):
        assert spec.licence.startswith("medical: CC0; fairface: CC BY 4.0")
        assert spec.made["command"].startswith("gatecam weights ")
        assert set(spec.made["data_sha256"]) >= {"medical/faces.csv", "fairface/faces.csv"}
        assert spec.made["seconds"] > 0
    assert set(json.loads((tmp_path / "work" / "times.json").read_text())) == {
        "label",
        "split",
        "check",
        "train the detector",
        "train the classifier",
        "quantize the classifier",
    }
    monkeypatch.setattr(weights_run, "train_classifier", lambda *parts: False)
    ended = gatecam(*words)
    assert ended.code == 130, "a training that was stopped stops the command"
    assert ended.out.count("is up to date") == 3


def test_missing_teachers_are_one_sentence(gatecam, tmp_path):
    ended = gatecam("weights", tmp_path, "--out", tmp_path / "models", "--work", tmp_path / "work")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].endswith("has no teachers/*.onnx. Add CenterFace and YuNet.")


def test_first_weights_that_cannot_be_read_are_told_before_the_first_step(raw, gatecam, tmp_path):
    (tmp_path / "net.dat").write_bytes(b"no network")
    words = ["--out", tmp_path / "models", "--work", tmp_path / "work", "--init", tmp_path / "net.dat"]
    ended = gatecam("weights", raw, *words)
    assert ended.code == 2
    assert "net.dat: not dlib's face recognition network" in ended.err
    assert ended.out == ""


def _stock_teacher():
    from gatecam.settings.schema import DetectorConfig
    from gatecam.vision.detector.stock import StockDetector
    from gatecam.vision.device import pick_device

    teacher = StockDetector(DetectorConfig(weights="stock", min_face_px=20), pick_device("auto"))
    return lambda path: teacher


@pytest.mark.parametrize(
    ("command", "recipe", "named_otherwise"),
    [
        (train, Recipe(), {"augmentations", "ema_decay", "weight_decay"}),
        (train_detector, DetectorRecipe(), {"ema_decay", "weight_decay"}),
    ],
    ids=["train", "train-detector"],
)
def test_a_training_command_has_the_defaults_of_its_recipe(command, recipe, named_otherwise):
    """`gatecam weights` takes the recipe, so the same words must train the same way."""
    defaults = {name: p.default for name, p in inspect.signature(command).parameters.items()}
    settings = {name: value for name, value in asdict(recipe).items() if name not in named_otherwise}
    assert settings == {name: defaults.get(name) for name in settings}
    assert defaults["ema"] == recipe.ema_decay
