"""Training the detector: every network learns in its turn, and a run goes on as if never stopped."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gatecam.errors import DataError, MissingExtraError, ModelError, OutputError
from gatecam.training.data.rows import Row
from gatecam.training.detector import learn as learn_detector
from gatecam.training.detector.learn import DetectorTrainer, Report, prepare
from gatecam.training.detector.pictures import Material, dressed_scenes, truth_of
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.stages import stages_of
from gatecam.training.detector.validation import HeldOut
from gatecam.training.runs import schedule
from gatecam.types import Box
from gatecam.vision.detector.build import load_detector, save_detector
from gatecam.vision.detector.networks import Networks
from gatecam.vision.detector.sizes import ARCHITECTURE
from gatecam.vision.weights import DetectorSpec
from tests.training.portrait_scenes import BOX, empty_scene_of, portrait_scene_of

TINY = DetectorRecipe(
    p_steps=3, r_steps=2, o_steps=2, rounds=2, windows=2, scenes=3, mined_face_px=60, precision="fp32"
)


@pytest.fixture(scope="module")
def material(astronaut) -> Material:
    """Two scenes, copies with masks, a portrait and a picture without a face."""
    small = np.ascontiguousarray(astronaut[:256, 96:352])
    scene = replace(portrait_scene_of(astronaut), image=small)
    scene = replace(scene, boxes=scene.boxes - [96, 0, 96, 0], landmarks=scene.landmarks - [96, 0])
    scene = replace(scene, boxes=scene.boxes.astype(np.float32), landmarks=scene.landmarks.astype(np.float32))
    scenes = [scene, replace(scene, masks=np.array([0]), landmarks=np.full((1, 5, 2), np.nan, np.float32))]
    dressed = dressed_scenes(scenes, 1, 0, lambda done, total: None)
    return Material(scenes, dressed, [scene], dressed, [empty_scene_of(side=120)])


@pytest.fixture(scope="module")
def held_out(material, tmp_path_factory) -> HeldOut:
    """The first scene, which is learnt from as well."""
    row = Row(tmp_path_factory.getbasetemp() / "a.png", Box(*BOX), 2, -1, -1, False, "a")
    return HeldOut(material.scenes[:1], [truth_of(material.scenes[0], [row])])


@pytest.fixture
def trainer_of(material, held_out):
    def build(folder, recipe=TINY, start=None, learnt=material, held=held_out) -> DetectorTrainer:
        prepare(folder, start)
        return DetectorTrainer(learnt, held, recipe, start, folder)

    return build


def nothing(report: Report) -> None:
    """Nobody looks at the progress."""


def weights_of(trainer: DetectorTrainer) -> dict[str, torch.Tensor]:
    return trainer.networks.state_dict()


def alike(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.fixture(scope="module")
def whole(material, held_out, tmp_path_factory):
    """A run that nothing stopped, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    prepare(folder, None)
    trainer = DetectorTrainer(material, held_out, TINY, None, folder)
    assert trainer.train(nothing)
    return trainer, folder


def test_every_network_learns_in_its_turn(whole):
    trainer, _ = whole
    torch.manual_seed(TINY.seed)
    begun = Networks().state_dict()
    trained = weights_of(trainer)
    for name in ("pnet", "rnet", "onet"):
        assert not torch.equal(trained[f"{name}.head.weight"].cpu(), begun[f"{name}.head.weight"])
        assert trained[f"{name}.trunk.0.1.num_batches_tracked"] > 0
    assert all(torch.isfinite(tensor).all() for tensor in trained.values())


def test_the_turns_follow_the_rounds():
    names = [(stage.name, stage.steps) for stage in stages_of(TINY)]
    assert names == [("P", 3), ("R", 2), ("O", 2), ("R2", 2), ("O2", 2)]
    assert [stage.name for stage in stages_of(replace(TINY, rounds=1))] == ["P", "R", "O"]


