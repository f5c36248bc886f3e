"""Train P-Net, R-Net and O-Net one after the other, each on the mistakes of the networks before it.

    P-Net ─► mine ─► R-Net ─► mine ─► O-Net ─► mine ─► R-Net again ─► mine ─► O-Net again

A run folder holds the checkpoint, the log and TensorBoard's figures. A checkpoint is written every minute and
after every stage. A stopped or killed run continues from the last checkpoint, with the same result as an
uninterrupted one. This works because each batch depends only on the seed, the stage and the step.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gatecam.capture.prefetch import prefetch
from gatecam.settings.schema import DetectorConfig
from gatecam.training.classifier.tensorboard import Board, require_tensorboard
from gatecam.training.detector.batches import crop_batch, window_batch
from gatecam.training.detector.candidates import Crops
from gatecam.training.detector.mining import BEFORE, MINED_THRESHOLDS, NOTHING, Miner
from gatecam.training.detector.pictures import Material, fingerprint_of
from gatecam.training.detector.recipe import DetectorRecipe
from gatecam.training.detector.stages import Learner, Stage, stages_of
from gatecam.training.detector.start import unfold
from gatecam.training.detector.validation import HeldOut, validate
from gatecam.training.detector.windows import Windows
from gatecam.training.runs import SAVE_EVERY_S, chosen_precision, make_folder, require_finite, resume, save
from gatecam.types import Floats
from gatecam.vision.detector.build import load_detector
from gatecam.vision.detector.networks import Networks
from gatecam.vision.device import pick_device
from gatecam.vision.on_torch import cascade_on
from gatecam.vision.weights import hash_of

LOG_EVERY = 50  # in steps
AHEAD = 4  # batches that are prepared in advance


@dataclass(frozen=True, slots=True)
class Report:
    """Says how far a run is. It is reported after every batch, and while pictures are mined or validated."""

    stage: str
    step: int  # of the whole run
    steps: int
    loss: float | None  # the mean since the log's last entry
    doing: str = ""  # such as "mine: 20/300 pictures"
    figures: Mapping[str, float] = field(default_factory=dict)  # of a stage that has ended


@dataclass(slots=True)
class _State:
    """Holds the progress of a run."""

    stage: int = 0
    step: int = 0  # batches done in this stage
    loss: float = 0.0  # sum of the losses since the log's last entry
    history: list[dict[str, Any]] = field(default_factory=list)  # the log's entries


def prepare(folder: Path, start: Path | None) -> None:
    """Make the run's folder, and check everything that could make a long run fail.

    Raises:
        ModelError: the weights to start with are not weights of our cascade.
        OutputError: the folder cannot be written to.
        MissingExtraError: TensorBoard is not installed.
    """
    require_tensorboard()
    if start is not None:
        load_detector(start)
    make_folder(folder)


class DetectorTrainer:
    """Trains one cascade, and resumes if its folder has a checkpoint.

    Args:
        material: the training pictures.
        held_out: the pictures that each stage is scored on.
        recipe: the run's settings.
        start: initial weights, or None.
        folder: the run's folder, made by `prepare`.

    Attributes:
        recipe: the run's settings with the precision that was chosen.

    Raises:
        DataError: the folder's checkpoint is damaged, or of another recipe, other pictures or another start.
    """

    def __init__(
        self, material: Material, held_out: HeldOut, recipe: DetectorRecipe, start: Path | None, folder: Path
    ) -> None:
        self._material, self._held_out, self._folder = material, held_out, folder
        self._device = pick_device("auto")
        self.recipe = recipe = replace(recipe, precision=chosen_precision(recipe.precision, self._device))
        self._stages = stages_of(recipe)
        self._start = None if start is None else load_detector(start)[0].to(self._device)
        begun_with = hash_of(start) if start is not None else ""
        pictures = [material.fingerprint, fingerprint_of([held_out.scenes])]
        self._made_of = json.dumps([asdict(recipe), *pictures, begun_with])
        torch.manual_seed(recipe.seed)
        self._networks = Networks().to(self._device).eval()
        self._state = _State()
        self._learner: Learner | None = None  # of the current stage
        self._mined: list[Floats] = []  # mistakes for the current stage, one array per scene
        self._stopping = False
        resume(folder, self._made_of, self._device, self._restore)

    @property
    def steps(self) -> tuple[int, int]:
        """Return the number of batches done, and of the whole run."""
        done = sum(stage.steps for stage in self._stages[: self._state.stage])
        return done + self._state.step, sum(stage.steps for stage in self._stages)

    @property
    def networks(self) -> Networks:
        """Return a copy of the networks, each with the averaged weights of its last finished stage."""
        return copy.deepcopy(self._networks)

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Return the validation figures by the stage's name."""
        return {line["stage"]: line["figures"] for line in self._state.history if "figures" in line}

    def stop(self) -> None:
        """Stop after the current batch or picture. Safe to call from a signal handler."""
        self._stopping = True

    def train(self, report: Callable[[Report], None]) -> bool:
        """Train to the end. Return False if `stop` ended the run early.

        Raises:
            DataError: the loss is no longer a number.
            OutputError: a checkpoint cannot be written. The previous one stays intact.
        """
        if self._state.stage >= len(self._stages):
            return True
        board = Board(self._folder, self.steps[0] + 1)
        try:
            while self._state.stage < len(self._stages):
                if not (self._begin(report) and self._learn(report, board)):
                    return False
                self._end(report, board)
        finally:
            board.close()
        return True

    @property
    def _stage(self) -> Stage:
        return self._stages[self._state.stage]

    def _begin(self, report: Callable[[Report], None]) -> bool:
        """Mine for the stage and set up its network. Return False if the run was stopped before that."""
        if self._learner is not None:
            return True
        if self._stage.network in BEFORE and not self._mine(report):
            return False
        stage = self._stage
        network: nn.Module = copy.deepcopy(getattr(self._networks, stage.network))
        learnt = stage.round > 1 or self._start is not None
        if stage.round == 1 and self._start is not None:
            pixels = self._batch(0).pixels.to(self._device)
            unfold(network, getattr(self._start, stage.network), pixels)
        self._learner = Learner(network, self.recipe, stage, learnt, self._device)
        self._save()
        return True

    def _mine(self, report: Callable[[Report], None]) -> bool:
        """Search the scenes of `Material.mined` for mistakes.

        Return False and keep nothing if the run was stopped.
        """
        stage, mined = self._stage, []
        thresholds = MINED_THRESHOLDS[stage.network]
        config = DetectorConfig.model_validate({"min_face_px": self.recipe.mined_face_px, **thresholds})
        miner = Miner(config, cascade_on(self._device, self._networks))
        scenes = self._material.mined
        for scene in scenes:
            if self._stopping:
                return False
            if stage.round == 1:
                mined.append(miner.candidates(scene.image, BEFORE[stage.network]))
            else:
                mined.append(miner.scored_by(scene.image, stage.network))
            self._tell(report, f"mine: {len(mined)}/{len(scenes)} pictures")
        self._mined = mined
        return True

    def _learn(self, report: Callable[[Report], None], board: Board) -> bool:
        """Train the stage, or the rest of it.

        Return False if the run was stopped and a checkpoint was written.
        """
        state, stage, learner = self._state, self._stage, self._learner
        assert learner is not None
        saved_s = time.monotonic()
        with closing(prefetch(self._batches(state.step), AHEAD)) as batches:
            for batch in batches:
                loss = learner.step(batch, state.step)
                require_finite(loss)
                state.step, state.loss = state.step + 1, state.loss + loss
                since = (state.step - 1) % LOG_EVERY + 1
                self._tell(report, loss=state.loss / since)
                if since == LOG_EVERY or state.step == stage.steps:
                    self._note(board, {"loss": state.loss / since, "learning_rate": learner.rate})
                    state.loss = 0.0
                if self._stopping or time.monotonic() - saved_s > SAVE_EVERY_S:
                    self._save()
                    saved_s = time.monotonic()
                if self._stopping:
                    return False
        return True

    def _batches(self, begin: int) -> Iterator[Windows | Crops]:
        for step in range(begin, self._stage.steps):
            yield self._batch(step)

    def _batch(self, step: int) -> Windows | Crops:
        """Make the batch of a step of this stage. The same step always gives the same batch."""
        rng = np.random.default_rng((self.recipe.seed, self._state.stage, step))
        network = self._stage.network
        if network == "pnet":
            return window_batch(self._material, self.recipe.windows, rng)
        return crop_batch(self._material, self._mined, self.recipe.scenes, network, rng)

    def _end(self, report: Callable[[Report], None], board: Board) -> None:
        """Keep the stage's network, validate it, and write a checkpoint."""
        state, stage = self._state, self._stage
        assert self._learner is not None
        getattr(self._networks, stage.network).load_state_dict(self._learner.average.module.state_dict())

        def tick(done: int, total: int) -> None:
            self._tell(report, f"validate: {done}/{total} pictures")

        figures = validate(self._networks, stage.network, self._held_out, self._device, tick)
        self._note(board, figures, "figures")
        state.stage, state.step = state.stage + 1, 0
        self._learner, self._mined = None, []
        self._save()
        done, total = self.steps
        report(Report(stage.name, done, total, None, figures=figures))

    def _tell(self, report: Callable[[Report], None], doing: str = "", loss: float | None = None) -> None:
        done, total = self.steps
        report(Report(self._stage.name, done, total, loss, doing))

    def _note(self, board: Board, values: Mapping[str, float], name: str = "") -> None:
        """Add values to the log, under `name` if given, and to TensorBoard's figures."""
        rounded = {what: round(value, 6) for what, value in values.items()}
        line: dict[str, Any] = {"stage": self._stage.name, "step": self._state.step}
        self._state.history.append(line | ({name: rounded} if name else rounded))
        board.add(self.steps[0], {f"{self._stage.name}/{what}": value for what, value in values.items()})

    def _save(self) -> None:
        state = {
            "state": asdict(self._state),
            "networks": self._networks.state_dict(),
            "learner": None if self._learner is None else self._learner.state(),
            "mined": torch.from_numpy(np.concatenate([NOTHING, *self._mined])),
            "counts": [len(rows) for rows in self._mined],
        }
        save(self._folder, self._state.history, self._made_of, state)

    def _restore(self, stored: dict[str, Any]) -> None:
        self._state = _State(**stored["state"])
        self._networks.load_state_dict(stored["networks"])
        if stored["learner"] is not None:
            network: nn.Module = copy.deepcopy(getattr(self._networks, self._stage.network))
            learnt = self._stage.round > 1 or self._start is not None
            self._learner = Learner(network, self.recipe, self._stage, learnt, self._device)
            self._learner.restore(stored["learner"])
        ends = np.cumsum(stored["counts"])[:-1]
        self._mined = np.split(stored["mined"].cpu().numpy(), ends) if stored["counts"] else []
