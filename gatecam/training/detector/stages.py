"""Define the stages of the detector's training, and train one network in its stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gatecam.training.detector.candidates import Crops
from gatecam.training.detector.losses import crop_loss, window_loss
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.windows import Windows
from gatecam.training.runs import WARM_UP_STEPS, autocast, schedule

BEGUN_RATE = 0.5  # of the learning rate, for a network that was trained before
LONGEST_GRADIENT = 5.0
NAMES = {"pnet": "P", "rnet": "R", "onet": "O"}

Average = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Describes the training of one network."""

    network: str  # "pnet", "rnet", "onet"
    round: int  # counted from 1
    steps: int

    @property
    def name(self) -> str:
        """Return the stage's name, such as P, R, O, R2."""
        return NAMES[self.network] + (str(self.round) if self.round > 1 else "")


def stages_of(recipe: DetectorRecipe) -> list[Stage]:
    """Return the stages of a run, in order."""
    stages = [Stage("pnet", 1, recipe.p_steps)]
    for turn in range(1, recipe.rounds + 1):
        stages += [Stage("rnet", turn, recipe.r_steps), Stage("onet", turn, recipe.o_steps)]
    return stages


class Learner:
    """Trains one network, and holds its averaged weights and optimizer."""

    def __init__(
        self, network: nn.Module, recipe: DetectorRecipe, stage: Stage, learnt: bool, device: torch.device
    ) -> None:
        self._recipe, self._stage, self._device = recipe, stage, device
        self._net = network.train().to(memory_format=torch.channels_last)
        self._rate = recipe.learning_rate * (BEGUN_RATE if learnt else 1.0)
        self.average = AveragedModel(
            self._net, multi_avg_fn=_warming_average(recipe.ema_decay), use_buffers=True
        )
        parameters = list(self._net.parameters())
        matrices = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, self._rate)

    @property
    def rate(self) -> float:
        """Return the learning rate of the last step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self, batch: Windows | Crops, step: int) -> float:
        """Train on a batch. Return its loss."""
        batch = _on_device(batch, self._device)
        steps = self._stage.steps
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * schedule(step, steps, min(WARM_UP_STEPS, steps))
        with autocast(self._device, self._recipe.precision):
            outputs = self._net(batch.pixels)
        loss = _loss(tuple(output.float() for output in outputs), batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), LONGEST_GRADIENT)
        self._optimizer.step()
        self.average.update_parameters(self._net)
        return float(loss.detach())  # the CPU waits here

    def state(self) -> dict[str, Any]:
        """Return the state that `restore` needs to continue."""
        return {
            "net": self._net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self._net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])


def _warming_average(decay: float) -> Average:
    """Return an exponential average with a rising decay: min(decay, (1 + t) / (10 + t)) after t steps."""

    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], done: Tensor | int) -> None:
        kept = min(decay, (1 + int(done)) / (10 + int(done)))
        get_ema_multi_avg_fn(kept)(averaged, current, done)  # type: ignore[no-untyped-call]

    return update


def _loss(outputs: tuple[Tensor, ...], batch: Windows | Crops) -> Tensor:
    if isinstance(batch, Crops):
        return crop_loss(outputs, batch)
    logits, boxes = outputs
    return window_loss(logits, boxes, batch)


def _on_device(batch: Windows | Crops, device: torch.device) -> Windows | Crops:
    return type(batch)(*(getattr(batch, part.name).to(device) for part in fields(batch)))
