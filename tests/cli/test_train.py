"""`gatecam train` and `evaluate` end to end, on a few made-up folders: weights, spec, scores, resuming."""

from __future__ import annotations

import json
import sys

import PIL.Image
import pytest

from gatecam.cli import main as cli

COUNT = 60
MASKS = ("with_mask", "with_incorrect_mask", "without_mask")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, astronaut):
    """An `ilc` and a `utkface` folder of one portrait, every label often enough to be held out too."""
    root = tmp_path_factory.mktemp("data")
    face = PIL.Image.fromarray(astronaut[45:180, 157:292]).resize((128, 128))
    ilc, utkface = ["image,x1,y1,x2,y2,label,suspect,group"], ["image,age,gender,race"]
    for name in ("ilc", "utkface"):
        (root / name / "images").mkdir(parents=True)
    for i in range(COUNT):
        for name in ("ilc", "utkface"):
            face.save(root / name / "images" / f"{i}.png")
        ilc.append(f"{i}.png,22,15,105,120,{MASKS[i % 3]},0,{i}")
        utkface.append(f"{i}.png,{(20, 40, 70)[i % 3]},{('male', 'female')[i // 3 % 2]},other")
    (root / "ilc" / "faces.csv").write_text("\n".join(ilc))
    (root / "utkface" / "people.csv").write_text("\n".join(utkface))
    return ["--ilc", str(root / "ilc"), "--utkface", str(root / "utkface")]


@pytest.fixture
def gatecam_exit(monkeypatch, capsys):
    """Runs the command line in process; gives the exit code, standard output and standard error."""

    def run(*words: object) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(sys, "argv", ["gatecam", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


def test_training_leaves_weights_that_evaluate_to_the_scores_in_their_spec(
    folders, gatecam_exit, tmp_path, one_thread
):
    out, run = tmp_path / "tiny.safetensors", tmp_path / "run"
    words = [*folders, "--run", run, "--out", out, "--epochs", 1, "--samples", 100]
    code, said, told = gatecam_exit("train", *words)
    assert code == 0, told
    assert "macro-F1" in said
    spec = json.loads(out.with_suffix(".json").read_text())
    assert spec["scores"]["recipe"]["samples"] == 100
    code, _, _ = gatecam_exit("train", *words)  # the run is over: it only scores and saves again
    assert code == 0
    assert json.loads(out.with_suffix(".json").read_text()) == spec
    scores = tmp_path / "scores.json"
    code, _, _ = gatecam_exit("evaluate", *folders, "--run", run, "--weights", out, "--json", scores)
    assert code == 0
    for head, score in json.loads(scores.read_text()).items():
        assert score == spec["scores"][head]


def test_outputs_in_a_missing_folder_are_refused_before_the_work(folders, gatecam_exit, tmp_path):
    for words in (
        ("train", "--out", tmp_path / "missing" / "w.safetensors"),
        ("evaluate", "--json", tmp_path / "missing" / "s.json"),
    ):
        code, said, told = gatecam_exit(*words, *folders, "--run", tmp_path / "run")
        assert code == 2
        assert said == ""
        assert "its folder does not exist" in told
        assert not (tmp_path / "run").exists()


def test_a_folder_without_labels_is_one_sentence(folders, gatecam_exit, tmp_path):
    code, _, told = gatecam_exit("evaluate", "--ilc", tmp_path, *folders[2:], "--run", tmp_path / "run")
    assert code == 2
    assert len(told.splitlines()) == 1
    assert "faces.csv" in told
