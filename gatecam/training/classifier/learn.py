"""Train the classifier. The result is the averaged network of the best epoch.

A run folder holds the checkpoint, the log and TensorBoard's figures. A checkpoint is written every minute and
after every epoch. A stopped or killed run continues from the last checkpoint, with the same result as an
uninterrupted one. This works because each epoch's faces and each step's dropout depend only on the seed.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gatecam.errors import DataError
from gatecam.training.classifier.losses import YEARS_BINS, Batch, HeadsLoss, inverse_frequencies
from gatecam.training.classifier.recipe import Recipe
from gatecam.training.classifier.sampler import Sampler
from gatecam.training.classifier.tensorboard import Board, require_tensorboard
from gatecam.training.runs import (
    SAVE_EVERY_S,
    WARM_UP_STEPS,
    autocast,
    chosen_precision,
    make_folder,
    require_finite,
    resume,
    save,
    schedule,
)
from gatecam.training.workers import Workers
from gatecam.vision.backbone import early_layers, match_norms
from gatecam.vision.device import pick_device
from gatecam.vision.network import FaceNetwork, build_network, load_start, served_weights
from gatecam.vision.weights import hash_of


@dataclass(frozen=True, slots=True)
class EpochScore:
    """Holds a head's scores on the validation faces after an epoch."""

    head: str
    macro_f1: float
    micro_f1: float


