"""Weights and their spec: whole, or refused with one sentence."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gatecam.errors import ModelError
from gatecam.vision import weights
from gatecam.vision.crops import CropSpec
from gatecam.vision.weights import (
    LABELS,
    ModelSpec,
    find_weights,
    hash_of,
    load_weights,
    read_spec,
    save_weights,
    verify_all,
)

SPEC = ModelSpec(
    name="faces",
    architecture="some-network",
    crop=CropSpec(size=112, margin=0.15, mean=127.5, std=128.0),
    temperature={"mask": 1.3, "gender": 0.9, "age": 1.0},
    data=["made-up faces"],
    scores={"mask": {"macro_f1": 0.9}},
    licence="research only",
)


@pytest.fixture
def saved(tmp_path) -> Path:
    """Weights of one tensor, with their spec beside them."""
    path = tmp_path / "faces.safetensors"
    save_weights(path, {"a": torch.arange(6.0).reshape(2, 3)}, SPEC)
    return path


def refused(path: Path) -> str:
    """What `load_weights` says of weights: one sentence that names a file."""
    with pytest.raises(ModelError) as caught:
        load_weights(path)
    text = str(caught.value)
    assert text.startswith(str(path.with_suffix("")))
    assert text.endswith(".")
    assert "\n" not in text
    return text


def edit_spec(path: Path, **values: object) -> None:
    spec_path = path.with_suffix(".json")
    spec_path.write_text(json.dumps({**json.loads(spec_path.read_text(encoding="utf-8")), **values}))


def test_what_is_saved_is_loaded(saved):
    tensors, spec = load_weights(saved)
    assert spec == replace(SPEC, sha256=hash_of(saved))
    assert list(tensors) == ["a"]
    assert torch.equal(tensors["a"], torch.arange(6.0).reshape(2, 3))


def test_saving_leaves_only_the_two_files_and_others_may_read_them(saved):
    assert {path.name for path in saved.parent.iterdir()} == {"faces.safetensors", "faces.json"}
    assert saved.stat().st_mode & 0o044 == 0o044


def test_saving_again_replaces_both_files(saved):
    spec = save_weights(saved, {"b": torch.zeros(3)}, replace(SPEC, licence="another"))
    tensors, loaded = load_weights(saved)
    assert list(tensors) == ["b"]
    assert loaded == spec
    assert loaded.licence == "another"


def test_tensors_in_another_memory_order_are_saved(tmp_path):
    kernel = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    path = tmp_path / "faces.safetensors"
    save_weights(path, {"kernel": kernel.to(memory_format=torch.channels_last)}, SPEC)
    assert torch.equal(load_weights(path)[0]["kernel"], kernel)


def test_a_name_with_a_dot_keeps_it(tmp_path):
    path = tmp_path / "faces.v2.safetensors"
    save_weights(path, {"a": torch.zeros(1)}, SPEC)
    assert (tmp_path / "faces.v2.json").is_file()
    assert load_weights(path)[1].name == "faces"


def test_a_changed_file_is_told_by_its_hash(saved):
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    text = refused(saved)
    assert "its sha256 is" in text
    assert "restore both files" in text


def test_weights_cut_short_are_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-4])
    assert "sha256" in refused(saved)


def test_a_missing_spec_is_told(saved):
    saved.with_suffix(".json").unlink()
    assert "faces.json: the spec of these weights is missing" in refused(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "{}", '{"crop": 3}', "\xff", "[" * 100_000])
def test_a_spec_that_is_none_is_told(saved, text):
    saved.with_suffix(".json").write_text(text, encoding="latin-1")
    assert "faces.json: not a spec of gatecam weights" in refused(saved)


CROP = {"size": 112, "margin": 0.15, "mean": 127.5, "std": 128.0, "interpolation": "roi_align_2"}


@pytest.mark.parametrize(
    "values",
    [
        {"crop": {**CROP, "size": "112"}},
        {"crop": {**CROP, "size": 0}},
        {"crop": {**CROP, "size": 112.5}},
        {"crop": {**CROP, "std": 0}},
        {"crop": {**CROP, "margin": -1}},
        {"crop": {**CROP, "mean": float("nan")}},
        {"crop": {**CROP, "interpolation": "nearest"}},
        {"crop": {**CROP, "colour": "BGR"}},
        {"temperature": {"mask": 1.0, "gender": 1.0}},
        {"temperature": {"mask": 1.0, "gender": 1.0, "age": 0}},
        {"temperature": {"mask": 1.0, "gender": 1.0, "age": "1"}},
        {"temperature": None},
        {"sha256": 12},
        {"sha256": None},
        {"architecture": 5},
        {"unheard_of": 1},
    ],
    ids=str,
)
def test_values_that_cannot_be_computed_with_are_told(saved, values):
    edit_spec(saved, **values)
    assert "not a spec of gatecam weights" in refused(saved)


def test_weights_for_other_labels_are_refused(saved):
    edit_spec(saved, labels={**LABELS, "mask": ["none", "incorrect", "correct"]})
    text = refused(saved)
    assert "expected labels" in text
    assert "['none', 'incorrect', 'correct']" in text


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_never_loaded(saved, kind):
    trap = saved.parent / "sprung"
    if kind == "pickle":
        saved.write_bytes(pickle.dumps(Trap(trap)))
    else:
        torch.save({"a": Trap(trap)}, saved)
    edit_spec(saved, sha256=hash_of(saved))
    assert "cannot be read as safetensors" in refused(saved)
    assert not trap.exists()


def test_an_empty_file_with_the_right_hash_is_no_safetensors(saved):
    saved.write_bytes(b"")
    edit_spec(saved, sha256=hash_of(saved))
    assert "cannot be read as safetensors" in refused(saved)


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """An empty folder in the place of the shipped weights."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setattr(weights, "models_folder", lambda: folder)
    return folder