def test_each_stage_leaves_its_figures_in_the_log_and_for_tensorboard(whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer, folder = whole
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == [n for n in ("P", "R", "O", "R2", "O2") for _ in range(2)]
    assert [line["step"] for line in lines[::2]] == [3, 2, 2, 2, 2]
    assert all(line["loss"] > 0 and line["learning_rate"] > 0 for line in lines[::2])
    assert [set(line["figures"]) for line in lines[1::2]] == [
        {"recall", "candidates"},
        {"recall", "candidates"},
        {"recall", "precision", "average_precision"},
        {"recall", "candidates"},
        {"recall", "precision", "average_precision"},
    ]
    assert trainer.figures == {line["stage"]: line["figures"] for line in lines[1::2]}
    board = EventAccumulator(str(folder)).Reload()
    for stage, step, line in zip(("P", "R", "O"), (3, 5, 7), lines[::2], strict=False):
        (loss,) = board.Scalars(f"{stage}/loss")
        assert (loss.step, loss.value) == (step, pytest.approx(line["loss"], abs=1e-5))
        assert [figure.step for figure in board.Scalars(f"{stage}/recall")] == [step]


def test_a_network_of_the_second_round_goes_on_from_the_first_at_half_the_rate(whole):
    _, folder = whole
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    rates = {line["stage"]: line["learning_rate"] for line in lines if "learning_rate" in line}
    assert rates["R2"] == pytest.approx(rates["R"] / 2)
    assert rates["R"] == pytest.approx(TINY.learning_rate * schedule(1, 2, 2))


class KilledError(Exception):
    """Ends a run as a kill would."""


@pytest.fixture
def saving_each_step(monkeypatch) -> None:
    monkeypatch.setattr(learn_detector, "SAVE_EVERY_S", -1.0)


@pytest.mark.usefixtures("saving_each_step")
@pytest.mark.parametrize("killed", [2, 7, 10])
def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(trainer_of, whole, tmp_path, killed):
    def kill(at: Report) -> None:
        if at.step == killed and at.loss is not None:
            raise KilledError

    with pytest.raises(KilledError):
        trainer_of(tmp_path).train(kill)
    torch.rand(7)  # the random numbers of another process are elsewhere
    resumed = trainer_of(tmp_path)
    assert resumed.steps == (killed - 1, 11), "the batch in hand alone is lost"
    assert resumed.train(nothing)
    assert alike(weights_of(resumed), weights_of(whole[0]))
    logs = [(folder / "log.jsonl").read_text() for folder in (tmp_path, whole[1])]
    assert logs[0] == logs[1]


def test_a_stopped_run_goes_on_even_if_it_was_stopped_while_it_mined(trainer_of, whole, tmp_path):
    stopped = trainer_of(tmp_path)

    def stop(at: Report) -> None:
        if at.stage == "O" and at.doing.startswith("mine: 1/"):
            stopped.stop()

    assert not stopped.train(stop)
    resumed = trainer_of(tmp_path)
    assert resumed.steps == (5, 11)
    assert resumed.train(nothing)
    assert alike(weights_of(resumed), weights_of(whole[0]))


def test_what_was_mined_is_not_mined_again(trainer_of, tmp_path):
    stopped = trainer_of(tmp_path)

    def stop(at: Report) -> None:
        if at.stage == "R" and at.loss is not None:
            stopped.stop()

    stopped.train(stop)
    doings = []
    resumed = trainer_of(tmp_path)

    def note(at: Report) -> None:
        doings.append((at.stage, at.doing))
        if at.stage == "O":
            resumed.stop()

    resumed.train(note)
    assert ("R", "validate: 1/1 pictures") in doings
    assert not any(stage == "R" and doing.startswith("mine") for stage, doing in doings)


def test_a_finished_run_trains_no_more(whole, trainer_of):
    again = trainer_of(whole[1])
    reports: list[Report] = []
    assert again.train(reports.append)
    assert reports == []
    assert alike(weights_of(again), weights_of(whole[0]))


def test_a_run_of_something_else_is_not_continued(whole, trainer_of, material, held_out):
    for change in (
        {"recipe": replace(TINY, seed=2)},
        {"learnt": replace(material, empty=[])},
        {"held": HeldOut(held_out.scenes * 2, [*held_out.truths] * 2)},
    ):
        with pytest.raises(DataError, match=r"checkpoint\.pt: made with another recipe, [^\n]*\.$"):
            trainer_of(whole[1], **change)


def test_a_damaged_checkpoint_is_told_in_one_sentence(trainer_of, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match=r"checkpoint\.pt: not a checkpoint [^\n]*\.$"):
        trainer_of(tmp_path)


def test_a_run_without_portraits_and_empty_pictures_learns_too(trainer_of, material, tmp_path):
    poor = replace(material, dressed=[], portraits=[], dressed_portraits=[], empty=[])
    recipe = replace(TINY, p_steps=1, r_steps=1, o_steps=1, rounds=1, precision="bf16")
    assert trainer_of(tmp_path, recipe, learnt=poor).train(nothing)


# Where a run starts


@pytest.fixture
def shipped(tmp_path):
    """Weights as a run leaves them, with batch norms that had something to say."""
    torch.manual_seed(3)
    networks = Networks()
    for name, buffer in networks.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            buffer.normal_()
    save_detector(tmp_path / "w.safetensors", networks, DetectorSpec("w", ARCHITECTURE))
    return tmp_path / "w.safetensors"


def test_a_run_starts_with_what_given_weights_say(trainer_of, shipped, tmp_path):
    trainer = trainer_of(tmp_path / "run", start=shipped)
    trainer._begin(nothing)
    pixels = trainer._batch(0).pixels
    folded, _ = load_detector(shipped)
    for network in (trainer._learner._net.eval(), trainer._learner._net.train()):
        with torch.no_grad():
            got, wanted = network(pixels), folded.pnet(pixels)
        for mine, given in zip(got, wanted, strict=True):
            assert torch.allclose(mine, given, atol=1e-3)


def test_a_start_that_is_missing_is_told_before_the_work(tmp_path):
    with pytest.raises(ModelError, match=r"none\.[^\n]*\.$"):
        prepare(tmp_path / "run", tmp_path / "none.safetensors")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/run: cannot be written to \([^\n]*\.$"):
        prepare(tmp_path / "file" / "run", None)


def test_training_without_tensorboard_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"gatecam\[train\]"):
        prepare(tmp_path, None)


def test_an_unknown_precision_is_one_sentence():
    with pytest.raises(DataError, match=r"^precision: expected auto, bf16, fp32; got 'fp16'\.$"):
        DetectorRecipe(precision="fp16")
