"""What every run does alike."""

from __future__ import annotations

import math

import pytest
import torch

from gatecam.errors import DataError, OutputError
from gatecam.runtime import cores
from gatecam.training.provenance import timed
from gatecam.training.runs import alone, autocast, chosen_precision, require_finite, resume, save, schedule

CPU = torch.device("cpu")


def test_the_learning_rate_rises_and_then_falls_to_nothing():
    parts = [schedule(step, 100, 10) for step in range(100)]
    assert parts[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert parts[10] == 1
    assert parts[10:] == sorted(parts[10:], reverse=True)
    assert parts[55] == pytest.approx(0.5, abs=0.01)
    assert parts[99] < 0.001


def test_what_was_saved_is_restored_once(tmp_path):
    restored = []
    resume(tmp_path, "a", CPU, restored.append)
    assert restored == []
    save(tmp_path, [{"step": 1}, {"step": 2}], "a", {"weights": torch.ones(2)})
    resume(tmp_path, "a", CPU, restored.append)
    assert restored[0]["weights"].tolist() == [1, 1]
    assert (tmp_path / "log.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'
    with pytest.raises(
        DataError, match=r"made with another recipe.*--run-dir \(--work of `gatecam weights`\)"
    ):
        resume(tmp_path, "b", CPU, restored.append)


def test_two_runs_never_share_a_folder(tmp_path):
    with (
        alone(tmp_path),
        pytest.raises(OutputError, match=r"another gatecam trains there\. Wait [^\n]*--run-dir"),
        alone(tmp_path),
    ):
        pass
    with alone(tmp_path):
        pass


def test_the_seconds_of_a_run_add_up_also_after_a_power_cut(tmp_path):
    (tmp_path / "seconds.txt").write_text("100")
    with timed(tmp_path) as seconds:
        assert seconds() >= 100
    (tmp_path / "seconds.txt").write_text("")
    with timed(tmp_path) as seconds:
        assert seconds() < 100


def test_what_cannot_be_restored_is_damaged(tmp_path):
    save(tmp_path, [], "a", {})
    with pytest.raises(DataError, match=r"not a checkpoint of this training, or damaged\. [^\n]*\.$"):
        resume(tmp_path, "a", CPU, lambda stored: stored["weights"])


@pytest.mark.parametrize(("precision", "kind"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_precision_is_that_of_the_recipe(precision, kind):
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_one_sentence(loss):
    require_finite(1.0)
    with pytest.raises(DataError, match=r"^the loss is no longer a finite number: [^\n]*\.$"):
        require_finite(loss)


@pytest.mark.parametrize(
    ("line", "chosen"),
    [
        ("flags : fpu avx2", "fp32"),
        ("flags : avx512f avx512_bf16", "bf16"),
        ("Features : fp asimd bf16", "bf16"),
        ("", "fp32"),
    ],
)
def test_bf16_is_chosen_only_where_the_processor_computes_it(monkeypatch, tmp_path, line, chosen):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{line}\n", encoding="utf-8")
    monkeypatch.setattr(cores, "CPU_INFO", tmp_path / "cpuinfo")
    assert chosen_precision("auto", CPU) == chosen
    assert chosen_precision("bf16", CPU) == "bf16", "what somebody asks for"
    assert chosen_precision("auto", torch.device("cuda")) == "bf16"