@dataclass(frozen=True, slots=True)
class Report:
    """Says how far a run is. It is reported after every batch, and after each epoch's validation."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    scores: Sequence[EpochScore] = ()


Validate = Callable[[FaceNetwork], Sequence[EpochScore]]


@dataclass(slots=True)
class _State:
    """Holds the progress of a run."""

    epoch: int = 0
    step: int = 0  # batches done in this epoch
    loss: float = 0.0  # sum of their losses
    best: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry per epoch, for the log


def prepare(recipe: Recipe, start: Path | None, folder: Path, workers: Workers) -> None:
    """Make the run's folder, and check everything that could make a long run fail.

    Raises:
        ModelError: there is no such backbone, or the weights to start with do not fit it.
        DataError: this machine does not support the precision, or cannot compile, or the crops are too small.
        OutputError: the folder cannot be written to.
        MissingExtraError: TensorBoard is not installed.
    """
    require_tensorboard()
    if recipe.precision == "fp16" and _device(workers).type != "cuda":
        raise DataError("precision fp16 needs a CUDA device; choose bf16 or fp32.")
    if recipe.compiled and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise DataError("--compile needs a C++ compiler: install g++ or set CXX, or leave --compile out.")
    network = _begun(recipe, start).eval()
    try:
        network(torch.zeros(1, 3, recipe.size, recipe.size))
    except RuntimeError as error:
        raise DataError(
            f"--size {recipe.size} is too small for {recipe.backbone}: give a larger one."
        ) from error
    make_folder(folder)


class Trainer:
    """Trains one network, and resumes if its folder has a checkpoint.

    Args:
        validate: scores a network on held-out faces.
        folder: the run's folder, made by `prepare`.
        workers: the processes that share each batch.
        held_out: a hash of the held-out faces.

    Attributes:
        recipe: the run's settings with the precision that was chosen.

    Raises:
        DataError: the folder's checkpoint is damaged, or of another recipe, other faces or another start.
    """

    def __init__(
        self,
        sampler: Sampler,
        validate: Validate,
        recipe: Recipe,
        start: Path | None,
        folder: Path,
        workers: Workers,
        held_out: str = "",
    ) -> None:
        self._sampler, self._validate = sampler, validate
        self._folder, self._workers = folder, workers
        self._device = _device(workers)
        self.recipe = recipe = replace(recipe, precision=chosen_precision(recipe.precision, self._device))
        begun_with = hash_of(start) if start is not None else ""
        self._made_of = json.dumps([asdict(recipe), sampler.fingerprint, held_out, begun_with])
        self._net = self._built(start)
        shared = workers.share(self._net)
        self._shared = torch.compile(shared) if recipe.compiled else shared
        self._average = AveragedModel(
            self._net,
            multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        self._optimizer = self._optimizer_of(1.0 if start is None else 0.5)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=recipe.precision == "fp16")
        weights = inverse_frequencies(sampler.shown_labels()) if recipe.class_weights else {}
        self._loss = HeadsLoss(recipe.loss, recipe.smoothing, weights)
        self._has_start = start is not None
        self._state = _State()
        self._best: dict[str, Tensor] = {}
        self._stopping = False
        resume(folder, self._made_of, self._device, self._restore)

    def _built(self, start: Path | None) -> FaceNetwork:
        net = _begun(self.recipe, start)
        if start is not None:
            match_norms(net, next(self._sampler.epoch(0)).crops)
        some_head = next(iter(net.heads.values()))
        assert isinstance(some_head, nn.Linear)
        # helps the backbone to learn age; never saved
        net.heads["years"] = nn.Linear(some_head.in_features, YEARS_BINS)
        if self._sampler.hints is not None:
            net.heads["hints"] = nn.Linear(some_head.in_features, self._sampler.hints.shape[1])
        if self.recipe.freeze_stem:
            for part in early_layers(net.backbone):
                part.requires_grad_(False)
        if self._device.type == "cpu":
            _hasten(net)
        return net.to(self._device).to(memory_format=torch.channels_last)

    def _optimizer_of(self, body_scale: float) -> torch.optim.Optimizer:
        heads = list(self._net.heads.parameters())
        own = {id(parameter) for parameter in heads}
        body = [p for p in self._net.parameters() if id(p) not in own and p.requires_grad]
        groups = [{"params": body, "scale": body_scale}, {"params": heads, "scale": 2.0}]
        return torch.optim.AdamW(groups, self.recipe.learning_rate, weight_decay=self.recipe.weight_decay)

    @property
    def batches(self) -> tuple[int, int]:
        """Return the number of batches done, and of the whole run."""
        steps = self._sampler.steps
        return self._state.epoch * steps + self._state.step, self.recipe.epochs * steps

    @property
    def best_epoch(self) -> int:
        """Return the epoch whose weights `model` has, counted from 1."""
        return self._state.best_epoch

    @property
    def model(self) -> FaceNetwork:
        """Return the network for serving, with the averaged weights of the epoch that scored best."""
        net = build_network(self.recipe.backbone, self.recipe.heads)
        net.load_state_dict(self._best)
        return net.to(self._device).eval()

    def stop(self) -> None:
        """Stop after the current batch and write a checkpoint. Safe to call from a signal handler."""
        self._stopping = True

    def train(self, report: Callable[[Report], None]) -> bool:
        """Train to the end. Return False if `stop` ended the run early.

        Raises:
            DataError: the loss is no longer a number.
            OutputError: a checkpoint cannot be written. The previous one stays intact.
        """
        if self._over():
            return True
        board = Board(self._folder, self._state.epoch + 1) if self._workers.first else None
        try:
            while not self._over():
                if not self._epoch(report, board):
                    return False
        finally:
            if board is not None:
                board.close()
        return True

    def _over(self) -> bool:
        state, recipe = self._state, self.recipe
        return state.epoch >= recipe.epochs or 0 < recipe.patience <= state.epoch - state.best_epoch

    def _epoch(self, report: Callable[[Report], None], board: Board | None) -> bool:
        """Train the rest of an epoch. Return False if the run was stopped and a checkpoint was written."""
        state, steps, recipe = self._state, self._sampler.steps, self.recipe
        started_s = saved_s = time.monotonic()
        self._set_training()
        workers = self._workers
        for batch in self._sampler.epoch(state.epoch, state.step, workers.rank, workers.world):
            loss = self._step(batch, state.epoch * steps + state.step)
            mean_loss, stops = workers.means(loss, float(self._stopping))  # the CPU waits here
            require_finite(mean_loss)
            state.loss, state.step = state.loss + mean_loss, state.step + 1
            report(Report(state.epoch, recipe.epochs, state.step, steps, state.loss / state.step))
            if stops or time.monotonic() - saved_s > SAVE_EVERY_S:
                self._save()
                saved_s = time.monotonic()
            if stops:
                return False
        scores, mean_loss = self._scored(), state.loss / steps
        state.epoch, state.step, state.loss = state.epoch + 1, 0, 0.0
        self._keep_best(scores)
        self._note(mean_loss, scores, time.monotonic() - started_s)
        if board is not None:
            self._show(board, mean_loss, scores)
        self._save()
        report(Report(state.epoch - 1, recipe.epochs, steps, steps, mean_loss, scores))
        return True

    def _set_training(self) -> None:
        self._net.train()
        if self.recipe.freeze_stem:
            for part in early_layers(self._net.backbone):
                part.eval()

    def _set_rates(self, step: int) -> None:
        """Set the learning rates for a step. Weights to start with rest while the new heads warm up.

        Random heads would distort features that were learnt before (Kumar et al. 2022, arXiv 2202.10054).
        """
        steps = self._sampler.steps
        warm_up = min(WARM_UP_STEPS, steps)
        rate = self.recipe.learning_rate * schedule(step, steps * self.recipe.epochs, warm_up)
        body, heads = self._optimizer.param_groups
        body["lr"] = 0.0 if self._has_start and step < warm_up else rate * body["scale"]
        heads["lr"] = rate * heads["scale"]

    def _step(self, batch: Batch, step: int) -> Tensor:
        self._set_rates(step)
        torch.manual_seed(self.recipe.seed * 1_000_003 + step)  # makes dropout the same in a resumed run
        self._workers.begin(batch)
        crops = batch.crops.to(self._device, memory_format=torch.channels_last)
        moved = replace(batch, crops=crops)
        with autocast(self._device, self.recipe.precision):
            logits = self._shared(crops)
        loss = self._loss({name: x.float() for name, x in logits.items()}, moved)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._net.parameters(), 5.0)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._average.update_parameters(self._net)
        return loss.detach()

    def _served(self) -> dict[str, Tensor]:
        """Copy the averaged weights, without heads that only training uses."""
        average = self._average.module
        assert isinstance(average, FaceNetwork)
        return served_weights(average)

    def _scored(self) -> list[EpochScore]:
        """Return the validation scores of the first process, so that all processes decide the same."""

        def score() -> list[EpochScore]:
            net = build_network(self.recipe.backbone, self.recipe.heads)
            net.load_state_dict(self._served())
            return list(self._validate(net.to(self._device).eval()))

        return self._workers.from_first(score)

    def _keep_best(self, scores: Sequence[EpochScore]) -> None:
        total = float(np.mean([score.macro_f1 for score in scores]))
        if total > self._state.best:
            self._state.best, self._state.best_epoch = total, self._state.epoch
            self._best = self._served()

    def _note(self, loss: float, scores: Sequence[EpochScore], seconds: float) -> None:
        line = {"epoch": self._state.epoch, "loss": round(loss, 4), "seconds": round(seconds, 1)}
        heads = {score.head: [round(score.macro_f1, 4), round(score.micro_f1, 4)] for score in scores}
        self._state.history.append({**line, **heads})

    def _show(self, board: Board, loss: float, scores: Sequence[EpochScore]) -> None:
        figures = {"loss": loss, "learning_rate": float(self._optimizer.param_groups[0]["lr"])}
        figures |= {f"macro_f1/{score.head}": score.macro_f1 for score in scores}
        figures |= {f"micro_f1/{score.head}": score.micro_f1 for score in scores}
        board.add(self._state.epoch, figures)

    def _save(self) -> None:
        """Write the log and a checkpoint. Each file is replaced at once."""
        if not self._workers.first:
            return
        state = {
            "state": asdict(self._state),
            "net": self._net.state_dict(),
            "average": self._average.state_dict(),
            "best": self._best,
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }
        save(self._folder, self._state.history, self._made_of, state)

    def _restore(self, stored: dict[str, Any]) -> None:
        self._net.load_state_dict(stored["net"])
        self._average.load_state_dict(stored["average"])
        self._optimizer.load_state_dict(stored["optimizer"])
        self._scaler.load_state_dict(stored["scaler"])
        self._best, self._state = stored["best"], _State(**stored["state"])


def _hasten(net: FaceNetwork) -> None:
    """Let depthwise convolutions that skip pixels compute all of them, and drop some of the results.

    The results are the same. On a processor, torch is slow at the gradients of such a convolution.
    """

    def drop(conv: nn.Module, inputs: tuple[Tensor], outputs: Tensor) -> Tensor:
        return outputs[:, :, ::2, ::2]

    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and module.stride == (2, 2):
            module.stride = (1, 1)
            module.register_forward_hook(drop)


def _device(workers: Workers) -> torch.device:
    return workers.device or pick_device("auto")


def _begun(recipe: Recipe, start: Path | None) -> FaceNetwork:
    """Build the network of a recipe, and load the weights of `start`, if any."""
    torch.manual_seed(recipe.seed)
    net = build_network(recipe.backbone, recipe.heads, recipe.dropout)
    if start is not None:
        load_start(net, start)
    return net
