"""What every training run does alike: its folder, its checkpoint, its log, and how fast it learns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from gatecam.errors import DataError, OutputError
from gatecam.runtime.files import replacing, write_output

SAVE_EVERY_S = 60.0
CHECKPOINT, PART, LOG = "checkpoint.pt", "checkpoint.part", "log.jsonl"
WARM_UP_STEPS = 100
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, UnpicklingError)
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def make_folder(folder: Path) -> None:
    """Make a run's folder, and see before long work that it can be written to.

    Raises:
        OutputError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PART).touch()
        (folder / PART).unlink(missing_ok=True)  # by another process
    except OSError as error:
        raise _unwritable(folder, error) from error


def save(folder: Path, log: Sequence[Mapping[str, Any]], made_of: str, state: Mapping[str, Any]) -> None:
    """Write a run's log and its checkpoint, each whole or not at all.

    Args:
        folder: of the run.
        log: its lines.
        made_of: tells this run from others; `resume` compares it.
        state: what `resume` gives back; tensors and plain values.

    Raises:
        OutputError: they cannot be written; those before are whole.
    """
    try:
        write_output(folder / LOG, "".join(json.dumps(line) + "\n" for line in log))
        with replacing(folder / CHECKPOINT) as part:
            torch.save({"made_of": made_of, **state}, part)
    except (OSError, RuntimeError) as error:  # torch has its own for a full disk
        raise _unwritable(folder, error) from error


def resume(
    folder: Path, made_of: str, device: torch.device, restore: Callable[[dict[str, Any]], None]
) -> None:
    """Call `restore` with what `save` was given last; not at all where a folder has no checkpoint.

    Raises:
        DataError: the checkpoint is of another run, is damaged, or `restore` cannot use it.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return
    try:
        stored: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        if stored["made_of"] != made_of:
            raise DataError(
                f"{path}: made with another recipe, other pictures or another start; give another --run-dir, "
                "or remove this one."
            )
        restore(stored)
    except _DAMAGED as error:
        raise DataError(
            f"{path}: not a checkpoint of this training, or damaged; remove it to begin anew."
        ) from error


def schedule(step: int, steps: int, warm: int) -> float:
    """The part of the learning rate at a step: `warm` steps of linear rise, then a half cosine to nothing.

    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", equation 5.
    """
    if step < warm:
        return (step + 1) / warm
    return float(0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, steps - warm))))


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Compute in `precision`: "bf16", "fp16" or "fp32"."""
    kind = _TYPES.get(precision)
    with torch.autocast(device.type, kind, enabled=kind is not None):
        yield


def require_finite(loss: float) -> None:
    """See that a run still learns.

    Raises:
        DataError: its loss is not a number.
    """
    if not np.isfinite(loss):
        raise DataError("the loss is not a number any more: lower --learning-rate, or use --precision fp32.")


def _unwritable(folder: Path, error: Exception) -> OutputError:
    return OutputError(f"{folder}: cannot be written to ({error}); make room, or give another --run-dir.")