def test_weights_are_found_by_path_and_by_name(saved, models):
    shipped = models / "small.safetensors"
    shipped.touch()
    assert find_weights(str(saved)) == saved
    assert find_weights("small") == shipped


@pytest.mark.parametrize(
    "name", ["none-such", "folder/none.safetensors", "n" * 300, "nul\0.safetensors", " "]
)
def test_weights_that_are_not_there_are_told_with_those_that_are(models, name):
    (models / "a.safetensors").touch()
    (models / "b.safetensors").touch()
    with pytest.raises(ModelError, match=r"no such weights; set classifier\.weights .* \(a, b\)\.$"):
        find_weights(name)


def test_without_any_shipped_weights_the_message_says_none(models):
    with pytest.raises(ModelError, match=r"\(none\)\.$"):
        find_weights("faces")


def test_a_folder_with_the_name_of_weights_is_none(tmp_path, models):
    (tmp_path / "x.safetensors").mkdir()
    with pytest.raises(ModelError, match="no such weights"):
        find_weights(str(tmp_path / "x.safetensors"))


def test_verification_tells_whole_weights_from_changed_ones(models):
    for name in ("good", "changed"):
        save_weights(models / f"{name}.safetensors", {"a": torch.zeros(1)}, SPEC)
    edit_spec(models / "changed.safetensors", sha256="0" * 64)
    changed, good = verify_all()
    assert (changed.name, changed.ok) == ("changed", False)
    assert "restore both files" in changed.detail
    assert (good.name, good.ok) == ("good", True)
    assert hash_of(good.path)[:12] in good.detail


def test_verification_of_nothing_is_empty(models):
    assert verify_all() == []


def test_the_shipped_weights_are_whole():
    statuses = verify_all()
    assert "gatecam-faces" in [status.name for status in statuses]
    assert [status.detail for status in statuses if not status.ok] == []


def test_the_shipped_weights_say_where_they_come_from():
    spec = read_spec(find_weights("gatecam-faces"))
    assert spec.data
    assert spec.licence
    own = {name: heads for name, heads in spec.scores.items() if isinstance(heads, dict) and name != "recipe"}
    rounded = [own.pop(precision) for precision in ("int8", "bf16")]
    scored = list(own.values())
    assert {head for heads in scored for head in heads} >= set(LABELS)
    assert all(score["macro_f1_interval"] for heads in scored for score in heads.values())
    scores = [score for sets in rounded for heads in sets.values() for score in heads.values()]
    assert all(score["macro_f1"] for score in scores)
