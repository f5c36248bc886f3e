"""Provide what all training runs share: progress, run folder, checkpoint, log, schedule and precision."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from gatecam.errors import DataError, OutputError
from gatecam.runtime.cores import processor_flags
from gatecam.runtime.files import replacing, write_output
from gatecam.runtime.locks import folder_lock
from gatecam.runtime.outputs import require_apart, require_ordinary
from gatecam.runtime.progress import progress
from gatecam.runtime.stopping import stop_on_signals
from gatecam.vision.weights import hash_of

SAVE_EVERY_S = 60.0
CHECKPOINT, PART, LOG = "checkpoint.pt", "checkpoint.part", "log.jsonl"
WARM_UP_STEPS = 100
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, UnpicklingError)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
BF16_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux names them, the last one on ARM
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Training(Protocol[R_co]):
    """Trains until the end or until `stop`, and reports its progress as values of one type."""

    def stop(self) -> None:
        """Stop after the current batch. Signal handlers call this method."""

    def train(self, report: Callable[[R_co], None]) -> bool:
        """Train, and return False if `stop` ended the run early."""


def train_with_bar(
    training: Training[R], batches: tuple[int, int], describe: Callable[[R], tuple[int, str]]
) -> bool:
    """Train with a progress bar. Ctrl-C and SIGTERM stop after the current batch.

    Args:
        batches: the number of batches done so far, and of the whole run.
        describe: returns the number of batches done, and how the run goes.

    Returns:
        False if the run was stopped before the end.
    """
    done, total = batches
    with progress("train", total, "batches", done) as tick, stop_on_signals() as stop:
        stop.reach(training.stop)

        def report(at: R) -> None:
            done, note = describe(at)
            tick(done, total, note)

        ended = training.train(report)
    if not ended:
        print("gatecam: stopped. Run the same command again to continue.", file=sys.stderr)
    return ended


def held_out_by(split: Path | None, seed: int) -> str:
    """Describe for a spec how the validation part was chosen."""
    return f"split file {split.name}, sha256 {hash_of(split)}" if split else f"hash of keys, seed {seed}"


def require_weights(out: Path, read: Iterable[Path]) -> None:
    """Check before long work that weights and their spec can be written, and that nothing is lost by it.

    Raises:
        OutputError: the name does not end in .safetensors, or one of both files is read or cannot be written.
    """
    both = [out, out.with_suffix(".json")]
    for path in both:
        require_ordinary(path)
    if out.suffix != ".safetensors":
        raise OutputError(f"{out}: is not a weights file. Give --out a name that ends in .safetensors.")
    require_apart(both, read)


def print_saved(out: Path, sha256: str, note: str = "") -> None:
    """Print where the weights and their spec are, with a note on the weights."""
    print(f"weights: {out} (sha256 {sha256[:12]}…){note}")
    print(f"spec: {out.with_suffix('.json')}")


def make_folder(folder: Path) -> None:
    """Create a run's folder and check that it is writable before the long work starts.

    Raises:
        OutputError: the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PART).touch()
        (folder / PART).unlink(missing_ok=True)  # another process may delete it first
    except OSError as error:
        raise _unwritable(folder, error) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock a run's folder while the block runs, so that no other training replaces its checkpoint.

    Raises:
        OutputError: another training uses the folder.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(folder, patience_s=0.0))
        except TimeoutError as error:
            raise OutputError(
                f"{folder}: another gatecam trains there. Wait for its end, or choose another --run-dir "
                "(--work of `gatecam weights`)."
            ) from error
        yield


def save(folder: Path, log: Sequence[Mapping[str, Any]], made_of: str, state: Mapping[str, Any]) -> None:
    """Write a run's log and checkpoint, each atomically.

    Args:
        made_of: identifies the run's inputs. `resume` rejects a checkpoint with another value.
        state: tensors and plain values for `resume` to restore.

    Raises:
        OutputError: a file cannot be written. The previous version of that file stays intact.
    """
    try:
        write_output(folder / LOG, "".join(json.dumps(line) + "\n" for line in log))
        with replacing(folder / CHECKPOINT) as part:
            torch.save({"made_of": made_of, **state}, part)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError on a full disk
        raise _unwritable(folder, error) from error


def resume(
    folder: Path, made_of: str, device: torch.device, restore: Callable[[dict[str, Any]], None]
) -> None:
    """Pass the last saved state to `restore`. Do nothing if the folder has no checkpoint.

    Raises:
        DataError: the checkpoint belongs to another run, is damaged, or `restore` cannot use it.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return
    try:
        stored: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        if stored["made_of"] != made_of:
            raise DataError(
                f"{path}: made with another recipe, other pictures or other initial weights. "
                "Choose another --run-dir (--work of `gatecam weights`), or remove this one."
            )
        restore(stored)
    except _DAMAGED as error:
        raise DataError(
            f"{path}: not a checkpoint of this training, or damaged. Remove it to start over."
        ) from error


def schedule(step: int, steps: int, warm: int) -> float:
    """Return the factor on the learning rate at a step.

    The factor rises linearly for `warm` steps, then falls to zero along half a cosine.

    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", equation 5.
    """
    if step < warm:
        return (step + 1) / warm
    return float(0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, steps - warm))))


def chosen_precision(wanted: str, device: torch.device) -> str:
    """Return the precision to train in, which `wanted` names. "auto" is bf16 if the device computes it.

    On a processor without instructions for bf16, a step in it took ten times as long as in fp32 (MobileNet V1
    at 192 px, AVX2, CPU time).
    """
    if wanted != "auto":
        return wanted
    return "bf16" if device.type == "cuda" or BF16_INSTRUCTIONS & processor_flags() else "fp32"


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Run the block with torch autocast in `precision`, one of "bf16", "fp16" and "fp32"."""
    kind = _TYPES.get(precision)
    with torch.autocast(device.type, kind, enabled=kind is not None):
        yield


def require_finite(loss: float) -> None:
    """Check that the loss is finite.

    Raises:
        DataError: the loss is infinite or not a number.
    """
    if not np.isfinite(loss):
        raise DataError(
            "the loss is no longer a finite number: lower --learning-rate, or use --precision fp32."
        )


def _unwritable(folder: Path, error: Exception) -> OutputError:
    return OutputError(
        f"{folder}: cannot be written to ({error}). Free some space, or choose another --run-dir (--work of "
        "`gatecam weights`)."
    )
